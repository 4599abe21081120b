"""What the graph says, joined into transitions: one per control period, and every lost one named.

A period lies between two frame sets. What carries a stamp (commands, the filter's state) belongs to the
period of its image; what carries none (reward, cost, episode events) to the one in which it was received.
So every input comes with a time, and the order of the calls does not matter where the times tell it: an
executor may hand over a reward before the frame that preceded it. On a robot it is the time of receipt. In
lockstep it is the time of sending: there everything without a stamp has one sender, and a message that was
lost on the way and sent again must not change what is recorded.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.online.heard import Entry, Heard
from safe_o2o_ros.online.pieces import Driver, PieceBuilder, Transition
from safe_o2o_ros.types import Decision, FloatArray, FrameSet, Proposal, Reason, Source

START = "start"
TERMINAL = ("success", "failure")
"""Events that end an episode by the rules of its task."""
ENDINGS = (*TERMINAL, "timeout", "abort")
"""All events that end one."""
DROPS = (
    "starting",
    "between_episodes",
    "no_last_frame",
    "reset",
    "gap",
    "clock_jump",
    "repeated_frame",
    "no_command",
    "stale_command",
    "bad_command",
    "e_stop",
    "disabled",
    "no_reward",
    "bad_reward",
    "no_cost",
    "bad_cost",
)
"""Why a period is not recorded (docs/finetuning.md says each in a sentence)."""
_IDLE = {Reason.E_STOP: "e_stop", Reason.DISABLED: "disabled"}
_DRIVERS = {"offline": Driver.OFFLINE, "online": Driver.ONLINE}
_MOST_WAITING = 4096
"""Rewards, costs and events that may wait for a frame."""
_MOST_PERIODS = 128
"""Periods that may wait for their messages in lockstep."""


@dataclass(frozen=True)
class JoinConfig:
    """How to join. Times in seconds."""

    period_s: float
    """Control period."""
    lockstep: bool = False
    """The simulator steps on the first command for a frame, and what belongs to a period is waited for; else
    the last command in force counts, and a period is judged when the next one is over."""
    long_gap_s: float = 0.5
    """An episode ends where the next frame comes so long after the last one."""
    command_timeout_s: float = 0.5
    """A command this old says no longer what the base does: it brakes by itself."""
    outcome_delay_s: float = 0.0
    """Rewards and costs come so long after what they judge; at most a control period."""
    require_reward: bool = False
    """A period without a reward is dropped; else it counts 0."""
    require_cost: bool = False
    """The same of cost."""
    warm_up_s: float = 0.0
    """Nothing is recorded so long after the first frame: the publisher of a cost may be found after the
    camera, and a period must not look free of cost because nobody heard it. Not in lockstep."""
    operator_cost: float = 0.0
    """Least cost of a period in which the operator takes over from the policy; 0 = that costs nothing."""
    version: str = ""
    """Bundle version where the filter's state tells none."""


@dataclass(frozen=True)
class _Seen:
    frames: FrameSet
    at_ns: int


@dataclass(frozen=True)
class _Period:
    start: _Seen
    end: _Seen
    ending: str
    """The event that came in it, "" if none."""


@dataclass(frozen=True)
class _Break:
    """What lies between two frames is no period."""

    cause: str
    at_ns: int


