"""The bundle of a node, from its parameters."""

from __future__ import annotations

from collections.abc import Sequence

from safe_o2o_ros.bundle import Bundle, load_bundle
from safe_o2o_ros.errors import BundleMissingError
from safe_o2o_ros.nodes.parameters import Parameters, Spec

BUNDLE_SPECS = (
    Spec("bundle", "", "Directory of the model bundle."),
    Spec("task", "", "Refuse a bundle made for another task; empty accepts any."),
    Spec("provider", "CPUExecutionProvider", "ONNX Runtime execution provider."),
)


def other_bundle(version: str, held: str) -> str:
    """What to say of a latent of bundle `version` in a node that holds `held`."""
    advice = "start all nodes with the same bundle"
    return f"refused a latent of bundle '{version}': this node holds '{held}', {advice}"


def open_bundle(parameters: Parameters, networks: Sequence[str]) -> Bundle:
    """Verify and load. Raises a BundleError, or UsageError for an unknown provider."""
    if not parameters["bundle"]:
        raise BundleMissingError("no model bundle is named: set the parameter 'bundle' to its directory")
    return load_bundle(parameters["bundle"], networks, parameters["task"] or None, (parameters["provider"],))
