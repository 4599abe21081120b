"""The encoder's last steps, from which another encoder reaches the state it would have now."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.types import FloatArray, FrameSet


@dataclass(frozen=True)
class PastStep:
    """What one recurrent step was made of."""

    number: int
    """Counts steps, without gaps."""
    frames: FrameSet
    action: FloatArray
    """(A,) raw action executed before the frames."""
    first: bool
    """It began an episode."""


class History:
    """The newest steps of the running episode. One thread adds, another may read."""

    def __init__(self, steps: int) -> None:
        """`steps`: how many are kept."""
        self._lock = threading.Lock()
        self._steps: deque[PastStep] = deque(maxlen=steps)
        self._next = 0

    def restart(self) -> None:
        """An episode starts: what was before says nothing of it."""
        with self._lock:
            self._steps.clear()

    def add(self, frames: FrameSet, action: FloatArray, first: bool) -> None:
        """A step was made."""
        with self._lock:
            self._steps.append(PastStep(self._next, frames, action, first))
            self._next += 1

    def after(self, number: int) -> tuple[PastStep, ...]:
        """The kept steps that came after step `number`, oldest first."""
        with self._lock:
            return tuple(step for step in self._steps if step.number > number)


class Follower:
    """An encoder on its way to the state the running one has: it repeats that one's steps."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        self.encoder = encoder
        self.state = encoder.initial()
        self._number = -1

    def warm_up(self) -> None:
        """Make a step that counts for nothing: the first is slow. Raises NonFiniteError."""
        spec, adapter = self.encoder.bundle.manifest.image, self.encoder.bundle.manifest.adapter
        black = FrameSet(0, np.zeros((spec.height, spec.width, spec.channels), np.uint8))
        self.encoder.step(self.encoder.initial(), black, adapter.zero())

    def follow(self, history: History, most: int) -> bool:
        """Repeat at most `most` steps it has not made; True if none are left.

        Where steps are lost it starts anew with the oldest kept one, as at the start of an episode.
        Raises FrameError, NonFiniteError.
        """
        steps = history.after(self._number)
        for step in steps[:most]:
            if step.first or step.number != self._number + 1:
                self.state = self.encoder.initial()
            self.state, _ = self.encoder.step(self.state, step.frames, step.action)
            self._number = step.number
        return len(steps) <= most
