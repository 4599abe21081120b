"""The gate's test of the filter's part: the threshold a candidate may run with, and what it would certify."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bundle import SAFETY, Bundle
from safe_o2o_ros.manifest import Manifest, Thresholds
from safe_o2o_ros.online.gate_bounds import Bounds, RefusedError
from safe_o2o_ros.online.held_out import Heard
from safe_o2o_ros.online.verdict import Refusal
from safe_o2o_ros.safety.conformal import Judged, conformal_threshold, events


def certified_thresholds(
    bundle: Bundle,
    base: Bundle,
    new: Sequence[Heard],
    old: Sequence[Heard],
    bounds: Bounds,
    measures: dict[str, float],
) -> Thresholds:
    risks, running_risks = risks_of(bundle, new), risks_of(base, old)
    if not all(np.isfinite(r).all() for r in risks):
        raise RefusedError(
            Refusal.NON_FINITE, "its safety network gives risks that are not finite: do not deploy it"
        )
    event = [events(h.cost, bounds.horizon) for h in new]
    inside = [np.concatenate([[False], h.cost[:-1] > 0.0]) for h in new]
    unsafe = np.concatenate(event)
    harmless = ~unsafe & ~np.concatenate(inside)
    if not unsafe.any():
        raise RefusedError(
            Refusal.PERMISSIVE,
            "no held-out episode costs anything, so nothing shows that its safety network sees danger: "
            "record "
            "some that do (bumps while teleoperating)",
        )
    # With few episodes a small alpha would certify nothing; then the threshold may only become stricter.
    few = 1.5 / (len(new) + 1.0)
    alpha, limit = max(bounds.alpha, few), base.manifest.thresholds.risk
    most = min(bounds.most_risk, limit * (1.0 if few > bounds.alpha else bounds.looser))
    judged = [Judged(r.astype(np.float64), e, h.allowed) for r, e, h in zip(risks, event, new, strict=True)]
    mine, theirs = np.concatenate(risks), np.concatenate(running_risks)
    promised = conformal_threshold(judged, alpha, most)
    threshold = min(most, max(promised, _matched(mine[unsafe], theirs[unsafe], base.manifest)))
    measures |= {
        "threshold": threshold,
        "promised_threshold": promised,
        "event_rate": float(np.mean([j.loss(threshold) for j in judged])),
        "running_threshold": limit,
        "alpha": alpha,
        "held_out_episodes": float(len(new)),
        "held_out_unsafe_commands": float(unsafe.sum()),
        "false_safe": float((mine[unsafe] <= threshold).mean()),
        "running_false_safe": float((theirs[unsafe] <= limit).mean()),
        "certified": float((mine[harmless] <= threshold).mean()),
        "running_certified": float((theirs[harmless] <= limit).mean()),
    }
    m = measures
    if m["false_safe"] > m["running_false_safe"] + bounds.false_safe:
        raise RefusedError(
            Refusal.PERMISSIVE,
            f"it would certify {100 * m['false_safe']:.0f} % of the held-out commands that ended in a "
            "cost, the "
            f"running bundle {100 * m['running_false_safe']:.0f} %: train its safety critics on more costs",
        )
    if m["certified"] < m["running_certified"] - bounds.certified:
        raise RefusedError(
            Refusal.TIMID,
            f"it would certify {100 * m['certified']:.0f} % of the held-out commands that did no harm, the "
            f"running bundle {100 * m['running_certified']:.0f} %: its risks do not tell danger apart",
        )
    stated = bundle.manifest.thresholds
    root = base.manifest.thresholds.provenance.get("recalibrated", {}).get("root_risk", limit)
    _not_forged(stated, base.manifest.thresholds, max(threshold, limit, root), bounds)
    provenance = {
        **stated.provenance,
        "recalibrated": {
            "episodes": len(new),
            "rule": "as much of what ended in a cost as the bundle before, or the promise if that is more",
            "promised_risk": promised,
            "alpha": alpha,
            "horizon_periods": bounds.horizon,
            "event_rate": measures["event_rate"],
            "root_risk": root,
        },
    }
    current = base.manifest.thresholds
    if stated.support is not None and current.support is not None:
        stated = dataclasses.replace(stated, support=max(stated.support, current.support))
    return dataclasses.replace(stated, risk=threshold, provenance=provenance)


def _matched(mine: NDArray[np.float32], theirs: NDArray[np.float32], running: Manifest) -> float:
    """The threshold at which no more of the unsafe commands are certified than the running bundle does."""
    allowed = int((theirs <= running.thresholds.risk).sum())
    ordered = np.sort(mine)
    if allowed >= len(ordered):
        return running.thresholds.risk
    return float(np.nextafter(ordered[allowed], -1.0)) if ordered[allowed] > 0.0 else 0.0


def _not_forged(stated: Thresholds, current: Thresholds, limit: float, bounds: Bounds) -> None:
    """Stated thresholds may not be much looser than what is calibrated here or runs already."""
    pairs = {
        "risk": (stated.risk, limit),
        "surprise_caution": (stated.surprise_caution, current.surprise_caution),
        "surprise_stop": (stated.surprise_stop, current.surprise_stop),
        "pictures_caution": (stated.pictures_caution, current.pictures_caution),
        "pictures_stop": (stated.pictures_stop, current.pictures_stop),
        # Here less is looser.
        "support": (current.support, stated.support),
    }
    for name, (mine, theirs) in pairs.items():
        if theirs is None and mine is None:
            continue
        if theirs is None or mine is None or mine > bounds.thresholds * theirs + 1e-9:
            raise RefusedError(
                Refusal.THRESHOLDS,
                f"its threshold '{name}' is {stated_value(stated, name)}, far looser than this robot's: a "
                "bundle "
                "may not certify itself, calibrate it anew",
            )


def stated_value(thresholds: Thresholds, name: str) -> str:
    """A threshold for a sentence."""
    value = getattr(thresholds, name)
    return "missing" if value is None else f"{value:.3g}"


def risks_of(bundle: Bundle, heard: Sequence[Heard]) -> list[NDArray[np.float32]]:
    """(T,) risk of every executed command."""
    network = bundle.networks[SAFETY]
    return [
        network.run({"latent": h.latent, "actions": h.action[:, None]})["risk"][:, 0].astype(np.float32)
        for h in heard
    ]
