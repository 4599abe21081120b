"""The way to the goal of a true state around what stands in it and costs or blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.detours import Detours

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

_ROBOT_M = 0.1
"""Radius of what must get through; a nose fits where the robot drives along it."""
_SQUARE = 1.2
"""Radius of the disc that stands for a square, in half sides."""
_MOVED_M = 0.02
"""Things that move by less since they were looked at are where they were."""


class Way:
    """Looked at in each state, so that detours are found anew only when something has moved."""

    def __init__(self) -> None:
        """Straight until something is looked at."""
        self._room = 1.0
        self._detours: Detours | None = None
        self._discs = np.zeros((0, 3))
        self._goal = np.full(2, np.nan)

    def look(self, state: PrivilegedState, spare_m: float, shares: tuple[float, ...]) -> float:
        """Find the ways to the state's goal with a share of `spare_m` to spare, and return that share.

        It is the first of `shares` that leaves the robot a way, else the last.
        """
        discs = _standing(state)
        same = discs.shape == self._discs.shape and bool((np.abs(discs - self._discs) < _MOVED_M).all())
        if same and np.array_equal(state.goal, self._goal):
            return self._room  # else a driver in a narrow place would change its mind there
        self._goal = state.goal.copy()
        for share in shares:
            if not same or share != self._room or self._detours is None:
                self._detours = Detours(discs[:, :2], discs[:, 2] + share * spare_m)
            self._discs, self._room, same = discs, share, True
            self._detours.aim(state.goal)
            if self._detours.leads(state.position):
                break
        return self._room

    def onward(
        self, x: FloatArray, y: FloatArray, state: PrivilegedState
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """From places (K,) relative to the robot's: x and y, relative too, of the next corner or of the goal.

        And the length of the way on from there, m.
        """
        px, py = (np.float32(v) for v in state.position)
        if self._detours is None:
            gx, gy = (np.full(len(x), g, np.float32) for g in state.goal - state.position)
            return gx, gy, np.zeros(len(x), np.float32)
        cx, cy, rest = self._detours.onward(x + px, y + py)
        return cx - px, cy - py, rest


def _standing(state: PrivilegedState) -> NDArray[np.float64]:
    """Discs that the robot's centre has to go around, (n, 3): x, y, radius, m, world frame."""
    hazard = _SQUARE * state.hazard_half_m if state.hazard_half_m else state.hazard_radius
    wrong = [b for i, b in enumerate(state.buttons) if i != state.goal_button]
    groups = [
        (wrong, state.button_radius + _ROBOT_M),
        (state.pillars, state.pillar_radius + _ROBOT_M),
        # Moving hazards are elsewhere by the time the robot is there.
        ([] if np.any(state.hazards_velocity) else state.hazards, hazard),
        (state.vases if state.vases_cost else [], _SQUARE * state.vase_half_m + _ROBOT_M),
    ]
    return np.concatenate(
        [
            np.insert(np.reshape(np.asarray(points, np.float64), (-1, 2)), 2, radius, axis=1)
            for points, radius in groups
        ]
    )
