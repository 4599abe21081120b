"""Where the simulated robot and its cameras are, as messages. Pure: no node, no clock.

odom -> base_link -> <camera>_optical_frame (REP-103: z along the view, x right, y down). The odometry of
the simulator is exact, and its origin is the world's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray

from safe_o2o_ros.nodes.conversions import to_time
from safe_o2o_ros.perception.views import optical_axes


class Mount(Protocol):
    """How a camera sits on the robot (sim/robots.py)."""

    @property
    def position(self) -> Sequence[float]:
        """(x, y, z) in base_link, metres."""
        ...

    @property
    def xyaxes(self) -> Sequence[float]:
        """Image right, then image up, in base_link; need not be of unit length."""
        ...


@dataclass(frozen=True)
class Frames:
    """Names of the frames; a prefix of the base's ("robot1/") is also the cameras'."""

    odom: str = "odom"
    base: str = "base_link"

    def camera(self, name: str) -> str:
        """The optical frame of a camera."""
        prefix, slash, _ = self.base.rpartition("/")
        return f"{prefix}{slash}{name}_optical_frame"


@dataclass(frozen=True)
class Motion:
    """What odometry tells: metres, radians, m/s, rad/s."""

    x: float
    y: float
    z: float
    """Height of base_link over the floor."""
    yaw: float
    forward: float
    """Speed along base_link's x."""
    left: float
    """Speed along base_link's y."""
    yaw_rate: float


def camera_transforms(mounts: Mapping[str, Mount], frames: Frames, stamp_ns: int) -> list[TransformStamped]:
    """base_link -> optical frame of every camera, for /tf_static."""
    found = []
    for name, mount in mounts.items():
        message = _transform(frames.base, frames.camera(name), stamp_ns, mount.position)
        message.transform.rotation = quaternion(optical_axes(mount.xyaxes))
        found.append(message)
    return found


def odom_transform(motion: Motion, frames: Frames, stamp_ns: int) -> TransformStamped:
    """odom -> base_link."""
    message = _transform(frames.odom, frames.base, stamp_ns, (motion.x, motion.y, motion.z))
    message.transform.rotation = _turned(motion.yaw)
    return message


def odometry(motion: Motion, frames: Frames, stamp_ns: int) -> Odometry:
    """The same pose with the speed, which is in the child frame."""
    message = Odometry()
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frames.odom
    message.child_frame_id = frames.base
    position, twist = message.pose.pose.position, message.twist.twist
    position.x, position.y, position.z = float(motion.x), float(motion.y), float(motion.z)
    message.pose.pose.orientation = _turned(motion.yaw)
    twist.linear.x, twist.linear.y = float(motion.forward), float(motion.left)
    twist.angular.z = float(motion.yaw_rate)
    return message


def quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    """Of a rotation matrix (3, 3), with w >= 0."""
    # The four numbers are the eigenvector of the largest eigenvalue of this matrix; no case needs a branch.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    matrix = np.array(
        [
            [xx - yy - zz, yx + xy, zx + xz, zy - yz],
            [yx + xy, yy - xx - zz, zy + yz, xz - zx],
            [zx + xz, zy + yz, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    x, y, z, w = np.linalg.eigh(matrix)[1][:, -1].tolist()
    sign = -1.0 if w < 0.0 else 1.0
    return Quaternion(x=sign * x, y=sign * y, z=sign * z, w=sign * w)


def _turned(yaw: float) -> Quaternion:
    half = 0.5 * float(yaw)
    return Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))


def _transform(parent: str, child: str, stamp_ns: int, position: Sequence[float]) -> TransformStamped:
    message = TransformStamped()
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id, message.child_frame_id = parent, child
    at = message.transform.translation
    at.x, at.y, at.z = (float(v) for v in position)
    return message
