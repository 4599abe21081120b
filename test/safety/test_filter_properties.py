"""What the filter promises for every input, found by search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.filters import PERIOD_S, VERSION, WHEELED, LinearRisk

from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.robot import POINT, ROOM_BASE, RobotAdapter
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.inbox import Inbox, InboxConfig, Timeouts
from safe_o2o_ros.safety.limits import Limits, SpeedEstimate
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.recovery import RecoveryConfig
from safe_o2o_ros.types import BRAKE_REASONS, Decision, Latent, Mode, Proposal, Reason, Source

ANY = st.floats(width=32)  # NaN and infinities too
UNIT = st.floats(-1.0, 1.0, width=32)
COEFFICIENT = st.floats(-2.0, 2.0)


def pair(values: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    return st.tuples(values, values).map(lambda v: np.array(v, np.float32))


ACTIONS = pair(UNIT)
LATENTS = st.builds(Latent, st.integers(0, 9), st.sampled_from([VERSION, "other"]), pair(ANY), ANY)
PROPOSALS = st.builds(Proposal, st.integers(0, 9), pair(ANY), st.just("offline"))
INPUTS = st.builds(
    FilterInputs,
    enabled=st.sampled_from([True, True, False]),
    latent=st.none() | LATENTS,
    proposal=st.none() | PROPOSALS,
    late_input=st.sampled_from(["", "", "latent", "cmd_vel_nominal"]),
    closing=st.sampled_from([False, False, True]),
)
RISKS = st.builds(
    LinearRisk,
    weight=st.tuples(COEFFICIENT, COEFFICIENT),
    bias=st.floats(-1.0, 2.0),
    slope=st.tuples(COEFFICIENT, COEFFICIENT),
    state_risk=UNIT | ANY,
)
THRESHOLDS = st.floats(0.0, 1.0)
HEAVY = replace(POINT, name="heavy", max_accel=(1.0, 2.0), max_decel=(2.5, 5.0))
ADAPTERS = st.sampled_from([POINT, WHEELED, ROOM_BASE])


def build(adapter: RobotAdapter, mode: Mode, risk: LinearRisk | None, threshold: float) -> SafetyFilter:
    return SafetyFilter(adapter, FilterConfig(mode, brake_dt_s=PERIOD_S), risk, threshold, VERSION)


def usable(inputs: FilterInputs, mode: Mode, risk: LinearRisk | None) -> bool:
    """Nothing is missing, late, non-finite, unknown or off."""
    if inputs.closing or not inputs.enabled or inputs.late_input or inputs.proposal is None:
        return False
    if not np.isfinite(inputs.proposal.action).all():
        return False
    if mode is Mode.LIMITS_ONLY:
        return True
    if inputs.latent is None or inputs.latent.version != VERSION or risk is None:
        return False
    if inputs.latent.stamp_ns != inputs.proposal.stamp_ns:
        return False
    return bool(np.isfinite(inputs.latent.feature).all() and np.isfinite(risk.state_risk))


@settings(max_examples=150)
@given(
    ADAPTERS,
    st.sampled_from(list(Mode)),
    st.none() | RISKS,
    THRESHOLDS,
    st.lists(st.tuples(INPUTS, st.floats(1e-3, PERIOD_S)), min_size=1, max_size=12),
)
def test_every_answer_is_bounded_and_whatever_is_wrong_brakes(
    adapter: RobotAdapter,
    mode: Mode,
    risk: LinearRisk | None,
    threshold: float,
    ticks: list[tuple[FilterInputs, float]],
) -> None:
    subject = build(adapter, mode, risk, threshold)
    truth, limits = SpeedEstimate(adapter), Limits(adapter)
    last = adapter.zero()
    for inputs, elapsed in ticks:
        truth.advance(last, elapsed)
        decision = subject.decide(inputs, elapsed)
        action = decision.action
        assert action.shape == (2,) and action.dtype == np.float32
        assert np.isfinite(action).all() and np.abs(action).max() <= 1.0
        assert (decision.reason in BRAKE_REASONS) == (not usable(inputs, mode, risk))
        if decision.reason in BRAKE_REASONS:
            # Each channel pushes against the motion, or lets go; never in its direction harder than before.
            pushes = adapter.effective(action)
            against = pushes * truth.speed <= 1e-9
            weaker = np.abs(pushes) <= np.abs(adapter.effective(last)) + 1e-6
            assert (against | weaker).all()
            after = SpeedEstimate(adapter)
            after.speed = truth.speed.copy()
            after.advance(action, elapsed)
            assert (np.abs(after.speed) <= np.abs(truth.speed) + 1e-6).all()
        assert np.array_equal(limits.clip(action, limits.box(last, elapsed)), action)
        last = action


@settings(max_examples=150)
@given(ADAPTERS, RISKS, THRESHOLDS, ACTIONS, ACTIONS)
def test_the_answer_is_the_nearest_certified_command_or_else_the_cheapest(
    adapter: RobotAdapter, risk: LinearRisk, threshold: float, before: np.ndarray, nominal: np.ndarray
) -> None:
    risk.state_risk = 0.5
    subject = build(adapter, Mode.FILTER, risk, threshold)
    feature = np.zeros(2, np.float32)

    def ask(action: np.ndarray) -> Decision:
        latent = Latent(1, VERSION, feature, 0.0)
        return subject.decide(FilterInputs(True, latent, Proposal(1, action, "offline")))

    first = ask(before)
    last = first.action
    decision = ask(nominal)
    reason, action, changed = decision.reason, decision.action, decision.changed
    allowed = 0.9 * threshold if first.changed else threshold  # hysteresis after a change
    assert decision.threshold == pytest.approx(1.0 - allowed)
    limits = Limits(adapter)
    limited = limits.clip(nominal, limits.box(last, PERIOD_S))
    candidates = risk.asked[-1]
    assert np.array_equal(candidates[0], adapter.effective(limited))
    certified = risk.risk(candidates) <= allowed
    # What was scored is what is executed, to the last bit of a float's rounding through the saturation.
    executed = adapter.effective(action)
    chosen = int(np.abs(candidates - executed).max(axis=1).argmin())
    np.testing.assert_allclose(executed, candidates[chosen], atol=3e-7)
    distance = np.linalg.norm(candidates - candidates[0], axis=1)
    if reason is Reason.PASS:
        assert certified[0] and not changed and np.array_equal(action, limited)
    elif reason is Reason.SUBSTITUTE:
        assert not certified[0] and changed
        assert risk.risk(executed[None])[0] <= allowed + 1e-5
        assert distance[chosen] <= distance[certified].min() + 1e-6
    else:
        assert reason is Reason.ESCAPE and not certified.any()
        # The driver's own, where no violation is likely and it is no worse than a brake; else the cheapest
        # of those that are about as harmless as can be.
        harmless = risk.risk(candidates) <= risk.risk(candidates).min() + 0.05
        assert risk.risk(executed[None])[0] <= risk.risk(candidates).min() + 0.05 + 1e-5
        costs = risk.cost(candidates)
        kept = not changed and risk.risk(candidates).min() < 0.5 and costs[0] <= costs[1]
        assert kept or risk.cost(executed[None])[0] <= costs[harmless].min() + 1e-4


@given(ADAPTERS, ACTIONS, ACTIONS)
def test_a_certified_command_inside_the_limits_passes_bit_for_bit(
    adapter: RobotAdapter, before: np.ndarray, nominal: np.ndarray
) -> None:
    subject = build(adapter, Mode.FILTER, LinearRisk(), 0.0)
    latent = Latent(1, VERSION, np.zeros(2, np.float32), 0.0)
    last = subject.decide(FilterInputs(True, latent, Proposal(1, before, "offline"))).action
    low, high = Limits(adapter).box(last, PERIOD_S)
    inside = (adapter.effective(nominal) >= low) & (adapter.effective(nominal) <= high)
    decision = subject.decide(FilterInputs(True, latent, Proposal(1, nominal, "offline")))
    assert decision.reason is Reason.PASS
    assert np.array_equal(decision.action[inside], nominal[inside])


@given(ADAPTERS, st.lists(st.tuples(ACTIONS, st.floats(0.01, PERIOD_S)), max_size=10))
def test_a_disabled_robot_comes_to_rest_without_reversing(
    adapter: RobotAdapter, history: list[tuple[np.ndarray, float]]
) -> None:
    subject = build(adapter, Mode.LIMITS_ONLY, None, 0.0)
    truth = SpeedEstimate(adapter)
    last = adapter.zero()
    for action, elapsed in history:
        truth.advance(last, elapsed)
        last = subject.decide(FilterInputs(True, None, Proposal(1, action, "offline")), elapsed).action
    stop = FilterInputs(False, None, None)
    for _ in range(14):
        truth.advance(last, PERIOD_S)
        before = truth.speed.copy()
        last = subject.decide(stop).action
        after = SpeedEstimate(adapter)
        after.speed = before.copy()
        after.advance(last, PERIOD_S)
        assert (np.abs(after.speed) <= np.abs(before) + 1e-6).all()
        assert (after.speed * np.sign(before) >= -1e-6).all()
    assert subject.standing
    assert (np.abs(truth.speed) <= 0.01 * np.asarray(adapter.top_speed)).all()


JUMPS = st.sampled_from([1, 1, 1, 1, 0, -5, 3_600_000_000_000, -3_600_000_000_000])
"""Of stamps, ns: they go on, stand still, and jump as clocks that are set do."""
KINDS = ["pair"] * 12 + [
    "latent",
    "nominal",
    "operator",
    "odom",
    "e_stop",
    "enable",
    "mode",
    "reset",
    "start",
]


@dataclass(frozen=True)
class Event:
    """Something heard; only the fields its kind needs are looked at."""

    kind: str
    wait_s: float
    jump_ns: int
    wish: np.ndarray
    anything: np.ndarray
    version: str
    yes: bool
    mode: Mode


WAITS = st.sampled_from([0.0, 0.01, 0.08, 0.08, 0.08, 0.1, 0.3, 0.7])
EVENTS = st.builds(
    Event,
    st.sampled_from(KINDS),
    WAITS,
    JUMPS,
    ACTIONS,
    pair(UNIT | ANY),
    st.sampled_from([VERSION, "other"]),
    st.booleans(),
    st.sampled_from(list(Mode)),
)
TICK_S = 0.05


class Shell:
    """Inbox and filter as the node runs them, on a clock the test holds."""

    def __init__(
        self, adapter: RobotAdapter, risk: LinearRisk | None, use_odom: str, use_e_stop: bool, gauges: bool
    ) -> None:
        self.adapter = adapter
        config = FilterConfig(
            brake_dt_s=PERIOD_S,
            require_odom=use_odom == "require",
            recovery=RecoveryConfig(stuck_s=0.2, attempts=2),
        )
        gauge = NoveltyGauge(Thresholds(0.5, 3.0, 9.0, {}, 3.0, 9.0), PERIOD_S) if gauges else None
        self.filter = SafetyFilter(adapter, config, risk, 0.5, VERSION, gauge, 0.1 if gauges else None)
        version = VERSION if risk else ""
        self.inbox = Inbox(adapter, InboxConfig(version, 4, use_e_stop, use_odom), Timeouts())
        self.mode, self.enabled, self.now_s, self.decided_s = Mode.FILTER, True, 0.0, 0.0
        self.stamp_ns = 0
        self.answers: list[tuple[FilterInputs, Decision, np.ndarray, float]] = []

    def hear(self, event: Event) -> None:
        kind, now_s = event.kind, self.now_s
        if kind in ("pair", "latent", "nominal", "operator", "odom"):
            self.stamp_ns += event.jump_ns
        if kind == "pair":
            self.inbox.note_e_stop(False, now_s)
            # Signs of novelty up to ten: familiar, odd and out of distribution.
            feature = np.array([0.0, *np.abs(10.0 * event.wish), event.yes], np.float32)
            self.inbox.note_latent(Latent(self.stamp_ns, VERSION, feature, 0.0), now_s)
            self.inbox.note_proposal(Proposal(self.stamp_ns, event.wish, "offline"), now_s)
        elif kind == "latent":
            latent = Latent(self.stamp_ns, event.version, np.resize(event.anything, 4), 0.0)
            self.inbox.note_latent(latent, now_s)
        elif kind == "nominal":
            self.inbox.note_proposal(Proposal(self.stamp_ns, event.anything, "offline"), now_s)
        elif kind == "operator":
            self.inbox.note_operator(event.anything, self.stamp_ns, now_s)
        elif kind == "odom":
            self.inbox.note_odom(event.anything, self.stamp_ns, now_s)
        elif kind == "e_stop":
            self.inbox.note_e_stop(event.yes, now_s)
        elif kind == "enable":
            self.enabled = event.yes
        elif kind == "mode":
            self.mode = event.mode
        elif kind == "reset":
            self.inbox.reset()
        elif kind == "start":
            self.filter.reset()
        question = self.inbox.question(self.mode, self.enabled, False, self.now_s)
        if question is not None:
            self.answer(question)

    def tick(self) -> None:
        inputs = self.inbox.deadline(self.mode, self.enabled, False, self.now_s)
        if self.inbox.is_due(inputs):
            self.answer(inputs)

    def answer(self, inputs: FilterInputs) -> None:
        self.filter.mode = self.mode
        last, elapsed = self.filter.last_action.copy(), self.now_s - self.decided_s
        decision = self.filter.decide(inputs, elapsed)
        self.decided_s = self.now_s
        self.answers.append((inputs, decision, last, min(elapsed, PERIOD_S)))


@settings(max_examples=200)
@given(
    st.sampled_from([POINT, WHEELED, HEAVY, ROOM_BASE]),
    st.none() | RISKS,
    st.sampled_from(["auto", "auto", "never", "require"]),
    st.sampled_from([False, False, True]),
    st.booleans(),
    st.lists(EVENTS, min_size=5, max_size=30),
)
def test_whatever_is_heard_in_whatever_order_the_answer_is_bounded_and_ends_in_zero(
    adapter: RobotAdapter,
    risk: LinearRisk | None,
    use_odom: str,
    use_e_stop: bool,
    gauges: bool,
    history: list[Event],
) -> None:
    shell = Shell(adapter, risk, use_odom, use_e_stop, gauges)
    for event in history:
        until_s = shell.now_s + event.wait_s
        while shell.now_s + TICK_S < until_s:
            shell.now_s += TICK_S
            shell.tick()
        shell.now_s = until_s
        shell.hear(event)
    limits = Limits(adapter)
    for inputs, decision, last, dt_s in shell.answers:
        action = decision.action
        assert np.isfinite(action).all() and np.abs(action).max() <= 1.0
        # Within the acceleration limits; what was certified is what is executed, to the last bit.
        assert np.array_equal(limits.clip(action, limits.box(last, dt_s)), action)
        if decision.scores is not None:
            assert any(np.array_equal(action, row[:2]) for row in decision.scores)
        assert (decision.source is Source.NONE) == (decision.reason in BRAKE_REASONS)
        # No way from unknown to pass: whoever drives was allowed to, by name.
        if decision.reason not in BRAKE_REASONS:
            assert inputs.enabled and not inputs.e_stop and not inputs.closing
        if decision.source is Source.POLICY:
            assert inputs.operator is None and not inputs.late_input and not inputs.refusal
            assert inputs.proposal is not None and np.isfinite(inputs.proposal.action).all()
            if decision.reason is not Reason.LIMITS_ONLY:
                assert inputs.latent is not None and inputs.latent.version == VERSION and risk is not None
            if decision.reason is not Reason.LIMITS_ONLY and decision.reason is not Reason.SHADOW:
                assert not decision.novelty.startswith("stop")
    # Silence from here on: braking starts within the largest time-out and two ticks, then it stands.
    for _ in range(int((0.5 + 1.2) / TICK_S) + 2):
        shell.now_s += TICK_S
        shell.tick()
    _, decision, _, _ = shell.answers[-1]
    assert decision.reason in BRAKE_REASONS and not decision.action.any()


@given(ADAPTERS, st.floats(0.0, 3.0), ACTIONS, ACTIONS, pair(st.floats(-3.0, 3.0, width=32)))
def test_a_measured_speed_only_ever_narrows_the_box_and_never_shuts_out_standing_still(
    adapter: RobotAdapter, dt_s: float, last: np.ndarray, wish: np.ndarray, measured: np.ndarray
) -> None:
    limits = Limits(adapter)
    low, high = limits.box(last, dt_s)
    narrow_low, narrow_high = limits.box(last, dt_s, measured)
    assert (low <= narrow_low).all() and (narrow_low <= narrow_high).all() and (narrow_high <= high).all()
    stop = limits.clip(adapter.zero(), (low, high))
    assert np.array_equal(limits.clip(stop, (narrow_low, narrow_high)), stop)
    action = limits.scale(wish, (narrow_low, narrow_high))
    effective = adapter.effective(action)
    assert (effective >= narrow_low - 1e-6).all() and (effective <= narrow_high + 1e-6).all()
