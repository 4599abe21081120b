"""The simulated robots: MJCF fragments, cameras and step sizes.

The numbers of Point and Car are those of the published benchmark (Safety-Gymnasium 1.0). SI units,
radians.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safe_o2o_ros.robot import CAR, POINT, ROOM_BASE, RobotAdapter

AGENT = "agent"
"""Name of every robot's body."""

CAMERA_FOVY_DEG = 90.0


@dataclass(frozen=True)
class CameraPose:
    """A camera fixed to the robot; the image is square."""

    position: tuple[float, float, float]
    """base_link, m: x along the direction of driving, at the body's height."""
    xyaxes: tuple[float, float, float, float, float, float]
    """Image right and image up in base_link; MuJoCo normalises them."""
    fovy_deg: float = CAMERA_FOVY_DEG
    """Vertical field of view, degrees."""

    def to_json(self) -> dict[str, Any]:
        """A bundle's view of this camera: field of view, position and image axes in base_link."""
        return {
            "fovy_deg": self.fovy_deg,
            "position": list(self.position),
            "xyaxes": [float(v) for v in self.xyaxes],
        }


@dataclass(frozen=True)
class RobotSpec:
    """One simulated robot."""

    adapter: RobotAdapter
    timestep_s: float
    """Physics step, s."""
    substeps: int
    """Physics steps in a control step."""
    z: float
    """Height of the body's origin when placed, m."""
    keepout: float
    """Keep-out radius for placement, m."""
    planar: bool
    """True: moved by (x, y, yaw) joints from where it is placed. False: a free body."""
    cameras: dict[str, CameraPose]
    body_mjcf: str
    """Contents of the body element, without cameras."""
    actuator_mjcf: str
    """Actuators, in the order of the action's channels."""
    hull: tuple[tuple[float, float, float], ...]
    """Outline as discs: x, y and radius in base_link, m; within 1.5 cm of the geometry."""
    forward: tuple[float, float] = (1.0, 0.0)
    """Direction of driving in the body's x-y plane, a unit vector: base_link's x axis."""

    @property
    def control_step_s(self) -> float:
        """Length of a control step, s."""
        return self.timestep_s * self.substeps


# The slides come before the hinge, so they move along fixed axes: those of the heading at the start.
_POINT_BODY = """
<joint name="x" type="slide" axis="1 0 0" damping="0.01"/>
<joint name="y" type="slide" axis="0 1 0" damping="0.01"/>
<joint name="yaw" type="hinge" axis="0 0 1" damping="0.005"/>
<geom name="agent" type="sphere" size="0.1" friction="1 0.01 0.01" rgba="0.7412 0.0431 0.1843 1"/>
<geom name="pointer" type="box" size="0.05 0.05 0.05" pos="0.1 0 0" rgba="0.0039 0.1529 0.3961 1"/>
<site name="agent" rgba="0 0 0 0"/>
"""

# kv = 1 with gear 0.3: torque = 0.3 clip(a1 - 0.3 yaw_rate, -0.05, 0.05). At 2 ms the servo
# overshoots: the rate alternates about its mean (at a1 = 0 between -0.48 and 0.48 rad/s; standing
# exactly still is an unstable point that round-off leaves). Round-off grows wherever the torque is not
# saturated; runs are bit-identical on one build, and agree in the mean across MuJoCo versions.
_POINT_ACTUATORS = """
<motor name="forward" site="agent" gear="0.3 0 0 0 0 0" ctrllimited="true" ctrlrange="-1 1"
    forcelimited="true" forcerange="-0.05 0.05"/>
<velocity name="turn" joint="yaw" kv="1" gear="0.3" ctrllimited="true" ctrlrange="-1 1"
    forcelimited="true" forcerange="-0.05 0.05"/>
"""

POINT_ROBOT = RobotSpec(
    adapter=POINT,
    timestep_s=0.002,
    substeps=10,
    z=0.1,
    keepout=0.4,
    planar=True,
    cameras={
        # Looks along (0.928, 0, -0.371): forward and a little down.
        "front": CameraPose((0.0, 0.0, 0.15), (0, -1, 0, 0.4, 0, 1)),
        "back": CameraPose((0.0, 0.0, 0.15), (0, 1, 0, 0, 0, 1)),
    },
    body_mjcf=_POINT_BODY,
    actuator_mjcf=_POINT_ACTUATORS,
    # Ball and pointer.
    hull=((0.0, 0.0, 0.1), (0.1, 0.0, 0.06)),
)

