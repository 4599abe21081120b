"""The MuJoCo model of a task, and moving its bodies to a layout without recompiling it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.backend import mujoco
from safe_o2o_ros.sim.layout import XY, Layout
from safe_o2o_ros.sim.objects import GOAL, ObjectKind
from safe_o2o_ros.sim.robots import AGENT, RobotSpec
from safe_o2o_ros.sim.tasks import TaskSpec

FloatArray = NDArray[np.float64]

# `statistic` replaces what MuJoCo would derive from the bodies: it sets the near plane
# (0.01 x extent = 0.04 m) and must not change with the number of objects.
_WORLD = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep="{timestep}" integrator="Euler" gravity="0 0 -9.81"/>
  <size memory="16M"/>
  <statistic meansize="0.23" extent="3.96"/>
  <visual><quality shadowsize="0" offsamples="0"/></visual>
  <default><geom condim="6" density="1"/></default>
  <asset>
    <texture name="sky" type="skybox" builtin="flat" width="8" height="48" rgb1="0 0.004 0" rgb2="0 0.004 0"/>
    <texture name="floor" type="2d" builtin="checker" width="100" height="100"
        rgb1="0.859 0.843 0.765" rgb2="0.949 0.914 0.855"/>
    <material name="floor" texture="floor" texrepeat="10 10"
        reflectance="0.1" shininess="0.1" specular="0.1"/>
  </asset>
  <worldbody>
    <light type="directional" pos="0 0 0.5" dir="0 0 -1" cutoff="100" exponent="1"
        diffuse="1 1 1" specular="0 0 0" castshadow="false"/>
    <geom name="floor" type="plane" size="3.5 3.5 0.1" material="floor"/>
    <camera name="top" pos="0 0 {top_z}" xyaxes="1 0 0 0 1 0" fovy="45"/>
    <body name="{agent}" pos="0 0 {z}">{robot}</body>
    {objects}
  </worldbody>
  <actuator>{actuators}</actuator>
</mujoco>
"""


def scene_mjcf(task: TaskSpec, counts: dict[str, int]) -> str:
    """MJCF of a task with `counts` objects per kind's key, everything at the origin."""
    robot = task.robot
    bodies = [_object_mjcf(GOAL, 0, (task.goal_radius, GOAL.size[1]))]
    for group in task.groups:
        bodies += [_object_mjcf(group.kind, i, group.kind.size) for i in range(counts[group.kind.key])]
    return _WORLD.format(
        timestep=robot.timestep_s,
        agent=AGENT,
        z=robot.z,
        robot=robot.body_mjcf + cameras_mjcf(robot),
        objects="\n".join(bodies),
        actuators=robot.actuator_mjcf,
        # 45 degrees see 2 tan(22.5 deg) z = 0.83 z; the arena and 0.5 m around it.
        top_z=(task.extent + 0.5) / 0.4142,
    )


