"""Ways over the floor for the robot and for the box, and the face of the box to push."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig
from safe_o2o_ros.sim.demonstrators.push_box import CARRIED_M, hull_gap, wrapped
from safe_o2o_ros.sim.demonstrators.push_field import NODES, WayField

if TYPE_CHECKING:
    from safe_o2o_ros.sim.state import PrivilegedState

FloatArray = NDArray[np.float32]

ROBOT_M = 0.13
"""Reach of the robot about its centre, m; its nose ends 0.15 m ahead."""
STAGE_M = 0.68
"""From the box's centre to where the robot turns towards a notch."""
BOX_CLEAR_M = 0.08
"""Least distance of the box's centre from the edges of hazards, m."""
_DEAR, _AVOIDED = 12.0, 3.0
"""Metres of plain floor that a metre is worth where the way is blocked, and where it is tight."""
_TURN_M = 0.6
"""Metres of way that a radian of turning with the box is worth."""
_UNFIT_M = 4.0
"""Metres of way that a face out of reach is worth."""
_MOVED_M, _MOVED_RAD = 0.02, 0.06


@dataclass(frozen=True)
class Face:
    """One of the four notches of the box, where the box stood when it was chosen."""

    box: FloatArray
    """Centre of the box, (2,), m."""
    angle: float
    """Heading of a robot that pushes on it, rad."""

    @property
    def heading(self) -> FloatArray:
        """Unit vector of pushing, (2,)."""
        return np.array([np.cos(self.angle), np.sin(self.angle)], np.float32)

    def stage(self, distance_m: float = STAGE_M) -> FloatArray:
        """The point before the notch at a distance from the box's centre, (2,), m."""
        return np.asarray(self.box - distance_m * self.heading, np.float32)

    def place(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of world points: distance before the box's centre and offset to the left of the axis, m."""
        (px, py), dx, dy = self.heading, x - self.box[0], y - self.box[1]
        return -(px * dx + py * dy), px * dy - py * dx

    def ready(self, state: PrivilegedState) -> bool:
        """Whether the robot is before the notch and can drive straight into it."""
        before, left = self.place(*state.position.astype(np.float32))
        narrow = 0.04 + 0.35 * max(float(before) - CARRIED_M, 0.0)
        return bool(
            0.3 < before < 0.9
            and abs(float(left)) < min(narrow, 0.14)
            and abs(wrapped(state.yaw - self.angle)) < 0.7
        )

    def moved(self, state: PrivilegedState) -> float:
        """How far the box is from where it stood, m."""
        return float(np.hypot(*(state.box[0] - self.box)))

    def followed(self, state: PrivilegedState) -> Face:
        """The same face where the box stands now; small shifts are left out, so that ways stay valid."""
        turned = wrapped(state.box_yaw - self.angle, 0.5 * np.pi)
        if self.moved(state) < _MOVED_M and abs(turned) < _MOVED_RAD:
            return self
        return Face(np.asarray(state.box[0], np.float32), wrapped(self.angle + turned))


class Routes:
    """Keeps the last field of each use, since things seldom move."""

    def __init__(self, config: PlannerConfig) -> None:
        """`config`: whether hazards count and with what margin."""
        self._sees_hazards = config.cost_weight > 0.0
        self._margin_m = config.margin_m + config.inflate_m
        self._fields: dict[str, tuple[bytes, WayField]] = {}

    def to_goal(self, state: PrivilegedState) -> WayField:
        """The way of the box's centre to the goal."""
        return self._field("goal", state.goal, state, None)

    def to_face(self, state: PrivilegedState, face: Face) -> WayField:
        """The way of the robot's centre to the stage of a face."""
        return self._field("face", face.stage(), state, face)

    def best_face(self, state: PrivilegedState, shun: float | None = None) -> Face:
        """The face from which the box is at the goal soonest; `shun`: angle of one not to take."""
        box = np.asarray(state.box[0], np.float32)
        faces = [Face(box, wrapped(state.box_yaw + 0.5 * np.pi * i)) for i in range(4)]
        from_robot = self._field("robot", state.position, state, faces[0])
        ahead = float(self.to_goal(state).direction(box[0], box[1]))
        costs = []
        for face in faces:
            stage = face.stage()
            cost = float(from_robot.length(stage[0], stage[1]))
            cost += _TURN_M * abs(wrapped(ahead - face.angle))
            cost += _UNFIT_M * self._unfit(state, face)
            if shun is not None and abs(wrapped(face.angle - shun)) < 0.5:
                cost += 2.0 * _UNFIT_M
            costs.append(cost)
        return faces[int(np.argmin(costs))]

    def _unfit(self, state: PrivilegedState, face: Face) -> float:
        """How many things are wrong with a face: no room to stand, or none for the box to move on."""
        stands = np.stack([face.stage(), face.stage(CARRIED_M)])
        wrong = 0.0
        for pillar in state.pillars:
            near = np.hypot(*(stands - pillar).T).min() < state.pillar_radius + ROBOT_M
            moved = face.stage(-0.2) - pillar
            struck = float(hull_gap(moved[0], moved[1], face.angle)) < state.pillar_radius
            wrong += float(near) + float(struck)
        if self._sees_hazards:
            for hazard in state.hazards:
                wrong += float(np.hypot(*(stands - hazard).T).min() < state.hazard_radius + 0.03)
                # On the first metres of the way there is room to turn aside.
                entered = np.hypot(*(face.stage(0.0) - hazard)) < state.hazard_radius
                wrong += 0.3 * float(entered)
        return wrong

    def _field(
        self, use: str, target: NDArray[np.floating], state: PrivilegedState, face: Face | None
    ) -> WayField:
        """The field for the robot if there is a face, else for the box."""
        box = () if face is None else (*face.box, face.angle)
        key = np.round(
            np.concatenate([target, state.hazards.ravel(), state.pillars.ravel(), box]), 2
        ).tobytes()
        if use not in self._fields or self._fields[use][0] != key:
            weight = self._robot_weight(state, face) if face is not None else self._box_weight(state)
            self._fields[use] = key, WayField(np.asarray(target, np.float32), weight)
        return self._fields[use][1]

    def _box_weight(self, state: PrivilegedState) -> FloatArray:
        weight = np.ones(NODES.shape[:2], np.float32)
        for pillar in state.pillars:
            gap = np.hypot(*np.moveaxis(NODES - pillar, -1, 0)) - state.pillar_radius
            _raise(weight, gap < 0.55, _AVOIDED)
            _raise(weight, gap < 0.36, _DEAR)
        if self._sees_hazards:
            # The robot follows in the box's track, and cannot stand behind a box in the middle of a hazard.
            for hazard in state.hazards:
                gap = np.hypot(*np.moveaxis(NODES - hazard, -1, 0)) - state.hazard_radius
                _raise(weight, gap < BOX_CLEAR_M + 0.15, _AVOIDED)
                _raise(weight, gap < BOX_CLEAR_M, _DEAR)
        return weight

    def _robot_weight(self, state: PrivilegedState, face: Face) -> FloatArray:
        weight = np.ones(NODES.shape[:2], np.float32)
        if self._sees_hazards:
            for hazard in state.hazards:
                gap = np.hypot(*np.moveaxis(NODES - hazard, -1, 0)) - state.hazard_radius
                _raise(weight, gap < self._margin_m, _DEAR)
        for pillar in state.pillars:
            gap = np.hypot(*np.moveaxis(NODES - pillar, -1, 0)) - state.pillar_radius
            _raise(weight, gap < ROBOT_M + 0.04, _DEAR)
        x, y = np.moveaxis(NODES - face.box, -1, 0)
        gap = hull_gap(x, y, face.angle)
        _raise(weight, gap < ROBOT_M + 0.12, _AVOIDED)
        _raise(weight, gap < ROBOT_M, _DEAR)
        return weight


def _raise(weight: FloatArray, where: NDArray[np.bool_], least: float) -> None:
    weight[where] = np.maximum(weight[where], np.float32(least))
