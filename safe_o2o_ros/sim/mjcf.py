"""The MuJoCo model of a task as MJCF, everything at the origin."""

from __future__ import annotations

from safe_o2o_ros.sim.objects import ObjectKind
from safe_o2o_ros.sim.robots import AGENT, RobotSpec
from safe_o2o_ros.sim.tasks import TaskSpec

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
  <equality>{welds}</equality>
</mujoco>
"""


def scene_mjcf(task: TaskSpec, counts: dict[str, int]) -> str:
    """MJCF of a task with `counts` objects per kind's key, everything at the origin."""
    robot = task.robot
    bodies, welds = [_object_mjcf(task.goal, 0)], []
    for kind in (group.kind for group in task.groups):
        bodies += [_object_mjcf(kind, i) for i in range(counts[kind.key])]
        if kind.travel > 0.0:
            welds += [_weld_mjcf(kind, i) for i in range(counts[kind.key])]
            bodies += [_leader_mjcf(kind, i) for i in range(counts[kind.key])]
    return _WORLD.format(
        timestep=robot.timestep_s,
        agent=AGENT,
        z=robot.z,
        robot=robot.body_mjcf + cameras_mjcf(robot),
        objects="\n".join(bodies),
        actuators=robot.actuator_mjcf,
        welds="".join(welds),
        # 45 degrees see 2 tan(22.5 deg) z = 0.83 z; the arena and 0.5 m around it.
        top_z=(task.extent + 0.5) / 0.4142,
    )


def _vector(values: tuple[float, ...]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _object_mjcf(kind: ObjectKind, index: int) -> str:
    contact = "" if kind.collides else ' contype="0" conaffinity="0"'
    look = f'rgba="{_vector(kind.rgba)}" density="{kind.density}"{contact}'
    geoms = (
        f'<geom name="{kind.body(index)}" type="{kind.shape}" size="{_vector(kind.size)}" '
        f"{look}/>{_corners_mjcf(kind, look)}"
    )
    # What cannot be pushed is a mocap body: it can be placed anew without recompiling, and
    # contacts see it as immovable.
    joint, mocap = ("<freejoint/>", "") if kind.free else ("", ' mocap="true"')
    return f'<body name="{kind.body(index)}" pos="0 0 {kind.z!r}"{mocap}>{joint}{geoms}</body>'


def _corners_mjcf(kind: ObjectKind, look: str) -> str:
    """The posts on the upright edges of a box."""
    if kind.corner <= 0.0:
        return ""
    x, y, z = kind.size
    size = _vector((kind.corner, kind.corner, z))
    return "".join(
        f'<geom type="box" size="{size}" pos="{_vector((sx * x, sy * y, 0.0))}" {look}/>'
        for sx, sy in ((1, 1), (-1, 1), (1, -1), (-1, -1))
    )


def _leader_mjcf(kind: ObjectKind, index: int) -> str:
    # Scene.place moves the shade; not at the body's origin, or MuJoCo would ignore that.
    look = f'rgba="{_vector((*kind.rgba[:3], kind.shade))}" contype="0" conaffinity="0"'
    geom = f'<geom type="{kind.shape}" size="{_vector(kind.size)}" pos="0 0 {kind.z!r}" {look}/>'
    return f'<body name="{kind.leader(index)}" mocap="true">{geom}</body>'


def _weld_mjcf(kind: ObjectKind, index: int) -> str:
    return f'<weld body1="{kind.leader(index)}" body2="{kind.body(index)}" solref="0.02 1.5"/>'


def cameras_mjcf(robot: RobotSpec) -> str:
    """The cameras on a robot's body."""
    return "".join(
        f'<camera name="{name}" pos="{_vector(_to_body(robot, c.position))}" '
        f'xyaxes="{_vector(_to_body(robot, c.xyaxes[:3]) + _to_body(robot, c.xyaxes[3:]))}" '
        f'fovy="{c.fovy_deg}"/>'
        for name, c in robot.cameras.items()
    )


def _to_body(robot: RobotSpec, vector: tuple[float, ...]) -> tuple[float, ...]:
    """A vector in base_link, in the axes of the robot's body."""
    (fx, fy), (x, y, z) = robot.forward, vector
    return (x * fx - y * fy, x * fy + y * fx, z)
