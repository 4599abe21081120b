"""Transitions to pieces of episodes: what is recorded of driving, cut so that little is lost by a crash."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

import safe_o2o_ros
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.types import FloatArray, FrameSet


class Driver(IntEnum):
    """Who proposed a nominal command: `extras["policy"]`, uint8.

    Goes on where the sources of demonstrations end (sim/demonstrators/base.py), so that nothing a policy
    drove is ever taken for a teacher's.
    """

    POLICY = 3
    """A bundle; which of its policies was not told."""
    OFFLINE = 4
    ONLINE = 5


@dataclass(frozen=True)
class Transition:
    """One control period between two frame sets."""

    frame: FrameSet
    """At its start."""
    following: FrameSet
    """At its end."""
    action: FloatArray
    """(A,) float32 raw action in [-1, 1], the last the robot was told."""
    reward: float
    """Sum over the period."""
    cost: float
    """Sum over the period, 0 or more."""
    nominal: FloatArray | None
    """(A,) float32 raw action the policy asked for; None where it asked for nothing."""
    value: float
    """Safety value in [0, 1]; NaN where the filter did not say one."""
    operator: bool
    """A human drove."""
    override: bool
    """The filter (not a limit) replaced the command."""
    driver: Driver
    version: str
    """Bundle that drove, "" where none."""
    periods: int = 1
    """Control periods between the two frames: more than 1 where frames in between are missing."""


@dataclass(frozen=True)
class About:
    """What all pieces of a run share; goes into their metadata."""

    task: str
    adapter: dict[str, Any]
    """`RobotAdapter.to_json`."""
    cameras: tuple[str, ...]
    """In channel order of the frame sets."""
    period_s: float
    action_repeat: int
    variant: str | None = None


def _new_uid() -> str:
    return uuid.uuid4().hex


class PieceBuilder:
    """`add` transitions of one episode after the other, `end` each; finished pieces wait in `pieces`.

    Consecutive pieces share the frame between them. The newest transition is held back until the next one
    or the end: else an end that is noticed late would have no transition to be written on.
    """

    def __init__(self, about: About, steps: int, new_uid: Callable[[], str] = _new_uid) -> None:
        """`steps`: transitions of a piece; the last one of an episode, or of a bundle, may be shorter."""
        self._about, self._steps, self._new_uid = about, steps, new_uid
        self.pieces: list[Episode] = []
        """Finished and not taken yet."""
        self._rows: list[Transition] = []
        self._begin()

    def _begin(self) -> None:
        self._uid, self._piece, self._first = self._new_uid(), 0, 0
        self._started_ns: int | None = None

    @property
    def pending(self) -> int:
        """Transitions that are in no piece yet."""
        return len(self._rows)

    @property
    def last(self) -> Transition | None:
        """The newest transition of the running episode."""
        return self._rows[-1] if self._rows else None

    def add(self, transition: Transition) -> None:
        """The next transition of the running episode; it starts at the frame the last one ended with."""
        if self._started_ns is None:
            self._started_ns = transition.frame.stamp_ns
        if self._rows and self._rows[-1].version != transition.version:
            self._cut(len(self._rows))
        self._rows.append(transition)
        if len(self._rows) > self._steps:
            self._cut(self._steps)

    def end(self, terminated: bool, why: str) -> None:
        """The running episode is over, by the rules of the task (`terminated`) or else; `why` in a word."""
        if self._rows:
            self._cut(len(self._rows), terminated, not terminated, why)
            self._begin()

    def _cut(self, count: int, terminated: bool = False, truncated: bool = False, why: str = "") -> None:
        rows, self._rows = self._rows[:count], self._rows[count:]
        self.pieces.append(self._make(rows, terminated, truncated, why))
        self._piece += 1
        self._first += len(rows)

    def _make(self, rows: Sequence[Transition], terminated: bool, truncated: bool, why: str) -> Episode:
        about, frames = self._about, [rows[0].frame, *(row.following for row in rows)]
        nothing = np.full_like(rows[0].action, np.nan)
        return Episode(
            images={
                camera: np.stack([f.image[..., 3 * i : 3 * i + 3] for f in frames])
                for i, camera in enumerate(about.cameras)
            },
            actions=np.stack([row.action for row in rows]).astype(np.float32),
            rewards=np.array([row.reward for row in rows], np.float32),
            costs=np.array([row.cost for row in rows], np.float32),
            terminated=terminated,
            truncated=truncated,
            metadata={
                "episode": self._uid,
                "piece": self._piece,
                "first": self._first,
                "end": why,
                "bundle": rows[0].version,
                "task": about.task,
                "variant": about.variant,
                "adapter": about.adapter,
                "action_repeat": about.action_repeat,
                "period_s": about.period_s,
                "started_ns": self._started_ns,
                "gaps": [[i, row.periods] for i, row in enumerate(rows) if row.periods > 1],
                "version": safe_o2o_ros.__version__,
            },
            extras={
                "nominal": np.stack([nothing if r.nominal is None else r.nominal for r in rows]).astype(
                    np.float32
                ),
                "safety_value": np.array([row.value for row in rows], np.float32),
                "intervention": np.array([row.operator for row in rows], np.uint8),
                "override": np.array([row.override for row in rows], np.uint8),
                "policy": np.array([row.driver for row in rows], np.uint8),
                "stamp_ns": np.array([f.stamp_ns for f in frames], np.int64),
            },
        )
