"""The Point robot's demonstrator for whatever stands in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Demonstrator, Source
from safe_o2o_ros.sim.demonstrators.planner import FloatArray, PlannerConfig, PlanningDemonstrator
from safe_o2o_ros.sim.demonstrators.push import PushDemonstrator

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState


class PointDemonstrator:
    """Pushes the box where there is one, and else drives to the goal itself."""

    source = Source.PLANNER

    def __init__(self, adapter: RobotAdapter, period_s: float, config: PlannerConfig | None = None) -> None:
        self._pushing = PushDemonstrator(adapter, period_s, config)
        self._driving = PlanningDemonstrator(adapter, period_s, config)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the last episode; the first state of the next shows whether it has a box."""
        self._seed = seed
        self._driver: Demonstrator | None = None

    def act(self, state: PrivilegedState) -> FloatArray:
        """The raw action, shape (2,), float32."""
        if self._driver is None:
            self._driver = self._pushing if len(state.box) else self._driving
            self._driver.reset(self._seed)
        return self._driver.act(state)
