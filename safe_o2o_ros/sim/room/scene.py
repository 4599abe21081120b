"""The MuJoCo model of a furnished room with its robot. Compiled anew for every layout: about 2 ms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from safe_o2o_ros.sim.backend import mujoco
from safe_o2o_ros.sim.robots import AGENT, ROOM_ROBOT, RobotSpec
from safe_o2o_ros.sim.room.layout import GOAL_HEIGHT_M, GOAL_RADIUS_M, HALF_SIZE_M, RoomLayout
from safe_o2o_ros.sim.room.pieces import Finish, Piece
from safe_o2o_ros.sim.room.state import FloatArray, Obstacle
from safe_o2o_ros.sim.scene import cameras_mjcf

GOAL_RGB = (1.0, 0.0, 1.0)
"""Nothing else in a room comes near this colour."""
_WALL_HEIGHT_M = 1.2
_TOP_VIEW_M = 3.0
"""Half the side of the square that the view from above shows on the floor."""

# `extent` sets the near plane, 0.01 x 2 m: nearer to the cameras than anything can come.
_WORLD = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="{timestep}" integrator="implicitfast" gravity="0 0 -9.81"/>
  <size memory="4M"/>
  <statistic meansize="0.2" extent="2" center="0 0 0"/>
  <visual>
    <quality shadowsize="0" offsamples="0" numslices="20" numstacks="2" numquads="2"/>
    <headlight ambient="0.45 0.45 0.45" diffuse="0.3 0.3 0.3" specular="0 0 0"/>
  </visual>
  <default><geom friction="0.3 0.005 0.0001"/></default>
  <asset>
    <texture name="sky" type="skybox" builtin="flat" width="8" height="48" rgb1="0.8 0.84 0.88"
        rgb2="0.8 0.84 0.88"/>
    {finishes}
    <material name="goal" rgba="{goal_rgb} 1" emission="0.4" specular="0"/>
    <material name="thing" specular="0"/>
  </asset>
  <worldbody>
    <light type="directional" pos="0 0 4" dir="-0.35 0.2 -0.9" diffuse="0.45 0.45 0.45" specular="0 0 0"
        castshadow="false"/>
    <camera name="top" pos="0 0 {top_z}" xyaxes="1 0 0 0 1 0" fovy="45"/>
    <geom name="floor" type="plane" size="{half_x} {half_y} 1" material="floor" contype="0" conaffinity="0"/>
    {walls}
    {things}
    <geom name="goal" type="cylinder" size="{goal_radius} {goal_half}" pos="{goal_x!r} {goal_y!r} {goal_half}"
        material="goal"/>
    <body name="{agent}" pos="0 0 0">{robot}</body>
  </worldbody>
  <actuator>{actuators}</actuator>
</mujoco>
"""


@dataclass(frozen=True)
class _Pattern:
    """How a named pattern is made of MuJoCo's textures."""

    builtin: str
    repeat: tuple[float, float]
    """Per metre, along the surface's x and y. Below a whole period upwards: only one row of a checker."""


_PATTERNS = {
    "plain": _Pattern("flat", (1.0, 1.0)),
    "checker": _Pattern("checker", (1.0, 1.0)),
    "stripes": _Pattern("checker", (1.25, 0.0)),
    "gradient": _Pattern("gradient", (0.0, 0.0)),
}


class RoomScene:
    """Model and state of one episode; positions and velocities in the world frame, SI units."""

    def __init__(self, layout: RoomLayout, robot: RobotSpec = ROOM_ROBOT) -> None:
        """Compile the room and put the robot at its start, at rest; `robot`: with what cameras."""
        self.model: Any = mujoco.MjModel.from_xml_string(room_mjcf(layout, robot))
        self.data: Any = mujoco.MjData(self.model)
        self.data.qpos[:] = layout.agent
        mujoco.mj_forward(self.model, self.data)
        adapter = ROOM_ROBOT.adapter
        self._top = np.asarray(adapter.top_speed)
        step = ROOM_ROBOT.timestep_s
        self._gain = np.asarray(adapter.max_accel) * self._top * step
        self._loss = np.asarray(adapter.max_decel) * self._top * step
        self._target = np.zeros(2)

    def step(self, action: FloatArray) -> bool:
        """One control step towards the commanded velocity, raw (2,). Returns whether anything was touched."""
        command = np.clip(action, -1.0, 1.0) * self._top
        touched = False
        for _ in range(ROOM_ROBOT.substeps):
            self._ramp(command)
            self.data.ctrl[:] = self._target[0], 0.0, self._target[1]
            mujoco.mj_step(self.model, self.data)
            touched |= self.data.ncon > 0
        # mj_step leaves positions and contacts one physics step old.
        mujoco.mj_forward(self.model, self.data)
        return touched or self.data.ncon > 0

    def agent_xy(self) -> FloatArray:
        """Centre of the robot, shape (2,), m."""
        return np.array(self.data.qpos[:2])

    def agent_yaw(self) -> float:
        """Heading, rad in (-pi, pi]."""
        yaw = float(self.data.qpos[2])
        return float(np.arctan2(np.sin(yaw), np.cos(yaw)))

    def agent_velocity(self) -> tuple[FloatArray, float]:
        """Velocity of the centre, shape (2,), m/s, and yaw rate, rad/s."""
        return np.array(self.data.qvel[:2]), float(self.data.qvel[2])

    def _ramp(self, command: FloatArray) -> None:
        """Move the servos' targets towards the command by what the acceleration limits allow."""
        speeding_up = (np.abs(command) > np.abs(self._target)) & (command * self._target >= 0.0)
        most = np.where(speeding_up, self._gain, self._loss)
        self._target += np.clip(command - self._target, -most, most)
        # Held up by a wall, the target waits a little ahead of the speed: motors do not push harder and
        # harder, and nothing leaps when the way is free again.
        cos, sin = np.cos(self.data.qpos[2]), np.sin(self.data.qpos[2])
        along = self.data.qvel[0] * cos + self.data.qvel[1] * sin
        speed = np.array([along, self.data.qvel[2]])
        self._target = np.clip(self._target, speed - _LEAD, speed + _LEAD)