class TransitionJoiner:
    """Tell it everything; `take` gives pieces of episodes.

    Every frame set after the first offers one transition, which is stored in a piece or counted in `drops`:
    `offered == transitions in pieces + sum(drops) + pending`. Times `at_ns` are of one steady clock.
    """

    def __init__(self, config: JoinConfig, builder: PieceBuilder) -> None:
        self._config, self._builder = config, builder
        self._commands: Heard[FloatArray] = Heard()
        self._proposals: Heard[Proposal] = Heard()
        self._states: Heard[Decision] = Heard()
        self._events: deque[tuple[int, str]] = deque(maxlen=_MOST_WAITING)
        self._outcomes: dict[str, deque[tuple[int, float]]] = {
            name: deque(maxlen=_MOST_WAITING) for name in ("reward", "cost", "bumper")
        }
        self._last: _Seen | None = None
        self._ready_ns = 0
        self._waiting: deque[_Period | _Break] = deque()
        """Over, and not judged yet: messages that belong there may come after the end."""
        self._over = False
        """The episode has ended and no other has begun."""
        self._version = config.version
        self.offered = 0
        """Transitions there were."""
        self.drops: Counter[str] = Counter(dict.fromkeys(DROPS, 0))
        """Transitions that are not recorded, by cause."""
        self.notes: Counter[str] = Counter(
            dict.fromkeys(("command_of_another_frame", "frames_missing", "no_reward_heard", "unjoined"), 0)
        )
        """Peculiarities of recorded transitions; "unjoined": rewards and costs that belong to none."""

    @property
    def pending(self) -> int:
        """Transitions that are neither in a piece nor dropped yet."""
        return self._builder.pending + len(self._waiting)

    def episode(self, event: str, at_ns: int) -> None:
        """An episode event; unknown ones are ignored."""
        if event == START or event in ENDINGS:
            self._events.append((at_ns, event))

    def reward(self, value: float, at_ns: int) -> None:
        """A reward was received."""
        self._note("reward", value, at_ns)

    def cost(self, value: float, at_ns: int) -> None:
        """A cost was received."""
        self._note("cost", value, at_ns)

    def bumper(self, pressed: bool, at_ns: int) -> None:
        """A bumper spoke: pressed costs 1."""
        self._note("bumper", float(pressed), at_ns)

    def _note(self, name: str, value: float, at_ns: int) -> None:
        waiting = self._outcomes[name]
        self.notes["unjoined"] += len(waiting) == _MOST_WAITING
        waiting.append((at_ns - round(self._config.outcome_delay_s * 1e9), value))

    def executed(self, stamp_ns: int, action: FloatArray, at_ns: int) -> None:
        """The base was told `action` (A,), in answer to the image of `stamp_ns`."""
        self._commands.note(stamp_ns, at_ns, action)

    def nominal(self, proposal: Proposal, at_ns: int) -> None:
        """A policy asked for something."""
        self._proposals.note(proposal.stamp_ns, at_ns, proposal)

    def state(self, decision: Decision, at_ns: int) -> None:
        """The filter said what it did."""
        self._states.note(decision.stamp_ns, at_ns, decision)

    def frames(self, frames: FrameSet, at_ns: int) -> None:
        """The frame set of a control period: it ends the period before."""
        last, seen = self._last, _Seen(frames, at_ns)
        if last is None:
            self._hear(at_ns)
            self._last = seen
            self._ready_ns = at_ns + round(self._config.warm_up_s * 1e9)
            self._discard(at_ns)
            return
        self.offered += 1
        if frames.stamp_ns == last.frames.stamp_ns:
            self.drops["repeated_frame"] += 1
            return
        cause, ending = self._hear(at_ns)
        if not cause:
            ahead_ns = frames.stamp_ns - last.frames.stamp_ns
            if ahead_ns < 0:
                cause = "clock_jump"
            elif ahead_ns > self._config.long_gap_s * 1e9:
                cause = "gap"
            elif last.at_ns < self._ready_ns and not self._config.lockstep:
                cause = "starting"
        self._waiting.append(_Break(cause, at_ns) if cause else _Period(last, seen, ending))
        self._last = seen
        while self._waiting and self._is_due():
            self._settle_one()

    def _hear(self, at_ns: int) -> tuple[str, str]:
        """Events received before `at_ns`: why the running period is none ("" = it is), how it ends ("")."""
        cause = ending = ""
        before = [event for t, event in sorted(self._events, key=lambda e: e[0]) if t < at_ns]
        self._events = deque((e for e in self._events if e[0] >= at_ns), maxlen=_MOST_WAITING)
        if self._over:
            cause = "between_episodes"
        for event in before:
            if event == START:
                cause = cause or ("no_last_frame" if ending else "reset")
                self._over, ending = False, ""
            elif not self._over:
                self._over, ending = True, event
        return cause, ending

    def silence(self, now_ns: int) -> None:
        """Call now and then: without frames for too long the episode is over. Not in lockstep."""
        if self._last is None or not self.pending:
            return
        if now_ns - self._last.at_ns > self._config.long_gap_s * 1e9:
            self._settle_all()
            self._builder.end(False, "gap")

    def close(self) -> None:
        """Nothing follows: what is complete becomes a piece."""
        self._settle_all()
        self._builder.end(False, "shutdown")

    def take(self) -> list[Episode]:
        """The pieces that were finished since the last call."""
        pieces, self._builder.pieces = self._builder.pieces, []
        return pieces

    def _is_due(self) -> bool:
        """Whether all is there that the first waiting period can have."""
        first = self._waiting[0]
        if isinstance(first, _Break) or not self._config.lockstep:
            return isinstance(first, _Break) or len(self._waiting) > 1
        stamp_ns, before_ns = first.start.frames.stamp_ns, first.end.at_ns
        wanted = [("reward", self._config.require_reward), ("cost", self._config.require_cost)]
        heard = all(
            self._outcomes[name] and self._outcomes[name][0][0] < before_ns for name, on in wanted if on
        )
        return (heard and self._states.first_of(stamp_ns) is not None) or len(self._waiting) > _MOST_PERIODS

    def _settle_all(self) -> None:
        while self._waiting:
            self._settle_one()

    def _settle_one(self) -> None:
        first = self._waiting.popleft()
        found = first.cause if isinstance(first, _Break) else self._judge(first)
        if isinstance(found, Transition):
            self._builder.add(found)
            if isinstance(first, _Period) and first.ending:
                self._builder.end(first.ending in TERMINAL, first.ending)
            return
        self._builder.end(False, found)
        self.drops[found] += 1
        if isinstance(first, _Break):
            self._discard(first.at_ns)

    def _judge(self, period: _Period) -> Transition | str:
        """The transition, or why there is none."""
        outcomes = {name: self._collect(name, period.end.at_ns) for name in self._outcomes}
        stamp_ns, next_ns = period.start.frames.stamp_ns, period.end.frames.stamp_ns
        command = self._command(period)
        if isinstance(command, str):
            return command
        state = self._state(period, command.stamp_ns)
        decision = None if state is None else state.value
        if decision is not None and decision.reason in _IDLE:
            return _IDLE[decision.reason]
        operator = decision is not None and decision.source is Source.OPERATOR
        reward = self._reward(outcomes["reward"])
        cost = self._cost(outcomes["cost"], outcomes["bumper"], operator)
        for found in (reward, cost):
            if isinstance(found, str):
                return found
        self._version = (decision.version if decision is not None else "") or self._version
        proposal = self._proposal(period)
        periods = max(1, round((next_ns - stamp_ns) / (self._config.period_s * 1e9)))
        self.notes["command_of_another_frame"] += command.stamp_ns != stamp_ns
        self.notes["frames_missing"] += periods - 1
        self.notes["no_reward_heard"] += not outcomes["reward"]
        spoke = state is not None and state.stamp_ns >= stamp_ns
        return Transition(
            frame=period.start.frames,
            following=period.end.frames,
            action=command.value,
            reward=float(reward),
            cost=float(cost),
            nominal=None if proposal is None else proposal.action,
            value=decision.value if decision is not None and spoke else math.nan,
            operator=operator,
            override=decision is not None and decision.changed,
            driver=Driver.POLICY if proposal is None else _DRIVERS.get(proposal.source, Driver.POLICY),
            version=self._version,
            periods=periods,
        )

    def _command(self, period: _Period) -> Entry[FloatArray] | str:
        stamp_ns, next_ns = period.start.frames.stamp_ns, period.end.frames.stamp_ns
        if self._config.lockstep:
            found = self._commands.first_of(stamp_ns) or self._told_by_state(stamp_ns)
        else:
            # By receipt, since a brake at a deadline carries the stamp of an older image; but not what
            # answers the next image already, whose frames may come later here than where it was answered.
            found = self._commands.in_force(next_ns, period.end.at_ns)
        if found is None:
            return "no_command"
        old = period.end.at_ns - found.at_ns > self._config.command_timeout_s * 1e9
        if old and not self._config.lockstep:
            return "stale_command"
        good = bool(np.isfinite(found.value).all()) and bool((np.abs(found.value) <= 1.0).all())
        return found if good else "bad_command"

    def _told_by_state(self, stamp_ns: int) -> Entry[FloatArray] | None:
        """The command as the filter's state repeats it, where the command itself was lost on the way."""
        state = self._states.first_of(stamp_ns)
        return None if state is None else Entry(stamp_ns, state.at_ns, state.value.action)

    def _state(self, period: _Period, command_ns: int) -> Entry[Decision] | None:
        """What the filter said of the command; where it said nothing of it, what it said last."""
        if self._config.lockstep:
            return self._states.first_of(period.start.frames.stamp_ns)
        same = self._states.last_of(command_ns, command_ns + 1)
        return same or self._states.in_force(period.end.frames.stamp_ns, period.end.at_ns)

    def _proposal(self, period: _Period) -> Proposal | None:
        stamp_ns, next_ns = period.start.frames.stamp_ns, period.end.frames.stamp_ns
        if not self._config.lockstep:
            entry = self._proposals.last_of(stamp_ns, next_ns)
            return None if entry is None else entry.value
        entry, state = self._proposals.first_of(stamp_ns), self._states.first_of(stamp_ns)
        if entry is not None:
            return entry.value
        if state is None or state.value.nominal is None or state.value.source is Source.OPERATOR:
            return None
        return Proposal(stamp_ns, state.value.nominal, "unknown")

    def _reward(self, values: list[float]) -> float | str:
        if not values and self._config.require_reward:
            return "no_reward"
        return _finite(math.fsum(values) if all(map(math.isfinite, values)) else math.nan, "bad_reward")

    def _cost(self, values: list[float], bumps: list[float], operator: bool) -> float | str:
        if not values and not bumps and self._config.require_cost:
            return "no_cost"
        if not all(math.isfinite(v) and v >= 0.0 for v in values):
            return "bad_cost"
        last = self._builder.last
        took_over = operator and not (last is not None and last.operator)
        least = self._config.operator_cost if took_over else 0.0
        return _finite(max(math.fsum(values), max(bumps, default=0.0), least), "bad_cost")

    def _collect(self, name: str, before_ns: int) -> list[float]:
        """Take out what was received before `before_ns`."""
        waiting = self._outcomes[name]
        found = [value for at_ns, value in waiting if at_ns < before_ns]
        self._outcomes[name] = deque((w for w in waiting if w[0] >= before_ns), maxlen=_MOST_WAITING)
        return found

    def _discard(self, before_ns: int) -> None:
        for name in self._outcomes:
            self.notes["unjoined"] += len(self._collect(name, before_ns))


def _finite(value: float, cause: str) -> float | str:
    """`value` as float32 holds it, or `cause` where it does not."""
    with np.errstate(over="ignore"):
        short = float(np.float32(value))
    return short if math.isfinite(short) else cause
