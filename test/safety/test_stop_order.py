"""The order of a stop and its end, on a clock the test holds: freshness, filter and silence together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.filters import VERSION, WHEELED, LinearRisk, latent, proposal

from safe_o2o_ros.safety.filter import FilterConfig, SafetyFilter
from safe_o2o_ros.safety.inbox import Inbox, InboxConfig, Timeouts
from safe_o2o_ros.safety.silence import Silence
from safe_o2o_ros.types import BRAKE_REASONS, Decision, Mode

PERIOD_MS, TICK_MS = 80, 50
DEATH_MS, END_MS = 3_000, 7_000
TIMEOUT_MS, HOLD_MS = 500, 1_000
FULL_SPEED = 1.0
NOMINAL = "cmd_vel_nominal"


@dataclass
class Shell:
    """What the node does around the pure objects, in milliseconds."""

    mode: Mode = Mode.FILTER
    sent: list[tuple[int, Decision]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = Inbox(WHEELED, InboxConfig(VERSION, 4), Timeouts())
        self.filter = SafetyFilter(WHEELED, FilterConfig(self.mode), LinearRisk(), 0.5, VERSION)
        self.silence = Silence(HOLD_MS / 1e3)
        self.decided_s = 0.0

    def hear(self, now_ms: int, names: tuple[str, ...]) -> None:
        now_s, stamp_ns = now_ms / 1e3, now_ms * 1_000_000 + 1
        if "latent" in names:
            self.inbox.note_latent(latent(stamp_ns), now_s)
        if NOMINAL in names:
            self.inbox.note_proposal(proposal(FULL_SPEED, 0.0, stamp_ns), now_s)
        if "cmd_vel_teleop" in names:
            self.inbox.note_operator(np.array([FULL_SPEED, 0.0], np.float32), None, now_s)
        question = self.inbox.question(self.mode, True, False, now_s)
        if question is not None:
            self.answer(now_ms, self.filter.decide(question, self.elapsed(now_s)))

    def tick(self, now_ms: int) -> None:
        now_s = now_ms / 1e3
        inputs = self.inbox.deadline(self.mode, True, False, now_s)
        if inputs.late_input or inputs.operator is not None:
            decision = self.filter.decide(inputs, self.elapsed(now_s))
            braking = decision.reason in BRAKE_REASONS
            if not braking or self.silence.speaks(self.filter.standing, now_s):
                self.answer(now_ms, decision)

    def elapsed(self, now_s: float) -> float:
        before, self.decided_s = self.decided_s, now_s
        return now_s - before

    def answer(self, now_ms: int, decision: Decision) -> None:
        if decision.reason not in BRAKE_REASONS:
            self.silence.moved()
        self.sent.append((now_ms, decision))


def run(shell: Shell, heard: Callable[[int], tuple[str, ...]]) -> int:
    """Drive, lose what `heard` no longer gives after the death; returns the last time all was heard."""
    last_ms = 0
    for now_ms in range(0, END_MS, 10):
        if now_ms % PERIOD_MS == 0:
            shell.hear(now_ms, heard(now_ms))
            last_ms = now_ms if now_ms < DEATH_MS else last_ms
        if now_ms % TICK_MS == 0:
            shell.tick(now_ms)
    return last_ms


def dying(*names: str, beside: tuple[str, ...] = ()) -> Callable[[int], tuple[str, ...]]:
    return lambda now_ms: (*beside, *(names if now_ms < DEATH_MS else ()))


@pytest.mark.parametrize(
    ("mode", "heard", "named"),
    [
        pytest.param(Mode.FILTER, dying("latent", NOMINAL), "latent", id="camera or encoder"),
        pytest.param(
            Mode.FILTER, dying("cmd_vel_nominal", beside=("latent",)), "cmd_vel_nominal", id="policy"
        ),
        pytest.param(
            Mode.LIMITS_ONLY, dying("cmd_vel_teleop"), "cmd_vel_nominal", id="operator, nobody else"
        ),
    ],
)
def test_after_a_death_the_robot_is_driven_braked_held_at_zero_and_left_in_silence(
    mode: Mode, heard: Callable[[int], tuple[str, ...]], named: str
) -> None:
    shell = Shell(mode)
    last_ms = run(shell, heard)
    after = [(at, d) for at, d in shell.sent if at > last_ms]
    braking = [(at, d) for at, d in after if d.reason in BRAKE_REASONS]
    first_ms, first = braking[0]
    # Driven until then, at full speed, and never again.
    before = [d for at, d in shell.sent if TIMEOUT_MS + 1_000 < at < first_ms]
    assert before
    assert all(d.reason not in BRAKE_REASONS and d.action[0] == FULL_SPEED for d in before)
    assert all(d.reason in BRAKE_REASONS for at, d in after if at >= first_ms)
    # Named, and in time.
    assert first.late_input == named
    assert TIMEOUT_MS < first_ms - last_ms <= TIMEOUT_MS + 2 * TICK_MS
    # Slower with every answer, zero after speed / deceleration (and the tick it falls into), never reversed.
    speeds = [float(d.action[0]) for _, d in braking]
    moving = [v for v in speeds if v > 0.0]
    assert all(a > b for a, b in zip(moving, moving[1:], strict=False))
    assert min(speeds) == 0.0
    zeros_ms = [at for at, d in braking if not d.action.any()]
    stopping_ms = 1_000 * FULL_SPEED / WHEELED.max_decel[0]
    assert zeros_ms[0] - first_ms <= stopping_ms + TICK_MS
    # Zeros are held, then nothing.
    assert HOLD_MS - TICK_MS <= zeros_ms[-1] - zeros_ms[0] <= HOLD_MS + TICK_MS
    assert zeros_ms == list(range(zeros_ms[0], zeros_ms[-1] + 1, TICK_MS))
    assert shell.sent[-1][0] == zeros_ms[-1] < END_MS - 1_000


def test_an_operator_who_dies_leaves_the_robot_to_the_policy_that_is_still_there() -> None:
    shell = Shell()
    policy = ("latent", NOMINAL)
    last_ms = run(shell, dying("cmd_vel_teleop", beside=policy))
    reasons = [(at, d.reason.value) for at, d in shell.sent if at > 1_000]
    assert {r for at, r in reasons if at <= last_ms + TIMEOUT_MS} == {"operator"}
    assert {r for at, r in reasons if at > last_ms + TIMEOUT_MS + 2 * TICK_MS} == {"pass"}
