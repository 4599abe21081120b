"""The bundle of a node, from its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from safe_o2o_ros.bundle import Bundle, load_bundle
from safe_o2o_ros.errors import BundleMissingError
from safe_o2o_ros.nodes.parameters import Parameters, Spec

if TYPE_CHECKING:
    from safe_o2o_ros.signature import TrustedKey

TRUSTED_SPEC = Spec(
    "trusted_key", "", "Public key (PEM file) that must have signed every bundle; empty = none is asked for."
)
BUNDLE_SPECS = (
    Spec("bundle", "", "Directory of the model bundle."),
    Spec("task", "", "Refuse a bundle made for another task; empty accepts any."),
    Spec("provider", "CPUExecutionProvider", "ONNX Runtime execution provider."),
    TRUSTED_SPEC,
)


def other_bundle(version: str, held: Iterable[str]) -> str:
    """What to say of a latent of bundle `version` in a node that holds those of `held`."""
    names = ", ".join(f"'{name}'" for name in held)
    advice = "start all nodes with the same bundle"
    return f"refused a latent of bundle '{version}': this node holds {names}, {advice}"


def trusted_key(parameters: Parameters) -> TrustedKey | None:
    """The key that bundles must be signed with, None where none is configured. Raises SignatureKeyError."""
    if not parameters["trusted_key"]:
        return None
    from safe_o2o_ros.signature import TrustedKey

    return TrustedKey(Path(parameters["trusted_key"]))


def open_bundle(parameters: Parameters, networks: Sequence[str]) -> Bundle:
    """Verify and load. Raises a BundleError, or UsageError for an unknown provider or a bad key."""
    p = parameters
    if not p["bundle"]:
        raise BundleMissingError("no model bundle is named: set the parameter 'bundle' to its directory")
    return load_bundle(p["bundle"], networks, p["task"] or None, (p["provider"],), trusted_key(p))
