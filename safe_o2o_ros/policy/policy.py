"""Safe policy expansion: {frozen offline actor, online actor} propose, the critics' scores choose.

Scores are (Q_r - kappa * Q_c) / sigma of the policy-evaluation critics (method.md), computed inside
policy.onnx. No safety logic here: that is the filter's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.bundle import POLICY, Bundle
from safe_o2o_ros.errors import NonFiniteError
from safe_o2o_ros.types import FloatArray, Latent, Proposal

SOURCES = ("offline", "online")
EXPLORE_TICKS = 6
"""Noise is held so many ticks, or it would average out."""
DRIFT_TICKS, DITHERING = 20.0, 0.3
"""Time constant of the mean action, and its length, effective actions, below which a policy gets nowhere."""


@dataclass(frozen=True)
class PolicyState:
    """Which policy drives, and since when."""

    chosen: int
    """Index into SOURCES."""
    held: int
    """Ticks since the last change."""
    tick: int
    """Ticks since the start; with the seed it fixes the random draw."""
    drift: tuple[float, ...] = ()
    """Running mean of what the policy asked for, effective actions (A,); nothing yet: it is under way."""


class ExpansionPolicy:
    """Deterministic given bundle, latents, seed and tick."""

    def __init__(self, bundle: Bundle, seed: int = 0, exploration: float = 0.0) -> None:
        """`bundle` must have been loaded with its policy.

        `exploration`: standard deviation, in effective actions, of noise that is added while experience is
        gathered, where the policy gets nowhere: there it would never try anything new and dither on.
        Elsewhere noise costs more than it teaches. The safety filter stands behind it. 0 when driving in
        earnest.
        """
        self._network = bundle.networks[POLICY]
        self._adapter = bundle.manifest.adapter
        self._expansion = bundle.manifest.expansion
        self._seed, self._exploration = seed, exploration
        self.version = bundle.version

    def initial(self) -> PolicyState:
        """The offline policy drives first and may be replaced at once."""
        return PolicyState(chosen=0, held=self._expansion.hold_ticks, tick=0)

    def step(self, state: PolicyState, latent: Latent) -> tuple[PolicyState, Proposal]:
        """The nominal command for `latent`. Raises NonFiniteError."""
        result = self._network.run({"latent": latent.feature[None]})
        actions, scores = result["actions"][0], result["scores"][0]
        if not (np.isfinite(actions).all() and np.isfinite(scores).all()):
            raise NonFiniteError("the policy's output is not finite: change the bundle")
        chosen, held = state.chosen, state.held + 1
        if chosen >= len(actions):
            chosen, held = 0, 0  # the bundle before had more policies than this one
        if len(actions) > 1 and state.held >= self._expansion.hold_ticks:
            best = self._choose(scores, state.tick)
            if best != chosen:
                chosen, held = best, 0
        drift = np.asarray(state.drift or (1.0,) * len(actions[chosen]))
        raw = self._adapter.raw(self._explored(actions[chosen], drift, state.tick))
        drift = drift + (np.clip(actions[chosen], -1.0, 1.0) - drift) / DRIFT_TICKS
        following = PolicyState(chosen, held, state.tick + 1, tuple(map(float, drift)))
        return following, Proposal(latent.stamp_ns, raw, SOURCES[chosen])

    def _explored(self, action: FloatArray, drift: np.ndarray, tick: int) -> FloatArray:
        """The action with the noise of this stretch of ticks, if the policy gets nowhere."""
        if self._exploration <= 0.0 or float(np.linalg.norm(drift)) >= DITHERING:
            return action
        rng = np.random.default_rng((self._seed, 1, tick // EXPLORE_TICKS))
        noise = self._exploration * rng.standard_normal(action.shape)
        return np.clip(action + noise, -1.0, 1.0).astype(np.float32)

    def _choose(self, scores: np.ndarray, tick: int) -> int:
        temperature = self._expansion.temperature
        if temperature <= 0.0:
            return int(np.argmax(scores))  # the first maximum: ties go to the offline policy
        weights = np.exp((scores - scores.max()).astype(np.float64) / temperature)
        draw = np.random.default_rng((self._seed, tick)).random()
        # The sum of rounded weights may stay below the draw.
        return min(int(np.searchsorted(np.cumsum(weights / weights.sum()), draw)), len(scores) - 1)
