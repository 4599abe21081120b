"""A drive as the joiner hears it: frames, answers and outcomes of made-up periods."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from safe_o2o_ros.online.joining import JoinConfig, TransitionJoiner
from safe_o2o_ros.online.pieces import About, PieceBuilder
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Decision, FloatArray, FrameSet, Proposal, Reason, Source

MS = 1_000_000
PERIOD_NS = 80 * MS
CAMERAS = ("front", "back")


def about(variant: str | None = None) -> About:
    """Two cameras on the Point robot."""
    return About("PointGoal1", POINT.to_json(), CAMERAS, 0.08, 4, variant)


def frame_set(k: int, stamp_ns: int | None = None, side: int = 4) -> FrameSet:
    """Pictures that tell their number and their camera."""
    image = np.full((side, side, 6), k % 251, np.uint8)
    image[..., 3:] += 1
    return FrameSet((k + 1) * PERIOD_NS if stamp_ns is None else stamp_ns, image)


def action(k: int) -> FloatArray:
    """A command that tells its number."""
    return np.array([(k % 100) / 200.0, -(k % 50) / 100.0], np.float32)


def decision(stamp_ns: int, command: FloatArray, **changes: Any) -> Decision:
    """What the filter says of a command it passes."""
    fields: dict[str, Any] = {
        "stamp_ns": stamp_ns,
        "action": command,
        "changed": False,
        "reason": Reason.PASS,
        "late_input": "",
        "value": 0.75,
        "threshold": 0.5,
        "candidates": 1,
        "version": "v1",
        "source": Source.POLICY,
    }
    return Decision(**(fields | changes))


class Drive:
    """Period after period: frame, nominal, command, state, then reward and cost before the next frame."""

    def __init__(self, steps: int = 5, **config: Any) -> None:
        uids = iter(f"e{n}" for n in range(10_000))
        self.builder = PieceBuilder(about(), steps, lambda: next(uids))
        self.joiner = TransitionJoiner(JoinConfig(0.08, **config), self.builder)
        self.k = 0
        self.pieces: list[Any] = []

    def at(self, ms: float = 0.0) -> int:
        """Receipt time in the running period."""
        return self.k * PERIOD_NS + round(ms * MS)

    def frame(self, stamp_ns: int | None = None) -> None:
        self.joiner.frames(frame_set(self.k, stamp_ns), self.at())
        self.pieces += self.joiner.take()

    def answer(self, **changes: Any) -> None:
        """The graph's answer to the newest frame."""
        stamp_ns, command = (self.k + 1) * PERIOD_NS, action(self.k)
        self.joiner.nominal(Proposal(stamp_ns, command + np.float32(0.001), "unknown"), self.at(10))
        self.joiner.executed(stamp_ns, command, self.at(12))
        self.joiner.state(decision(stamp_ns, command, **changes), self.at(13))

    def outcome(self, reward: float | None = None, cost: float = 0.0) -> None:
        """What the period brought, just before the next frame."""
        self.joiner.reward(float(self.k) if reward is None else reward, self.at(79))
        self.joiner.cost(cost, self.at(79.1))

    def period(self, cost: float = 0.0, **changes: Any) -> None:
        """A whole period; its end is the next frame."""
        self.frame()
        self.answer(**changes)
        self.outcome(cost=cost)
        self.k += 1

    def event(self, text: str, ms: float = 79.5) -> None:
        """An episode event in the period before the next frame."""
        self.k -= 1
        self.joiner.episode(text, self.at(ms))
        self.k += 1

    def close(self) -> None:
        self.joiner.close()
        self.pieces += self.joiner.take()

    def check_account(self) -> None:
        """Nothing was lost without a name."""
        joiner = self.joiner
        recorded = sum(map(len, self.pieces))
        assert joiner.offered == recorded + sum(joiner.drops.values()) + joiner.pending

    def dropped(self) -> dict[str, int]:
        return {cause: n for cause, n in self.joiner.drops.items() if n}


NAN = math.nan
