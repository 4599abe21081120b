"""The reference that knows where the goal is and nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Source
from safe_o2o_ros.sim.demonstrators.room.sight import wrapped
from safe_o2o_ros.sim.room.state import RoomState


class StraightDemonstrator:
    """Turns towards the goal's true position and drives there, whatever is in between."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter) -> None:
        self._adapter = adapter

    def reset(self, seed: int) -> None:
        """Nothing is remembered."""

    def act(self, state: RoomState) -> NDArray[np.float32]:
        """See Demonstrator."""
        offset = state.goal - state.position
        error = float(wrapped(np.arctan2(offset[1], offset[0]) - state.yaw))
        effective = np.array([max(0.0, 1.0 - abs(error)), error], np.float32)
        return self._adapter.raw(effective)
