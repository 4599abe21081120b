"""Demonstrators without a plan, and wrappers that widen the states and actions the data covers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Demonstrator, Source

FloatArray = NDArray[np.float32]


class RandomDemonstrator:
    """Uniform actions, each held for some periods, drawn half raw and half effective.

    Raw draws saturate a force-driven robot almost always; effective ones cover its graded range.
    """

    source = Source.RANDOM

    def __init__(self, adapter: RobotAdapter, hold: tuple[int, int] = (2, 8)) -> None:
        """`hold`: fewest and most periods."""
        self._adapter = adapter
        self._hold = hold
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Seed the draws."""
        self._rng = np.random.default_rng(seed)
        self._left = 0
        self._action = self._adapter.zero()

    def draw(self) -> FloatArray:
        """One raw action, shape (A,), float32."""
        action = self._rng.uniform(-1.0, 1.0, self._adapter.action_dim).astype(np.float32)
        return action if self._rng.random() < 0.5 else self._adapter.raw(action)

    def act(self, state: Any) -> FloatArray:
        """The held raw action, shape (A,), float32; the state is not looked at."""
        if self._left == 0:
            self._action = self.draw()
            self._left = int(self._rng.integers(self._hold[0], self._hold[1] + 1))
        self._left -= 1
        return self._action


class Noisy:
    """Adds slowly varying noise to another demonstrator's effective action."""

    source = Source.NOISE

    def __init__(
        self, inner: Demonstrator, adapter: RobotAdapter, spread: float = 0.4, keep: float = 0.7
    ) -> None:
        """`spread`: standard deviation, effective units; `keep`: correlation between periods."""
        self._inner = inner
        self._adapter = adapter
        self._spread = spread
        self._keep = keep
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Seed the noise and the wrapped demonstrator."""
        self._inner.reset(seed)
        self._rng = np.random.default_rng([seed, 1])
        self._noise = np.zeros(self._adapter.action_dim, np.float32)

    def act(self, state: Any) -> FloatArray:
        """The disturbed raw action, shape (A,), float32."""
        fresh = self._rng.standard_normal(self._adapter.action_dim)
        gain = self._spread * np.sqrt(1.0 - self._keep**2)
        self._noise = (self._keep * self._noise + gain * fresh).astype(np.float32)
        return self._adapter.raw(self._adapter.effective(self._inner.act(state)) + self._noise)


class Bursts:
    """Interrupts another demonstrator with some periods of one random action."""

    def __init__(
        self,
        inner: Demonstrator,
        adapter: RobotAdapter,
        probability: float = 0.05,
        length: tuple[int, int] = (3, 12),
    ) -> None:
        """`probability` that a burst starts in a period without one; `length`: fewest and most."""
        self._inner = inner
        self._random = RandomDemonstrator(adapter)
        self._probability = probability
        self._length = length
        self.reset(0)

    @property
    def source(self) -> Source:
        """RANDOM within a burst, else the wrapped demonstrator's."""
        return Source.RANDOM if self._bursting else self._inner.source

    def reset(self, seed: int) -> None:
        """Seed the bursts and the wrapped demonstrator."""
        self._inner.reset(seed)
        self._random.reset(seed + 1)
        self._rng = np.random.default_rng([seed, 2])
        self._left = 0
        self._bursting = False
        self._action = np.zeros(0, np.float32)

    def act(self, state: Any) -> FloatArray:
        """The burst's or the wrapped demonstrator's raw action, shape (A,), float32."""
        # The wrapped one always thinks, so that its plan stays warm through a burst.
        action = self._inner.act(state)
        if self._left == 0 and self._rng.random() < self._probability:
            self._left = int(self._rng.integers(self._length[0], self._length[1] + 1))
            self._action = self._random.draw()
        self._bursting = self._left > 0
        if not self._bursting:
            return action
        self._left -= 1
        return self._action
