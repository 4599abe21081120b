"""The state of a task in MuJoCo, and moving its bodies to a layout without recompiling the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.backend import mujoco
from safe_o2o_ros.sim.layout import XY, Layout
from safe_o2o_ros.sim.mjcf import cameras_mjcf, scene_mjcf
from safe_o2o_ros.sim.robots import AGENT
from safe_o2o_ros.sim.tasks import TaskSpec

__all__ = ["FloatArray", "Scene", "cameras_mjcf", "scene_mjcf"]

FloatArray = NDArray[np.float64]


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
        self._goal_mocap = int(self.model.body(task.goal.body(0)).mocapid[0])
        self._leaders = {
            g.kind: np.array(
                [int(self.model.body(g.kind.leader(i)).mocapid[0]) for i in range(counts[g.kind.key])]
            )
            for g in task.groups
            if g.kind.travel > 0.0 and counts[g.kind.key] > 0
        }
        self._centres: dict[str, FloatArray] = {}
        body = self.model.geom_bodyid
        self._is_agent = self.model.body_rootid[body] == self._agent
        self._geom_body = np.array(body)

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
            self._centres[kind.key] = np.array(layout.objects[kind.key], np.float64).reshape(-1, 2)
        for kind, leaders in self._leaders.items():
            # The objects start at their places, and the first step pulls them onto their circles.
            centres, yaws = self._centres[kind.key], layout.yaws[kind.key]
            self.data.mocap_pos[leaders, :2] = centres
            self.data.mocap_quat[leaders] = [_yaw_quat(yaw) for yaw in yaws]
            for i, (centre, yaw) in enumerate(zip(centres, yaws, strict=True)):
                geom = int(self.model.body(kind.leader(i)).geomadr[0])
                # The benchmark draws a leader's shade at its place turned about the origin by its yaw.
                back = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
                self.model.geom_pos[geom, :2] = centre - back @ centre
        self.set_goal(layout.goals[0])

    def set_goal(self, goal: XY) -> None:
        """Move the goal and bring all derived quantities up to date."""
        self.data.mocap_pos[self._goal_mocap, :2] = goal
        mujoco.mj_forward(self.model, self.data)

    def move(self, key: str, points: FloatArray) -> None:
        """Put the fixed objects of a kind at `points` (n, 2) m; seen and felt from the next step on."""
        self.data.mocap_pos[self.model.body_mocapid[self._bodies[key]], :2] = points

    def step(self, action: NDArray[np.floating]) -> None:
        """One control step with the action, shape (A,), held over its physics steps."""
        self.data.ctrl[:] = action
        if self._leaders:
            for _ in range(self.task.robot.substeps):
                self._lead()
                mujoco.mj_step(self.model, self.data)
        else:
            mujoco.mj_step(self.model, self.data, self.task.robot.substeps)
        # mj_step leaves positions and contacts one physics step old.
        mujoco.mj_forward(self.model, self.data)

    def agent_xy(self) -> FloatArray:
        """Centre of the robot's body, shape (2,), m."""
        return np.array(self.data.xpos[self._agent, :2])

    def agent_position(self) -> FloatArray:
        """Origin of the robot's body, shape (3,), m."""
        return np.array(self.data.xpos[self._agent])

    def agent_yaw(self) -> float:
        """Heading of base_link's x axis, the direction of driving, rad in (-pi, pi]."""
        matrix, (fx, fy) = self.data.xmat[self._agent], self.task.robot.forward
        return float(np.arctan2(matrix[3] * fx + matrix[4] * fy, matrix[0] * fx + matrix[1] * fy))

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

    def goal_position(self) -> FloatArray:
        """Centre of the current goal, shape (3,), m."""
        return np.array(self.data.mocap_pos[self._goal_mocap])

    def positions(self, key: str) -> FloatArray:
        """Current centres of the objects of a kind, shape (n, 3), m; (0, 3) if the task has none."""
        return np.array(self.data.xpos[self._bodies[key]]) if key in self._bodies else np.zeros((0, 3))

    def yaws(self, key: str) -> FloatArray:
        """Current headings of the objects of a kind, shape (n,), rad in (-pi, pi]."""
        matrices = self.data.xmat[self._bodies[key]] if key in self._bodies else np.zeros((0, 9))
        return np.arctan2(matrices[:, 3], matrices[:, 0])

    def velocities(self, key: str) -> FloatArray:
        """Velocities of the centres of free objects of a kind, shape (n, 3), m/s."""
        bodies = self._bodies.get(key, np.zeros(0, int))
        start = self.model.jnt_dofadr[self.model.body_jntadr[bodies]]
        return np.array(self.data.qvel[start[:, None] + np.arange(3)])

    def centres(self, key: str) -> FloatArray:
        """Where the layout has placed the objects of a kind, shape (n, 2), m; (0, 2) if it has none."""
        return self._centres.get(key, np.zeros((0, 2))).copy()

    def time_s(self) -> float:
        """Simulated time since the start of the episode, s."""
        return float(self.data.time)

    def touched(self, key: str) -> list[int]:
        """Indices of the objects of a kind that the robot is in contact with."""
        pairs = self.data.contact.geom
        agent = self._is_agent[pairs]
        others = self._geom_body[pairs[:, ::-1][agent]]
        return [i for i, body in enumerate(self._bodies.get(key, ())) if body in others]

    def _lead(self) -> None:
        """Move all leaders to where their objects should be at the present time."""
        time = float(self.data.time)
        circle = np.array([np.sin(time), np.cos(time)])
        for kind, leaders in self._leaders.items():
            self.data.mocap_pos[leaders, :2] = self._centres[kind.key] + kind.travel * circle
            # As in the benchmark, so that gremlins are lifted by their z off the floor.
            self.data.mocap_pos[leaders, 2] = kind.z

    def _set_free(self, body: int, point: XY, z: float, yaw: float) -> None:
        start = int(self.model.jnt_qposadr[self.model.body_jntadr[body]])
        self.data.qpos[start : start + 3] = (*point, z)
        self.data.qpos[start + 3 : start + 7] = _yaw_quat(yaw)


def _yaw_quat(yaw: float) -> FloatArray:
    """Quaternion (w, x, y, z) of a turn about the world's z."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
