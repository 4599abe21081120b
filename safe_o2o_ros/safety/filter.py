"""The safety filter's decision table (first row that applies), as a pure object.

Rows built so far: 1 not enabled -> brake; 3 nothing valid, unknown bundle, non-finite or stale
(named) -> brake; 5 nominal certified -> pass; 6 not certified -> nearest certified candidate; 7 no
certified candidate -> the command with the lowest expected cost. Whatever is unknown brakes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.limits import STANDING, Limits, SpeedEstimate, brake_action
from safe_o2o_ros.safety.risk import RiskModel
from safe_o2o_ros.types import Decision, FloatArray, Latent, Mode, Proposal, Reason

_NAN = float("nan")


@dataclass(frozen=True)
class FilterConfig:
    """What the filter needs beside the bundle."""

    mode: Mode = Mode.FILTER
    grid: int = 7
    """Candidates per action channel; the grid covers the reachable box of effective actions."""
    brake_dt_s: float = 0.08
    """Period the brake plans over, seconds: the control period."""


@dataclass(frozen=True)
class FilterInputs:
    """Everything one decision depends on."""

    enabled: bool
    latent: Latent | None
    proposal: Proposal | None
    late_input: str = ""
    """Name of the stale or missing input, "" if all are fresh."""
    closing: bool = False
    """The process is about to end: brake."""


class SafetyFilter:
    """`decide(inputs) -> Decision`; keeps the last answer and the speed estimate, nothing else."""

    def __init__(
        self,
        adapter: RobotAdapter,
        config: FilterConfig,
        risk: RiskModel | None = None,
        risk_threshold: float = 0.0,
        version: str = "",
    ) -> None:
        """`risk` may be absent only in mode limits_only: without it every other mode brakes."""
        self._adapter = adapter
        self._config = config
        self._risk = risk
        self._threshold = risk_threshold
        self._version = version
        self._limits = Limits(adapter)
        self._estimate = SpeedEstimate(adapter)
        self._last = adapter.zero()
        self._last_stamp_ns = 0

    @property
    def standing(self) -> bool:
        """The last answer asks for nothing and the estimated speed is next to zero."""
        slow = np.abs(self._estimate.speed) <= STANDING * np.asarray(self._adapter.top_speed)
        return bool(slow.all()) and not self._last.any()

    @property
    def last_action(self) -> FloatArray:
        """Raw action (A,) of the last decision."""
        return self._last

    def reset(self) -> None:
        """An episode starts: the robot stands."""
        self._estimate.reset()
        self._last = self._adapter.zero()

    def decide(self, inputs: FilterInputs, elapsed_s: float | None = None, commit: bool = True) -> Decision:
        """Answer one period. Never raises on bad values: bad values brake.

        `elapsed_s`: seconds the previous answer was in force, the control period if None.
        `commit`: False answers without remembering it, for a deadline that passes while a simulated
        robot's time stands still.
        """
        if commit:
            self._estimate.advance(self._last, self._config.brake_dt_s if elapsed_s is None else elapsed_s)
        decision = self._table(inputs)
        if commit:
            self._last = decision.action
            self._last_stamp_ns = decision.stamp_ns
        return decision

    def _table(self, inputs: FilterInputs) -> Decision:
        latent, proposal = inputs.latent, inputs.proposal
        if inputs.closing:
            return self._brake(Reason.SHUTDOWN, "")
        if not inputs.enabled:
            answers_frame = proposal is not None and not inputs.late_input
            return self._brake(Reason.DISABLED, "", proposal.stamp_ns if proposal and answers_frame else None)
        if inputs.late_input:
            waiting = latent is None or proposal is None
            return self._brake(Reason.WAITING if waiting else Reason.STALE, inputs.late_input)
        if proposal is None:
            return self._brake(Reason.WAITING, "cmd_vel_nominal")
        if not np.isfinite(proposal.action).all():
            return self._brake(Reason.NON_FINITE, "cmd_vel_nominal", proposal.stamp_ns)
        nominal = self._limits.clip(proposal.action, self._last, self._config.brake_dt_s)
        if self._config.mode is Mode.LIMITS_ONLY:
            return self._answer(proposal.stamp_ns, nominal, Reason.LIMITS_ONLY)
        if latent is None:
            return self._brake(Reason.WAITING, "latent")
        if not np.isfinite(latent.feature).all():
            return self._brake(Reason.NON_FINITE, "latent", proposal.stamp_ns)
        if latent.stamp_ns != proposal.stamp_ns:
            return self._brake(Reason.STALE, "latent", proposal.stamp_ns)
        if self._risk is None or latent.version != self._version:
            return self._brake(Reason.UNKNOWN_BUNDLE, "latent", proposal.stamp_ns)
        return self._certify(latent, nominal, proposal.stamp_ns)

    def _certify(self, latent: Latent, nominal: FloatArray, stamp_ns: int) -> Decision:
        assert self._risk is not None
        candidates = self._candidates(nominal)
        estimate = self._risk(latent.feature, candidates)
        if not estimate.is_finite():
            return self._brake(Reason.NON_FINITE, "safety value", stamp_ns)
        value = 1.0 - estimate.state_risk
        certified = estimate.risk <= self._threshold
        if certified[0]:
            chosen, reason = 0, Reason.PASS
        elif certified.any():
            distance = np.linalg.norm(candidates - candidates[0], axis=1)
            chosen, reason = int(np.argmin(np.where(certified, distance, np.inf))), Reason.SUBSTITUTE
        else:
            chosen, reason = int(np.argmin(estimate.cost)), Reason.ESCAPE
        action = nominal if chosen == 0 else self._adapter.raw(candidates[chosen])
        changed = chosen != 0
        if self._config.mode is Mode.SHADOW:
            action, reason = nominal, Reason.SHADOW
        return Decision(
            stamp_ns,
            action,
            changed and self._config.mode is Mode.FILTER,
            reason,
            "",
            value,
            1.0 - self._threshold,
            len(candidates),
            self._version,
        )

    def _candidates(self, nominal: FloatArray) -> FloatArray:
        """(K, A) effective: the nominal first, then the brake, then a grid over the reachable box."""
        low, high = self._limits.box(self._last, self._config.brake_dt_s)
        axes = [
            np.linspace(a, b, self._config.grid, dtype=np.float32) for a, b in zip(low, high, strict=True)
        ]
        grid = np.asarray(list(itertools.product(*axes)), np.float32)
        brake = np.clip(self._adapter.effective(self._brake_raw()), low, high)
        return np.concatenate([self._adapter.effective(nominal)[None], brake[None], grid]).astype(np.float32)

    def _brake_raw(self) -> FloatArray:
        raw = brake_action(self._adapter, self._estimate.speed, self._config.brake_dt_s)
        return self._limits.clip(raw, self._last, self._config.brake_dt_s)

    def _brake(self, reason: Reason, late_input: str, stamp_ns: int | None = None) -> Decision:
        stamp = self._last_stamp_ns if stamp_ns is None else stamp_ns
        return Decision(stamp, self._brake_raw(), True, reason, late_input, _NAN, _NAN, 0, self._version)

    def _answer(self, stamp_ns: int, action: FloatArray, reason: Reason) -> Decision:
        return Decision(stamp_ns, action, False, reason, "", _NAN, _NAN, 0, self._version)