def _vector(values: tuple[float, ...]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _object_mjcf(kind: ObjectKind, index: int, size: tuple[float, ...]) -> str:
    contact = "" if kind.collides else ' contype="0" conaffinity="0"'
    geom = (
        f'<geom name="{kind.body(index)}" type="{kind.shape}" size="{_vector(size)}" '
        f'rgba="{_vector(kind.rgba)}" density="{kind.density}"{contact}/>'
    )
    # What cannot be pushed is a mocap body: it can be placed anew without recompiling, and
    # contacts see it as immovable.
    joint, mocap = ("<freejoint/>", "") if kind.free else ("", ' mocap="true"')
    return f'<body name="{kind.body(index)}" pos="0 0 {kind.z!r}"{mocap}>{joint}{geom}</body>'


def cameras_mjcf(robot: RobotSpec) -> str:
    """The cameras on a robot's body."""
    return "".join(
        f'<camera name="{name}" pos="{_vector(c.position)}" xyaxes="{_vector(c.xyaxes)}" '
        f'fovy="{c.fovy_deg}"/>'
        for name, c in robot.cameras.items()
    )


class Scene:
    """Model and state of one task; positions and velocities in the world frame, SI units."""

    def __init__(self, task: TaskSpec, counts: dict[str, int]) -> None:
        """Compile the model for `counts` objects per kind's key."""
        self.task = task
        self.counts = dict(counts)
        self.model: Any = mujoco.MjModel.from_xml_string(scene_mjcf(task, counts))
        self.data: Any = mujoco.MjData(self.model)
        self._agent = self.model.body(AGENT).id
        self._bodies = {
            g.kind.key: np.array([self.model.body(g.kind.body(i)).id for i in range(counts[g.kind.key])], int)
            for g in task.groups
        }
        self._goal_mocap = int(self.model.body(GOAL.body(0)).mocapid[0])

    def place(self, layout: Layout) -> None:
        """Put everything where the layout says, at rest, at time 0; its counts must be the scene's."""
        mujoco.mj_resetData(self.model, self.data)
        x, y, yaw = layout.agent
        if self.task.robot.planar:
            # In the model and not in the joints, as the benchmark does: the turn servo leaves rest
            # by round-off (see robots.py), so even its last bits should come from the same sums.
            self.model.body_pos[self._agent, :2] = x, y
            self.model.body_quat[self._agent] = _yaw_quat(yaw)
        else:
            self._set_free(self._agent, (x, y), self.task.robot.z, yaw)
        for group in self.task.groups:
            kind = group.kind
            poses = zip(layout.objects[kind.key], layout.yaws[kind.key], strict=True)
            for body, (point, angle) in zip(self._bodies[kind.key], poses, strict=True):
                if kind.free:
                    self._set_free(int(body), point, kind.z, angle)
                else:
                    mocap = int(self.model.body_mocapid[body])
                    self.data.mocap_pos[mocap] = (*point, kind.z)
                    self.data.mocap_quat[mocap] = _yaw_quat(angle)
        self.set_goal(layout.goals[0])

    def set_goal(self, goal: XY) -> None:
        """Move the goal and bring all derived quantities up to date."""
        self.data.mocap_pos[self._goal_mocap, :2] = goal
        mujoco.mj_forward(self.model, self.data)

    def step(self, action: NDArray[np.floating]) -> None:
        """One control step with the action, shape (A,), held over its physics steps."""
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, self.task.robot.substeps)
        # mj_step leaves positions and contacts one physics step old.
        mujoco.mj_forward(self.model, self.data)

    def agent_xy(self) -> FloatArray:
        """Centre of the robot's body, shape (2,), m."""
        return np.array(self.data.xpos[self._agent, :2])

    def agent_yaw(self) -> float:
        """Heading of the body's x axis, rad in (-pi, pi]."""
        matrix = self.data.xmat[self._agent]
        return float(np.arctan2(matrix[3], matrix[0]))

    def agent_velocity(self) -> tuple[FloatArray, float]:
        """Velocity of the body's origin, shape (2,), m/s, and yaw rate, rad/s."""
        out = np.zeros(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_XBODY, self._agent, out, 0)
        return out[3:5].copy(), float(out[2])

    def goal_xy(self) -> FloatArray:
        """Centre of the current goal, shape (2,), m."""
        return np.array(self.data.mocap_pos[self._goal_mocap, :2])

    def objects_xy(self, key: str) -> FloatArray:
        """Current centres of the objects of a kind, shape (n, 2), m; (0, 2) if the task has none."""
        if key not in self._bodies:
            return np.zeros((0, 2))
        return np.array(self.data.xpos[self._bodies[key], :2])

    def _set_free(self, body: int, point: XY, z: float, yaw: float) -> None:
        start = int(self.model.jnt_qposadr[self.model.body_jntadr[body]])
        self.data.qpos[start : start + 3] = (*point, z)
        self.data.qpos[start + 3 : start + 7] = _yaw_quat(yaw)


def _yaw_quat(yaw: float) -> FloatArray:
    """Quaternion (w, x, y, z) of a turn about the world's z."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
