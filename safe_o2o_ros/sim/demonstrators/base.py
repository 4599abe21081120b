"""The contract every demonstrator keeps."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Source(IntEnum):
    """Where an action came from; stored per step as `extras["policy"]`, uint8."""

    PLANNER = 0
    NOISE = 1
    RANDOM = 2
    POLICY = 3
    """A bundle drove, and no teacher."""


class Demonstrator(Protocol):
    """Drives one episode at a time; equal seeds and states give equal actions."""

    @property
    def source(self) -> Source:
        """Where the action of the last `act` came from."""
        ...

    def reset(self, seed: int) -> None:
        """Forget the last episode and seed all randomness."""
        ...

    def act(self, state: Any) -> NDArray[np.float32]:
        """The raw action for the coming period, shape (2,), float32, in [-1, 1].

        `state`: what `privileged_state()` of the robot's task returns.
        """
        ...