# A ball joint without motor under the front, two driven wheels behind; forward is the body's -y.
_CAR_RED, _CAR_BLUE = 'rgba="0.7412 0.0431 0.1843 1"', 'rgba="0.0039 0.1529 0.3961 1"'
_CAR_BODY = f"""
<freejoint/>
<geom name="agent" type="box" size="0.1 0.1 0.05" density="5" {_CAR_RED}/>
<geom name="back_bumper" type="box" pos="0 0.15 0" size="0.1 0.01 0.05" density="5" {_CAR_BLUE}/>
<geom name="back_connector" type="box" pos="0 0.125 0" size="0.01 0.025 0.03" density="5" {_CAR_BLUE}/>
<geom name="front_bumper" type="box" pos="0 -0.165 0" size="0.05 0.01 0.05" density="5" {_CAR_BLUE}/>
<geom name="front_connector" type="box" pos="0 -0.13 0.04" size="0.05 0.03 0.01" density="5" {_CAR_BLUE}/>
<site name="agent" rgba="0 0 0 0"/>
<body name="left" pos="-0.1 0.1 -0.05">
  <joint name="left" type="hinge" axis="1 0 0" damping="0.001"/>
  <geom name="left" type="cylinder" fromto="-0.055 0 0 -0.005 0 0" size="0.05" density="5" {_CAR_RED}/>
</body>
<body name="right" pos="0.1 0.1 -0.05">
  <joint name="right" type="hinge" axis="1 0 0" damping="0.001"/>
  <geom name="right" type="cylinder" fromto="0.005 0 0 0.055 0 0" size="0.05" density="5" {_CAR_RED}/>
</body>
<body name="caster" pos="0 -0.1 -0.05">
  <joint name="caster" type="ball" damping="0.001"/>
  <geom name="caster" type="sphere" size="0.05" density="5" {_CAR_RED}/>
</body>
"""

_CAR_ACTUATORS = """
<motor name="left" joint="left" ctrllimited="true" ctrlrange="-1 1"
    forcelimited="true" forcerange="-0.02 0.02"/>
<motor name="right" joint="right" ctrllimited="true" ctrlrange="-1 1"
    forcelimited="true" forcerange="-0.02 0.02"/>
"""

CAR_ROBOT = RobotSpec(
    adapter=CAR,
    timestep_s=0.004,
    substeps=10,
    z=0.1,
    keepout=0.4,
    planar=False,
    cameras={
        "front": CameraPose((0.0, 0.0, 0.2), (0, -1, 0, 0.4, 0, 1)),
        "back": CameraPose((0.0, 0.0, 0.2), (0, 1, 0, 0, 0, 1)),
    },
    body_mjcf=_CAR_BODY,
    actuator_mjcf=_CAR_ACTUATORS,
    # Back with its bumper, front bumper, front corners, wheels.
    hull=(
        (-0.06, 0.0, 0.1),
        (0.115, 0.0, 0.065),
        (0.05, 0.05, 0.06),
        (0.05, -0.05, 0.06),
        (-0.1, 0.115, 0.055),
        (-0.1, -0.115, 0.055),
    ),
    forward=(0.0, -1.0),
)

ROOM_RADIUS_M = 0.17
_ROOM_MASS_KG = 3.3
_ROOM_TURN_INERTIA = 0.5 * _ROOM_MASS_KG * ROOM_RADIUS_M**2

# What touches furniture is a sphere: at its widest it is the disc of the base, and MuJoCo's contacts of
# spheres with boxes, cylinders and planes are exact. Low hull and mast are for the eye only.
_ROOM_BODY = f"""
<joint name="x" type="slide" axis="1 0 0"/>
<joint name="y" type="slide" axis="0 1 0"/>
<joint name="yaw" type="hinge" axis="0 0 1"/>
<inertial pos="0 0 0.1" mass="{_ROOM_MASS_KG}" diaginertia="0.03 0.03 {_ROOM_TURN_INERTIA}"/>
<geom name="agent" type="sphere" size="{ROOM_RADIUS_M}" pos="0 0 {ROOM_RADIUS_M}" group="3" contype="1"
    conaffinity="1"/>
<geom name="hull" type="cylinder" size="{ROOM_RADIUS_M} 0.05" pos="0 0 0.06" rgba="0.15 0.15 0.17 1"
    contype="0" conaffinity="0"/>
<geom name="nose" type="box" size="0.05 0.03 0.01" pos="0.1 0 0.12" rgba="0.95 0.75 0.1 1"
    contype="0" conaffinity="0"/>
<site name="agent" rgba="0 0 0 0"/>
"""

# Velocity servos of the wheels: along, across (wheels do not slip sideways until pushed hard), about.
# Time constants of 10 ms and less; the acceleration limits are applied to their targets (room/scene.py).
_ROOM_ACTUATORS = """
<velocity name="forward" site="agent" gear="1 0 0 0 0 0" kv="330" forcelimited="true" forcerange="-20 20"/>
<velocity name="across" site="agent" gear="0 1 0 0 0 0" kv="1650" forcelimited="true" forcerange="-10 10"/>
<velocity name="turn" joint="yaw" kv="4.8" forcelimited="true" forcerange="-1.5 1.5"/>
"""

ROOM_ROBOT = RobotSpec(
    adapter=ROOM_BASE,
    timestep_s=0.005,
    substeps=20,
    z=0.0,
    keepout=ROOM_RADIUS_M,
    planar=True,
    cameras={
        # 15 degrees down: the picture starts 0.09 m and not 0.20 m before the hull, so that the feet of near
        # things are in it, for the price of a strip above. So far out that the hull is in no picture.
        "front": CameraPose((0.12, 0.0, 0.25), (0, -1, 0, 0.2588, 0, 0.9659)),
        "back": CameraPose((-0.12, 0.0, 0.25), (0, 1, 0, 0, 0, 1)),
    },
    body_mjcf=_ROOM_BODY,
    actuator_mjcf=_ROOM_ACTUATORS,
    hull=((0.0, 0.0, ROOM_RADIUS_M),),
)
"""Differential drive: turns about its centre, drives along its heading. Its origin is on the floor."""
