"""The simulated robots: MJCF fragments, cameras and step sizes.

Numbers are those of the published benchmark (Safety-Gymnasium 1.0). SI units, radians.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safe_o2o_ros.robot import POINT, RobotAdapter

AGENT = "agent"
"""Name of every robot's body."""

CAMERA_FOVY_DEG = 90.0


@dataclass(frozen=True)
class CameraPose:
    """A camera fixed to the robot's body; the image is square."""

    position: tuple[float, float, float]
    """Body frame, m."""
    xyaxes: tuple[float, float, float, float, float, float]
    """Image right and image up in the body frame; MuJoCo normalises them."""
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
)
