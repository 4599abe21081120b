"""The safety filter's decision table (first row that applies), as a pure object.

Rows built so far: 1 e-stop, not enabled -> brake; 2 operator -> limits only; 3 nothing valid, unknown bundle,
non-finite or stale (named) -> brake; 5 nominal certified -> pass; 6 not certified -> nearest certified
candidate; 7 no certified candidate -> the command with the lowest expected cost. Whatever is unknown brakes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.limits import STANDING, Bounds, Limits, brake_action
from safe_o2o_ros.safety.risk import RiskEstimate, RiskModel
from safe_o2o_ros.safety.speed import BaseSpeed
from safe_o2o_ros.types import (
    BRAKE_REASONS,
    Decision,
    FloatArray,
    Latent,
    MeasuredSpeed,
    Mode,
    Proposal,
    Reason,
    Source,
)

_NAN = float("nan")


@dataclass(frozen=True)
class FilterConfig:
    """What the filter needs beside the bundle."""

    mode: Mode = Mode.FILTER
    grid: int = 7
    """Candidates per action channel; the grid covers the reachable box of effective actions."""
    brake_dt_s: float = 0.08
    """Period the brake plans over, seconds: the control period."""
    bounds: Bounds | None = None
    """Tighter than the adapter's own (see base_limits); None = the adapter's own."""
    require_odom: bool = False
    """Brake where the measured speed cannot be used, instead of falling back to the model."""


@dataclass(frozen=True)
class Refusal:
    """An input that came and must not be used."""

    reason: Reason
    name: str
    """Of the input."""


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
    e_stop: str = ""
    """Why the e-stop locks: "pressed" or "silent"; "" when it does not, or is not used."""
    operator: FloatArray | None = None
    """(A,) raw action of the operator who drives now; None when nobody does."""
    refusal: Refusal | None = None
    """An input refused so recently that the others are not trusted either."""
    deadline: bool = False
    """Nobody asks: time has passed. Only a brake or the operator is answered, with the last stamp."""
    speed: MeasuredSpeed | None = None
    """From odometry; None while there is none to use."""


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
        self._limits = Limits(adapter, config.bounds)
        self._speed = BaseSpeed(adapter)
        self._last = adapter.zero()
        self._last_stamp_ns = 0
        self._dt_s = config.brake_dt_s
        self.mode = config.mode
        """May be changed between decisions."""

    @property
    def standing(self) -> bool:
        """The last answer asks for nothing and the estimated speed is next to zero."""
        slow = np.abs(self._speed.value) <= STANDING * np.asarray(self._adapter.top_speed)
        return bool(slow.all()) and not self._last.any()

    @property
    def last_action(self) -> FloatArray:
        """Raw action (A,) of the last decision."""
        return self._last

    @property
    def odom_frozen(self) -> bool:
        """The measured speed does not move although the commands did: it is not used."""
        return self._speed.frozen

    def reset(self) -> None:
        """An episode starts: the robot stands."""
        self._speed.reset()
        self._last = self._adapter.zero()

    def decide(self, inputs: FilterInputs, elapsed_s: float | None = None, commit: bool = True) -> Decision:
        """Answer one period. Never raises on bad values: bad values brake.

        `elapsed_s`: seconds the previous answer was in force, the control period if None.
        `commit`: False answers without remembering it, for a deadline that passes while a simulated
        robot's time stands still.
        """
        period_s = self._config.brake_dt_s
        elapsed_s = period_s if elapsed_s is None else elapsed_s
        # A late answer makes up for nothing: no step is larger than that of one period.
        self._dt_s = min(elapsed_s, period_s)
        if commit:
            self._speed.advance(self._last, elapsed_s, inputs.speed)
        decision = self._table(inputs)
        # The last clip. It changes nothing, since every row answers from inside the box.
        box = self._box(braking=decision.reason in BRAKE_REASONS)
        action = self._limits.clip(decision.action, box)
        decision = replace(decision, action=action, speed_source=self._speed.source)
        if commit:
            self._last = decision.action
            self._last_stamp_ns = decision.stamp_ns
        return decision

    def _table(self, inputs: FilterInputs) -> Decision:
        latent, proposal = inputs.latent, inputs.proposal
        # An answer carries the stamp of the image it answers also where it brakes: the encoder pairs by it.
        asked = proposal is not None and not inputs.late_input and not inputs.deadline
        stamp_ns = proposal.stamp_ns if proposal is not None and asked else None
        if inputs.closing:
            return self._brake(Reason.SHUTDOWN, "")
        if inputs.e_stop:
            return self._brake(Reason.E_STOP, "" if inputs.e_stop == "pressed" else "e_stop", stamp_ns)
        if not inputs.enabled:
            return self._brake(Reason.DISABLED, "", stamp_ns)
        if inputs.operator is not None:
            if not np.isfinite(inputs.operator).all():
                return self._brake(Reason.NON_FINITE, "cmd_vel_teleop", stamp_ns)
            return self._limited(inputs.operator, Reason.OPERATOR, Source.OPERATOR, stamp_ns)
        if inputs.refusal is not None:
            return self._brake(inputs.refusal.reason, inputs.refusal.name, stamp_ns)
        if inputs.late_input:
            waiting = latent is None or proposal is None
            return self._brake(Reason.WAITING if waiting else Reason.STALE, inputs.late_input)
        if proposal is None:
            return self._brake(Reason.WAITING, "cmd_vel_nominal")
        if inputs.deadline:
            return self._brake(Reason.STALE, "cmd_vel_nominal")
        if not np.isfinite(proposal.action).all():
            return self._brake(Reason.NON_FINITE, "cmd_vel_nominal", stamp_ns)
        if self._config.require_odom and self._speed.source != "odom":
            return self._brake(Reason.STALE, "odom", stamp_ns)
        if self.mode is Mode.LIMITS_ONLY:
            return self._limited(proposal.action, Reason.LIMITS_ONLY, Source.POLICY, stamp_ns)
        if latent is None:
            return self._brake(Reason.WAITING, "latent")
        if not np.isfinite(latent.feature).all():
            return self._brake(Reason.NON_FINITE, "latent", stamp_ns)
        if latent.stamp_ns != proposal.stamp_ns:
            return self._brake(Reason.STALE, "latent", stamp_ns)
        if self._risk is None or latent.version != self._version:
            return self._brake(Reason.UNKNOWN_BUNDLE, "latent", stamp_ns)
        return self._certify(latent, proposal, self._risk)

    def _certify(self, latent: Latent, proposal: Proposal, risk: RiskModel) -> Decision:
        nominal = self._limits.clip(proposal.action, self._box())
        candidates = self._candidates(nominal)
        estimate = risk(latent.feature, candidates)
        if not estimate.is_finite():
            return self._brake(Reason.NON_FINITE, "safety value", proposal.stamp_ns)
        chosen, reason = self._choose(candidates, estimate)
        raw = self._adapter.raw(candidates)
        raw[0] = nominal
        shadow = self.mode is Mode.SHADOW
        return Decision(
            proposal.stamp_ns,
            nominal if shadow else raw[chosen],
            chosen != 0 and not shadow,
            Reason.SHADOW if shadow else reason,
            "",
            1.0 - estimate.state_risk,
            1.0 - self._threshold,
            len(candidates),
            self._version,
            Source.POLICY,
            proposal.action,
            np.concatenate([raw, estimate.risk[:, None]], axis=1, dtype=np.float32),
        )

    def _choose(self, candidates: FloatArray, estimate: RiskEstimate) -> tuple[int, Reason]:
        certified = estimate.risk <= self._threshold
        if certified[0]:
            return 0, Reason.PASS
        if certified.any():
            distance = np.linalg.norm(candidates - candidates[0], axis=1)
            return int(np.argmin(np.where(certified, distance, np.inf))), Reason.SUBSTITUTE
        return int(np.argmin(estimate.cost)), Reason.ESCAPE

    def _candidates(self, nominal: FloatArray) -> FloatArray:
        """(K, A) effective: the nominal first, then the brake, then a grid over the reachable box."""
        low, high = self._box()
        axes = [
            np.linspace(a, b, self._config.grid, dtype=np.float32) for a, b in zip(low, high, strict=True)
        ]
        grid = np.asarray(list(itertools.product(*axes)), np.float32)
        brake = np.clip(self._adapter.effective(self._brake_raw()), low, high)
        return np.concatenate([self._adapter.effective(nominal)[None], brake[None], grid]).astype(np.float32)

    def _box(self, braking: bool = False) -> tuple[FloatArray, FloatArray]:
        return self._limits.box(self._last, self._dt_s, self._speed.measured, braking)

    def _brake_raw(self) -> FloatArray:
        raw = brake_action(self._adapter, self._speed.value, self._config.brake_dt_s)
        return self._limits.clip(raw, self._box(braking=True))

    def _brake(self, reason: Reason, late_input: str, stamp_ns: int | None = None) -> Decision:
        stamp = self._last_stamp_ns if stamp_ns is None else stamp_ns
        return Decision(stamp, self._brake_raw(), True, reason, late_input, _NAN, _NAN, 0, self._version)

    def _limited(self, wish: FloatArray, reason: Reason, source: Source, stamp_ns: int | None) -> Decision:
        stamp = self._last_stamp_ns if stamp_ns is None else stamp_ns
        action = self._limits.scale(wish, self._box())
        return Decision(stamp, action, False, reason, "", _NAN, _NAN, 0, self._version, source, wish)
