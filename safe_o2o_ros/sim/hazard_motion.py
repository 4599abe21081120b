"""Hazards that move: on circles around the places a layout gives them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.layout import Layout
from safe_o2o_ros.sim.objects import HAZARD
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.state import PrivilegedState
from safe_o2o_ros.sim.variants import Circle

FloatArray = NDArray[np.float64]


class HazardMotion:
    """The hazards of one environment; `started` first, once an episode. Without a circle they stand."""

    def __init__(self, circle: Circle | None) -> None:
        """`circle`: how they move; None = not at all."""
        self._circle = circle
        self._places: FloatArray = np.zeros((0, 2))
        self._yaws: FloatArray = np.zeros(0)

    def started(self, layout: Layout) -> Layout:
        """The layout with the hazards where they start on their circles."""
        if self._circle is None:
            return layout
        self._places = np.reshape(np.array(layout.objects[HAZARD.key], np.float64), (-1, 2))
        self._yaws = np.array(layout.yaws[HAZARD.key], np.float64)
        starts = tuple(
            (float(x), float(y)) for x, y in circle_points(self._circle, self._places, self._yaws, 0)
        )
        return replace(layout, objects={**layout.objects, HAZARD.key: starts})

    def lead(self, scene: Scene, time_s: float) -> None:
        """Put the hazards where they are at `time_s`, the end of the control step about to be made."""
        # Nothing touches them, so where they are within a step is of no consequence.
        if self._circle is not None:
            scene.move(HAZARD.key, circle_points(self._circle, self._places, self._yaws, time_s))

    def told(self, state: PrivilegedState, time_s: float) -> PrivilegedState:
        """The true state with the hazards' velocities at `time_s`."""
        if self._circle is None:
            return state
        return replace(
            state,
            hazards_velocity=circle_velocities(self._circle, self._yaws, time_s),
            hazards_turn_rate=self._circle.turn_rate,
        )


def circle_points(circle: Circle, places: FloatArray, yaws: FloatArray, time_s: float) -> FloatArray:
    """Centres (n, 2) m at `time_s` of what goes round `places` (n, 2) m from the angles `yaws` (n,) rad."""
    angles = yaws + circle.turn_rate * time_s
    return places + circle.radius_m * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def circle_velocities(circle: Circle, yaws: FloatArray, time_s: float) -> FloatArray:
    """Velocities (n, 2) m/s at `time_s` of what started from the angles `yaws` (n,) rad."""
    angles = yaws + circle.turn_rate * time_s
    return circle.speed_m_s * np.stack([-np.sin(angles), np.cos(angles)], axis=1)
