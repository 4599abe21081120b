"""The release gate: whether a candidate bundle may drive, judged on the robot with the robot's own data.

A bundle may not certify itself. What it claims (version, thresholds, golden outputs) is checked, and the
thresholds it will run with are calibrated here, on held-out episodes that no learner has seen. The part of
the filter is judged more strictly than the part of the policy: a worse policy is caught by the filter, a
worse filter by nobody.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from safe_o2o_ros.bundle import ENCODER, SAFETY, Bundle, load_bundle, rewritten, sha256
from safe_o2o_ros.errors import (
    BundleError,
    BundleHashError,
    BundleMismatchError,
    BundleMissingError,
    BundleNonFiniteError,
    BundleSchemaError,
    BundleShapeError,
    BundleSignatureError,
    BundleVersionError,
)
from safe_o2o_ros.manifest import Manifest, Thresholds
from safe_o2o_ros.online.gate_bounds import DEFAULT_BOUNDS, Bounds, RefusedError
from safe_o2o_ros.online.gate_machine import check_golden, check_latency
from safe_o2o_ros.online.gate_return import check_critics, check_encoder
from safe_o2o_ros.online.gate_safety import certified_thresholds
from safe_o2o_ros.online.held_out import hear
from safe_o2o_ros.online.verdict import Refusal, Verdict
from safe_o2o_ros.signature import TrustedKey

__all__ = ["DEFAULT_BOUNDS", "Bounds", "judge"]

_BY_ERROR: tuple[tuple[type[BundleError], Refusal], ...] = (
    (BundleSignatureError, Refusal.SIGNATURE),
    (BundleMissingError, Refusal.DAMAGED),
    (BundleHashError, Refusal.DAMAGED),
    (BundleVersionError, Refusal.SCHEMA),
    (BundleSchemaError, Refusal.SCHEMA),
    (BundleNonFiniteError, Refusal.NON_FINITE),
    (BundleMismatchError, Refusal.MISMATCH),
    (BundleShapeError, Refusal.MISMATCH),
)


def judge(
    candidate: Path,
    running: Path,
    held_out: Path | None,
    out: Path | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    trusted: TrustedKey | None = None,
) -> Verdict:
    """All tests in turn; the first that fails decides.

    `held_out`: store of the robot's held-out episodes; None: what needs them is not tested, and thresholds
    that differ from the running bundle's are refused. `out`: where the bundle is written that may be offered,
    the candidate's networks with the thresholds calibrated here. `trusted`: the key that must have signed it.

    Raises BundleError only where the *running* bundle cannot be read.
    """
    base = load_bundle(running)
    measures: dict[str, float] = {}
    version = ""
    try:
        bundle = _loaded(candidate, trusted)
        version = bundle.version
        _same_robot(bundle.manifest, base.manifest)
        check_golden(bundle, bounds, measures)
        check_latency(bundle, base, bounds, measures)
        thresholds = _held_out(bundle, base, held_out, bounds, measures)
    except RefusedError as refused:
        return Verdict(version, False, refused.refusal, str(refused), measures)
    if out is not None:
        manifest = dataclasses.replace(bundle.manifest, thresholds=thresholds)
        version = rewritten(candidate, out, manifest).version
    return Verdict(version, True, None, f"{version} may replace {base.version}", measures)


def _loaded(candidate: Path, trusted: TrustedKey | None) -> Bundle:
    try:
        return load_bundle(candidate, trusted=trusted)
    except BundleError as error:
        kind = next((r for e, r in _BY_ERROR if isinstance(error, e)), Refusal.DAMAGED)
        raise RefusedError(kind, str(error)) from error


def _same_robot(new: Manifest, old: Manifest) -> None:
    for name in ("task", "adapter", "image", "period_s", "action_repeat"):
        if getattr(new, name) != getattr(old, name):
            raise RefusedError(
                Refusal.MISMATCH,
                f"its {name} is not that of the running bundle {old.version}: it was made for another robot "
                "or "
                "task, restart the graph to use it",
            )


def _held_out(
    bundle: Bundle, base: Bundle, store: Path | None, bounds: Bounds, measures: dict[str, float]
) -> Thresholds:
    """The thresholds to run with."""
    stated, current = bundle.manifest.thresholds, base.manifest.thresholds
    if store is None:
        if dataclasses.replace(stated, provenance={}) != dataclasses.replace(current, provenance={}):
            raise RefusedError(
                Refusal.THRESHOLDS,
                "its thresholds are not those of the running bundle, and there are no held-out episodes to "
                "calibrate new ones on: name their directory",
            )
        if sha256(bundle.path / SAFETY) != sha256(base.path / SAFETY):
            raise RefusedError(
                Refusal.PERMISSIVE,
                "its safety network is a new one, and there are no held-out episodes to judge it on: name "
                "their directory",
            )
        return stated
    old = hear(store, base)
    same = sha256(bundle.path / ENCODER) == sha256(base.path / ENCODER)
    new = old if same else hear(store, bundle)
    check_encoder(new, old, bounds, measures)
    thresholds = certified_thresholds(bundle, base, new, old, bounds, measures)
    check_critics(bundle, base, new, old, bounds, measures)
    return thresholds
