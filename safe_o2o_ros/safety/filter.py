"""The safety filter's decision table (first row that applies), as a pure object.

1 e-stop, not enabled -> brake; 2 operator -> limits only; 3 nothing valid, unknown bundle, non-finite or
stale (named) -> brake; 4 out of distribution -> brake; 5 nominal certified -> pass; 6 not certified ->
nearest certified candidate; 7 no certified candidate -> the command of least harm; 8 stuck -> recovery, then
brake. Whatever is unknown brakes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.knowledge import Knowledge, KnownBundles
from safe_o2o_ros.safety.limits import STANDING, Bounds, Limits, brake_action
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.recovery import Recovery, RecoveryConfig
from safe_o2o_ros.safety.risk import RiskEstimate, RiskModel
from safe_o2o_ros.safety.speed import BaseSpeed
from safe_o2o_ros.types import (
    BRAKE_REASONS,
    Decision,
    FloatArray,
    Latent,
    Level,
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
    grid: int = 11
    """Candidates per action channel; the grid covers the reachable box of effective actions."""
    brake_dt_s: float = 0.08
    """Period the brake plans over, seconds: the control period."""
    bounds: Bounds | None = None
    """Tighter than the adapter's own (see base_limits); None = the adapter's own."""
    require_odom: bool = False
    """Brake where the measured speed cannot be used, instead of falling back to the model."""
    risk_share: float = 1.0
    """Share of the bundle's risk threshold up to which commands are certified, 0 .. 1: less is stricter."""
    caution_risk: float = 0.5
    """Share of the risk threshold that is left where things are unusual (row 4's lower level)."""
    caution_pace: float = 0.6
    """Share of full actuation that is left there."""
    hysteresis: float = 0.1
    """Share of the risk threshold that is taken off for `hold_s` after a command was changed."""
    hold_s: float = 0.4
    stop_novel: bool = True
    """Brake where things are out of distribution; False: only caution."""
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)


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
    """`decide(inputs) -> Decision`; keeps the last answer, the speed, what is novel, how it got stuck."""

    def __init__(
        self,
        adapter: RobotAdapter,
        config: FilterConfig,
        risk: RiskModel | None = None,
        risk_threshold: float = 0.0,
        version: str = "",
        gauge: NoveltyGauge | None = None,
        least_support: float | None = None,
    ) -> None:
        """`risk` to `least_support`: see Knowledge."""
        self._adapter = adapter
        self._config = config
        self._bundles = KnownBundles(Knowledge(version, risk, risk_threshold, gauge, least_support))
        self._limits = Limits(adapter, config.bounds)
        self._speed = BaseSpeed(adapter)
        self._last = adapter.zero()
        self._last_stamp_ns = 0
        self._dt_s = config.brake_dt_s
        self._gauged_ns = -1
        self._recovery = Recovery(adapter, config.recovery)
        self._strict_s = 0.0
        self._hindered = False
        self.mode = config.mode
        """May be changed between decisions."""

    @property
    def standing(self) -> bool:
        """The last answer asks for nothing and the estimated speed is next to zero."""
        slow = np.abs(self._speed.value) <= STANDING * np.asarray(self._adapter.top_speed)
        return bool(slow.all()) and not self._last.any()

    @property
    def candidates(self) -> int:
        """Commands that are scored where no recovery runs."""
        return int(self._config.grid**self._adapter.action_dim) + 2

    @property
    def last_action(self) -> FloatArray:
        """Raw action (A,) of the last decision."""
        return self._last

    @property
    def odom_frozen(self) -> bool:
        """The measured speed does not move although the commands did: it is not used."""
        return self._speed.frozen

    @property
    def odom_held(self) -> bool:
        """The measured speed says that something holds the base."""
        return self._recovery.held

    @property
    def version(self) -> str:
        """Of the bundle in use, "" where there is none."""
        return self._known.version

    @property
    def _known(self) -> Knowledge:
        return self._bundles.used

    def hold(self, knowledge: Knowledge) -> None:
        """Be ready for latents of another bundle: the first of them changes to it, and nothing else."""
        self._bundles.hold(knowledge)

    def release(self, version: str) -> None:
        """Forget a bundle, unless it is in use."""
        self._bundles.release(version)

    def reset(self) -> None:
        """An episode starts: the robot stands."""
        self._speed.reset()
        self._last = self._adapter.zero()
        self._recovery.reset()
        self._strict_s, self._hindered, self._gauged_ns = 0.0, False, -1
        if self._known.gauge is not None:
            self._known.gauge.reset()

    def forgive(self) -> None:
        """Whoever was asked for help says that it was given: try again."""
        self._recovery.reset()

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
            odometry = inputs.speed.speed if inputs.speed is not None else None
            self._recovery.advance(self._last, self._dt_s, self._hindered, self._speed.measured, odometry)
            self._strict_s = max(0.0, self._strict_s - self._dt_s)
        if inputs.latent is not None:
            self._bundles.follow(inputs.latent.version)
        self._look(inputs.latent)
        decision = self._table(inputs)
        # The last clip. It changes nothing, since every row answers from inside the box.
        box = self._box(braking=decision.reason in BRAKE_REASONS)
        action = self._limits.clip(decision.action, box)
        novelty = "" if self._known.gauge is None else str(self._known.gauge.state)
        decision = replace(decision, action=action, speed_source=self._speed.source, novelty=novelty)
        if commit:
            self._remember(decision)
        return decision

    def _remember(self, decision: Decision) -> None:
        self._last = decision.action
        self._last_stamp_ns = decision.stamp_ns
        self._hindered = decision.reason in (Reason.SUBSTITUTE, Reason.ESCAPE)
        if decision.changed and decision.reason not in BRAKE_REASONS:
            self._strict_s = self._config.hold_s
        if decision.reason not in (
            Reason.SUBSTITUTE,
            Reason.ESCAPE,
            Reason.PASS,
            Reason.RECOVER,
            Reason.STUCK,
        ):
            # Somebody else drove, or nobody: what was tried before says nothing of now.
            self._recovery.reset()

    def _look(self, latent: Latent | None) -> None:
        """Show the gauge every latent of this bundle once."""
        gauge = self._known.gauge
        if gauge is None or latent is None or latent.version != self.version:
            return
        if latent.stamp_ns != self._gauged_ns:
            gauge.add(latent.feature)
            self._gauged_ns = latent.stamp_ns

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
        if self._known.risk is None or latent.version != self.version:
            return self._brake(Reason.UNKNOWN_BUNDLE, "latent", stamp_ns)
        advice = self._novel(stamp_ns) or self._certify(latent, proposal, self._known.risk)
        return self._shadowed(advice, proposal) if self.mode is Mode.SHADOW else advice

    def _novel(self, stamp_ns: int | None) -> Decision | None:
        gauge = self._known.gauge
        if gauge is None or gauge.state.level is not Level.ERROR or not self._config.stop_novel:
            return None
        return self._brake(Reason.NOVEL, "latent", stamp_ns)

    def _shadowed(self, advice: Decision, proposal: Proposal) -> Decision:
        """The nominal command within the limits, and beside it what would have been answered."""
        if advice.reason is Reason.NON_FINITE:
            return advice
        return replace(
            advice,
            stamp_ns=proposal.stamp_ns,
            action=self._limits.clip(proposal.action, self._box()),
            changed=False,
            reason=Reason.SHADOW,
            late_input="",
            source=Source.POLICY,
            nominal=proposal.action,
            would=advice.reason,
            would_action=advice.action,
        )

    def _certify(self, latent: Latent, proposal: Proposal, risk: RiskModel) -> Decision:
        nominal = self._limits.clip(proposal.action, self._box())
        candidates = self._candidates(nominal)
        estimate = risk(latent.feature, candidates)
        if not estimate.is_finite():
            return self._brake(Reason.NON_FINITE, "safety value", proposal.stamp_ns)
        chosen, reason = self._choose(candidates, estimate, proposal.action)
        if reason is Reason.STUCK:
            return self._brake(reason, "operator", proposal.stamp_ns)
        raw = self._adapter.raw(candidates)
        raw[0] = nominal
        return Decision(
            proposal.stamp_ns,
            raw[chosen],
            chosen != 0,
            reason,
            "",
            1.0 - estimate.state_risk,
            1.0 - self._allowed(),
            len(candidates),
            self.version,
            Source.POLICY,
            proposal.action,
            np.concatenate([raw, estimate.risk[:, None]], axis=1, dtype=np.float32),
        )

    def _allowed(self) -> float:
        """The risk up to which a command is certified now."""
        allowed = self._known.risk_threshold * self._config.risk_share
        if self._cautious:
            allowed *= self._config.caution_risk
        return allowed * (1.0 - self._config.hysteresis) if self._strict_s > 1e-9 else allowed

    @property
    def _cautious(self) -> bool:
        gauge = self._known.gauge
        return gauge is not None and gauge.state.level is not Level.OK

    def _choose(
        self, candidates: FloatArray, estimate: RiskEstimate, nominal: FloatArray
    ) -> tuple[int, Reason]:
        certified = estimate.risk <= self._allowed()
        least_support = self._known.least_support
        if least_support is not None and estimate.support is not None:
            # The driver's own command came from the data; what the filter thinks up need not.
            certified[1:] &= estimate.support[1:] >= least_support
        recovery = self._recovery
        if recovery.stuck():
            recovery.begin(nominal, self._safer_side(candidates, estimate, nominal))
        if recovery.exhausted and (recovery.obstructed or not certified[0]):
            return 0, Reason.STUCK
        if certified[0] and not recovery.running:
            if recovery.exhausted:
                recovery.reset()
            return 0, Reason.PASS
        if recovery.retreating:
            # Critics that let the robot come to where it is held know nothing of what holds it.
            certified[:] = True
        if not certified.any():
            return _least_harm(estimate), Reason.ESCAPE
        target = recovery.wish() if recovery.running else candidates[0]
        distance = np.where(certified, np.linalg.norm(candidates - target, axis=1), np.inf)
        return int(np.argmin(distance)), Reason.RECOVER if recovery.running else Reason.SUBSTITUTE

    def _safer_side(self, candidates: FloatArray, estimate: RiskEstimate, nominal: FloatArray) -> float:
        """1 if turning left while driving on is less risky than turning right, else -1."""
        ahead = float(np.sign(self._adapter.steady_speed(nominal)[0]))
        side = self._recovery.sides(candidates, ahead)
        left, right = side > 0.2, side < -0.2
        if not left.any() or not right.any():
            return 1.0
        return 1.0 if estimate.risk[left].mean() <= estimate.risk[right].mean() else -1.0

    def _candidates(self, nominal: FloatArray) -> FloatArray:
        """(K, A) effective: nominal, brake, a grid over the reachable box, and the wish of a recovery."""
        low, high = self._box()
        axes = [
            np.linspace(a, b, self._config.grid, dtype=np.float32) for a, b in zip(low, high, strict=True)
        ]
        grid = np.asarray(list(itertools.product(*axes)), np.float32)
        brake = np.clip(self._adapter.effective(self._brake_raw()), low, high)
        parts = [self._adapter.effective(nominal)[None], brake[None], grid]
        if self._recovery.running:
            parts.append(np.clip(self._recovery.wish(), low, high)[None])
        return np.concatenate(parts).astype(np.float32)

    def _box(self, braking: bool = False) -> tuple[FloatArray, FloatArray]:
        pace = self._config.caution_pace if self._cautious and self.mode is Mode.FILTER else 1.0
        return self._limits.box(self._last, self._dt_s, self._speed.measured, braking, pace)

    def _brake_raw(self) -> FloatArray:
        raw = brake_action(self._adapter, self._speed.value, self._config.brake_dt_s)
        return self._limits.clip(raw, self._box(braking=True))

    def _brake(self, reason: Reason, late_input: str, stamp_ns: int | None = None) -> Decision:
        stamp = self._last_stamp_ns if stamp_ns is None else stamp_ns
        return Decision(stamp, self._brake_raw(), True, reason, late_input, _NAN, _NAN, 0, self.version)

    def _limited(self, wish: FloatArray, reason: Reason, source: Source, stamp_ns: int | None) -> Decision:
        stamp = self._last_stamp_ns if stamp_ns is None else stamp_ns
        action = self._limits.scale(wish, self._box())
        return Decision(stamp, action, False, reason, "", _NAN, _NAN, 0, self.version, source, wish)


_LIKELY = 0.5
_FLAT = 0.05
"""Risks that differ by less are alike: the expected cost decides."""


def _least_harm(estimate: RiskEstimate) -> int:
    """Index of the candidate of least cost among those whose risk is about the least.

    The brake is a candidate, so this is never worse than doing nothing by what the critics know. The nominal
    command, candidate 0, stays where it is one of those, costs no more than the brake, candidate 1, and a
    violation is not yet likely: a driver who escapes by himself knows better than an argmin among equals.
    """
    least = estimate.risk.min()
    alike = estimate.risk <= least + _FLAT
    if alike[0] and least < _LIKELY and estimate.cost[0] <= estimate.cost[1]:
        return 0
    return int(np.argmin(np.where(alike, estimate.cost, np.inf)))