_LEAD = np.array([0.05, 0.25])
"""How far a target may be ahead of the speed: m/s, rad/s."""


def room_mjcf(layout: RoomLayout, robot: RobotSpec = ROOM_ROBOT) -> str:
    """MJCF of a layout, the robot at the origin."""
    return _WORLD.format(
        timestep=ROOM_ROBOT.timestep_s,
        finishes=_finish_mjcf("floor", layout.floor, 2 * HALF_SIZE_M)
        + _finish_mjcf("wall_x", layout.walls, np.array([2 * HALF_SIZE_M[0], _WALL_HEIGHT_M]))
        + _finish_mjcf("wall_y", layout.walls, np.array([2 * HALF_SIZE_M[1], _WALL_HEIGHT_M])),
        goal_rgb=_vector(GOAL_RGB),
        # 45 degrees see 2 tan(22.5 deg) z = 0.83 z.
        top_z=_TOP_VIEW_M / 0.4142,
        half_x=HALF_SIZE_M[0],
        half_y=HALF_SIZE_M[1],
        walls=_walls_mjcf(),
        things="\n".join(
            _thing_mjcf(piece, part, f"thing{i}_{j}")
            for i, piece in enumerate(layout.pieces)
            for j, part in enumerate(piece.solids())
        ),
        goal_radius=GOAL_RADIUS_M,
        goal_half=GOAL_HEIGHT_M / 2,
        goal_x=layout.goal[0],
        goal_y=layout.goal[1],
        agent=AGENT,
        robot=robot.body_mjcf + cameras_mjcf(robot),
        actuators=ROOM_ROBOT.actuator_mjcf,
    )


def _finish_mjcf(name: str, finish: Finish, size: FloatArray) -> str:
    """Texture and material of a surface of `size` (2,) m."""
    pattern = _PATTERNS[finish.pattern]
    # Where nothing should repeat, the texture is stretched once, or half of it, over the surface.
    repeat = [
        r * s if r else 0.5 if finish.pattern == "stripes" else 1.0
        for r, s in zip(pattern.repeat, size, strict=True)
    ]
    return (
        f'<texture name="{name}" type="2d" builtin="{pattern.builtin}" width="64" height="64" '
        f'rgb1="{_vector(finish.rgb1)}" rgb2="{_vector(finish.rgb2)}"/>'
        f'<material name="{name}" texture="{name}" texrepeat="{_vector(repeat)}" specular="0"/>'
    )


def _walls_mjcf() -> str:
    """Four planes facing inwards. They are endless for contacts, so nothing gets out."""
    half_x, half_y = (float(v) for v in HALF_SIZE_M)
    up = _WALL_HEIGHT_M / 2
    sides = (
        ("x", (0.0, half_y, up), (1, 0, 0), half_x),
        ("x", (0.0, -half_y, up), (-1, 0, 0), half_x),
        ("y", (half_x, 0.0, up), (0, -1, 0), half_y),
        ("y", (-half_x, 0.0, up), (0, 1, 0), half_y),
    )
    return "".join(
        f'<geom name="wall{i}" type="plane" size="{half!r} {up} 1" pos="{_vector(at)}" '
        f'xyaxes="{_vector(right)} 0 0 1" material="wall_{along}"/>'
        for i, (along, at, right, half) in enumerate(sides)
    )


def _thing_mjcf(piece: Piece, part: Obstacle, name: str) -> str:
    half_z = (part.height_m - part.bottom_m) / 2
    size = (part.half_x, half_z) if part.kind == "cylinder" else (part.half_x, part.half_y, half_z)
    contact = "" if part.solid else 'contype="0" conaffinity="0"'
    return (
        f'<geom name="{name}" type="{part.kind}" size="{_vector(size)}" '
        f'pos="{_vector((part.x, part.y, part.bottom_m + half_z))}" euler="0 0 {float(part.yaw)!r}" '
        f'rgba="{_vector(piece.rgb)} 1" material="thing" {contact}/>'
    )


def _vector(values: Iterable[float]) -> str:
    return " ".join(repr(float(v)) for v in values)
