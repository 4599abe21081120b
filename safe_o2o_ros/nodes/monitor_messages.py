"""What the monitor hears, from messages to its types. Pure: no node, no clock.

Lenient where the filter is strict: what a viewer cannot read is left out, and never stops the picture.
"""

from __future__ import annotations

import json
import math

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.monitor.health import Report
from safe_o2o_ros.monitor.overlay import FilterState
from safe_o2o_ros.monitor.trail import Pose
from safe_o2o_ros.nodes.conversions import FILTER_STATUS, from_time
from safe_o2o_ros.types import FloatArray


def to_filter_state(message: DiagnosticArray) -> FilterState:
    """The filter's state for people to look at. Raises FrameError when it is not the filter's."""
    status = next((s for s in message.status if s.name == FILTER_STATUS), None)
    if status is None:
        raise FrameError("a safety/state message is not the safety filter's: check the remaps")
    values = {v.key: v.value for v in status.values}
    return FilterState(
        reason=values.get("reason", status.message) or "unknown",
        mode=values.get("mode", ""),
        source=values.get("source", ""),
        late_input=values.get("late_input", ""),
        value=_number(values.get("value", "")),
        threshold=_number(values.get("threshold", "")),
        bundle=values.get("bundle", ""),
        robot=status.hardware_id,
        wiring=values.get("wiring", ""),
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def to_candidates(message: Image, channels: int) -> tuple[FloatArray, int]:
    """Finite rows (K, channels + 1) of `safety/candidates`, and the number of others. Raises FrameError."""
    width, rows = channels + 1, message.height
    if message.encoding != "32FC1" or message.width != width or len(message.data) != 4 * width * rows:
        raise FrameError(
            f"safety/candidates is {message.encoding} {message.width}x{rows}, but must be 32FC1 with "
            f"{width} columns: check the remaps"
        )
    order = ">f4" if message.is_bigendian else "<f4"
    table = np.frombuffer(message.data, order).astype(np.float32).reshape(rows, width)
    kept = table[np.isfinite(table).all(axis=1)]
    return kept, rows - len(kept)


def to_motion(message: Odometry) -> tuple[Pose, NDArray[np.float64]]:
    """Pose on the floor, and (3,) vx, vy (m/s), wz (rad/s) in the child frame; NaN stays NaN."""
    place, q, twist = message.pose.pose.position, message.pose.pose.orientation, message.twist.twist
    yaw = math.atan2(2.0 * (q.w * q.z + q.x * q.y), 1.0 - 2.0 * (q.y * q.y + q.z * q.z))
    speed = np.array([twist.linear.x, twist.linear.y, twist.angular.z])
    return Pose(from_time(message.header.stamp), place.x, place.y, yaw), speed


def to_reports(message: DiagnosticArray, now_s: float) -> list[Report]:
    """The statuses of others."""
    levels = {DiagnosticStatus.OK: 0, DiagnosticStatus.WARN: 1, DiagnosticStatus.ERROR: 2}
    return [Report(s.name, levels.get(s.level, 3), s.message, now_s) for s in message.status]


def to_active_bundle(text: str) -> tuple[str, str]:
    """Version and directory that `bundle/active` names, "" for what it does not."""
    try:
        facts = json.loads(text)
    except ValueError:
        return "", ""
    if not isinstance(facts, dict):
        return "", ""
    return str(facts.get("version", "")), str(facts.get("path", ""))
