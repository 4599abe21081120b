"""Where a held command would take the base: short predicted paths, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import FloatArray

HORIZON_S = 1.5
"""Length of a predicted path, seconds."""
_AXES = ("linear.x", "linear.y", "angular.z")
_SUBSTEPS = 4


def predict(
    raw: FloatArray, adapter: RobotAdapter, speed: NDArray[np.float64] | None, steps: int = 12
) -> NDArray[np.float64]:
    """Positions (K, steps + 1, 2) in base_link, m, while each raw action of (K, A) is held for `HORIZON_S`.

    The speed starts at `speed` (3,), the measured vx, vy (m/s) and wz (rad/s) in base_link, and follows the
    command with the adapter's lag and acceleration limits. Without a measurement it is the command's at once.
    Non-finite actions give non-finite positions.
    """
    columns = [_AXES.index(name) for name in adapter.action_names]
    top = np.asarray(adapter.top_speed, np.float64)
    target = np.zeros((len(raw), 3))
    target[:, columns] = adapter.steady_speed(raw)
    v = target.copy() if speed is None else np.repeat(speed[None], len(raw), 0)
    dt = HORIZON_S / (steps * _SUBSTEPS)
    tau, rise, fall = np.zeros(3), np.full(3, np.inf), np.full(3, np.inf)
    tau[columns] = adapter.time_constant_s
    # A sideways drift has no actuator; it dies out with the drive's lag.
    tau[[i for i in range(3) if i not in columns]] = adapter.time_constant_s[0]
    rise[columns] = np.asarray(adapter.max_accel) * top * dt
    fall[columns] = np.asarray(adapter.max_decel) * top * dt
    gain = np.where(tau > 0.0, 1.0 - np.exp(-dt / np.maximum(tau, 1e-9)), 1.0)
    pose = np.zeros((len(raw), 3))
    points = np.zeros((len(raw), steps + 1, 2))
    for step in range(1, steps + 1):
        for _ in range(_SUBSTEPS):
            slower = (np.abs(target) < np.abs(v)) | (target * v < 0.0)
            most = np.where(slower, fall, rise)
            v = v + np.clip((target - v) * gain, -most, most)
            # Half of the turn before the move: exact on arcs to second order.
            heading = pose[:, 2] + 0.5 * v[:, 2] * dt
            cos, sin = np.cos(heading), np.sin(heading)
            pose[:, 0] += (v[:, 0] * cos - v[:, 1] * sin) * dt
            pose[:, 1] += (v[:, 0] * sin + v[:, 1] * cos) * dt
            pose[:, 2] += v[:, 2] * dt
        points[:, step] = pose[:, :2]
    return points
