"""What a camera sees against what the bundle was trained on: field of view and mount."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.manifest import View

FOVY_TOLERANCE = 0.05
"""Share by which the vertical field of view may differ."""
POSITION_TOLERANCE_M = 0.05
ANGLE_TOLERANCE_DEG = 5.0

Pose = NDArray[np.float64]
"""(4, 4) homogeneous matrix: coordinates in the child frame to coordinates in the parent."""


def fovy_problem(camera: str, view: View, fovy_deg: float) -> str:
    """One sentence with both numbers when the field of view differs, else ""."""
    if abs(fovy_deg - view.fovy_deg) <= FOVY_TOLERANCE * view.fovy_deg:
        return ""
    return (
        f"camera {camera} sees {fovy_deg:.1f} degrees vertically but the bundle was trained with "
        f"{view.fovy_deg:.1f}: crop its images (camera_node: crop 'view'), change the lens, or train with it"
    )


def mount_problem(camera: str, view: View, pose: Pose) -> str:
    """One sentence with both numbers when the mount differs, else "". `pose`: optical frame in base_link."""
    trained = view_pose(view)
    distance = float(np.linalg.norm(pose[:3, 3] - trained[:3, 3]))
    turn = (float(np.trace(pose[:3, :3].T @ trained[:3, :3])) - 1.0) / 2.0
    angle = math.degrees(math.acos(min(1.0, max(-1.0, turn))))
    if distance > POSITION_TOLERANCE_M:
        return (
            f"camera {camera} sits at {_metres(pose)} m in base_link but the bundle was trained with "
            f"{_metres(trained)} m: correct the mount or its transform"
        )
    if angle > ANGLE_TOLERANCE_DEG:
        return (
            f"camera {camera} looks along {_direction(pose)} in base_link but the bundle was trained with "
            f"{_direction(trained)}, and {angle:.1f} degrees lie between the two: correct the mount or its "
            "transform"
        )
    return ""


def optical_axes(xyaxes: Sequence[float]) -> NDArray[np.float64]:
    """Rotation matrix (3, 3) whose columns are the optical frame's x (right), y (down), z (forward).

    `xyaxes`: image right, then image up, in base_link; need not be of unit length.
    """
    right, up = np.reshape(np.asarray(xyaxes, np.float64), (2, 3))
    right = right / np.linalg.norm(right)
    up = up - right * (right @ up)
    down = -up / np.linalg.norm(up)
    return np.stack([right, down, np.cross(right, down)], axis=1)


def view_pose(view: View) -> Pose:
    """The trained camera's optical frame in base_link."""
    pose = np.eye(4)
    pose[:3, :3] = optical_axes(view.xyaxes)
    pose[:3, 3] = view.position
    return pose


def transform_pose(translation: Sequence[float], rotation: Sequence[float]) -> Pose | None:
    """A pose from (x, y, z) metres and a quaternion (x, y, z, w); None when they are none."""
    values = np.asarray([*translation, *rotation], np.float64)
    norm = float(np.linalg.norm(values[3:]))
    if not np.isfinite(values).all() or norm < 1e-6:
        return None
    x, y, z, w = values[3:] / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = values[:3]
    return pose


def pose_in(base: str, frame: str, parents: Mapping[str, tuple[str, Pose]]) -> Pose | None:
    """The pose of `frame` in `base`; `parents`: child -> (parent, pose in it). None if not connected."""
    pose = np.eye(4)
    for _ in range(len(parents) + 1):
        if frame == base:
            return pose
        if frame not in parents:
            return None
        frame, step = parents[frame]
        pose = step @ pose
    return None


def _metres(pose: Pose) -> str:
    return "(" + ", ".join(f"{v:.2f}" for v in pose[:3, 3]) + ")"


def _direction(pose: Pose) -> str:
    return "(" + ", ".join(f"{v:.2f}" for v in pose[:3, 2]) + ")"
