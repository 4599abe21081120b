"""Messages only the safety filter reads or writes. Pure: no node, no clock."""

from __future__ import annotations

from array import array

from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes.conversions import to_time
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import Decision, FloatArray

FOOTPRINT_FRAME = "base_footprint"
"""REP-105's projection of the base to the floor: on a floor both move alike."""


def to_candidates_image(decision: Decision) -> Image:
    """The scored commands as a 32FC1 Image, one row each: raw action channels, then the risk.

    The stamp is that of the image, frame_id the bundle version. `decision.scores` must not be None.
    """
    assert decision.scores is not None
    message = Image()
    message.header.stamp = to_time(decision.stamp_ns)
    message.header.frame_id = decision.version
    message.height, message.width = (int(n) for n in decision.scores.shape)
    message.encoding = "32FC1"
    message.step = 4 * message.width
    message.data = array("B", decision.scores.astype("<f4", copy=False).tobytes())
    return message


def from_odometry(message: Odometry, adapter: RobotAdapter, base_frame: str) -> FloatArray:
    """Speed of each channel (A,), m/s and rad/s; NaN stays NaN.

    Raises FrameError when the twist is in another frame than the base's.
    """
    frame = message.child_frame_id
    if frame not in ("", base_frame, FOOTPRINT_FRAME):
        raise FrameError(
            f"the odometry's twist is in the frame '{frame}', not '{base_frame}': set base_frame_id to it if "
            "both are the base, or else mend the driver"
        )
    twist, fields = message.twist.twist, {}
    for name in adapter.action_names:
        part, axis = name.split(".")
        fields[name] = float(getattr(getattr(twist, part), axis))
    return adapter.measured(fields)
