"""The gate's tests of encoder and critics: do they explain, and value, what the robot lived through?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bundle import POLICY, Bundle
from safe_o2o_ros.online.gate_bounds import Bounds, RefusedError
from safe_o2o_ros.online.held_out import Heard
from safe_o2o_ros.online.verdict import Refusal


def check_encoder(
    new: Sequence[Heard], old: Sequence[Heard], bounds: Bounds, measures: dict[str, float]
) -> None:
    mine, theirs = (float(np.mean(np.concatenate([h.surprise for h in hs]))) for hs in (new, old))
    measures |= {"surprise_nats": mine, "running_surprise_nats": theirs}
    if not all(np.isfinite(h.latent).all() for h in new):
        raise RefusedError(
            Refusal.NON_FINITE, "its encoder gives latents that are not finite: do not deploy it"
        )
    if not mine <= bounds.surprise * theirs:
        raise RefusedError(
            Refusal.WORLD_MODEL,
            f"held-out episodes surprise its encoder by {mine:.2f} nats a period, the running one by "
            f"{theirs:.2f}: train its world model on this robot's data too",
        )


def check_critics(
    bundle: Bundle,
    base: Bundle,
    new: Sequence[Heard],
    old: Sequence[Heard],
    bounds: Bounds,
    measures: dict[str, float],
) -> None:
    """The critics that choose between the actors are sane where the running policy drove."""
    own = [h for h in new if h.own]
    if not own or bundle.manifest.expansion.proposals < 2:
        return
    scores = _scores(bundle, own)
    if not all(np.isfinite(s).all() for s in scores):
        raise RefusedError(
            Refusal.NON_FINITE, "its critics give scores that are not finite: do not deploy it"
        )
    measures |= {
        "score_gain": float(np.mean(np.concatenate([s.max(1) - s[:, 0] for s in scores]))),
        "online_share": float(np.mean(np.concatenate([s[:, 1] > s[:, 0] for s in scores]))),
    }
    off, limit = bias(bundle, own, scores), bounds.bias
    if off is not None:
        before = [h for h in old if h.own]
        running = bias(base, before, _scores(base, before)) or 0.0
        measures |= {"score_bias": off, "running_score_bias": running}
        # In a changed world the running bundle's critics are off too, and are no reason to keep it.
        limit = max(limit, min(abs(running), 2.0 * limit))
        if abs(off) > limit:
            raise RefusedError(
                Refusal.RETURN,
                f"its critics are off by {off:.1f} standard deviations of what the running policy really "
                f"earned (limit {limit:.1f}): train them longer",
            )
    if measures["score_gain"] < -bounds.score:
        raise RefusedError(Refusal.RETURN, "it expects to earn less than the running policy: train it longer")


def _scores(bundle: Bundle, heard: Sequence[Heard]) -> list[NDArray[np.float32]]:
    """(T, N) what the critics give each proposal."""
    return [bundle.networks[POLICY].run({"latent": h.latent})["scores"] for h in heard]


def bias(bundle: Bundle, own: Sequence[Heard], scores: Sequence[NDArray[np.float32]]) -> float | None:
    """What the critics expect of the offline actor less what was earned, standard deviations of the return.

    Median over episodes of their means; None: all too short to tell.
    """
    norm = bundle.manifest.normalisation
    gamma, kappa, sigma = norm.get("gamma", 0.99), norm.get("kappa", 1.0), norm.get("return_std", 1.0)
    error = []
    for h, s in zip(own, scores, strict=True):
        returns = _discounted(h.reward - kappa * h.cost, gamma) / sigma
        # Where time ran out too little of the return of the last periods is known.
        unknown = 0 if h.terminated else round(2.0 / max(1.0 - gamma, 1e-3))
        whole = max(0, len(returns) - unknown)
        if whole:
            error.append(float(np.mean(s[:whole, 0] - returns[:whole])))
    # The median: one episode in which the robot was stuck to the end costs more than twenty others earn, no
    # critic foresees it, and it says nothing of whether the critics are sane.
    return float(np.median(error)) if error else None


def _discounted(rewards: NDArray[np.float32], gamma: float) -> NDArray[np.float64]:
    returns = np.zeros(len(rewards))
    following = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        following = float(rewards[t]) + gamma * following
        returns[t] = following
    return returns
