"""What the safety filter listens to: converts messages, notes them in the inbox, decides nothing."""

from __future__ import annotations

import time

from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions, filter_messages, qos
from safe_o2o_ros.nodes.bundles import other_bundle
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.inbox import LATENT, NOMINAL, ODOM, Inbox
from safe_o2o_ros.types import Reason


class PipelineInput:
    """Subscriptions of latent, nominal command and odometry."""

    def __init__(
        self,
        node: Node,
        inbox: Inbox,
        adapter: RobotAdapter,
        *,
        base_frame: str,
        lockstep: bool,
        odometry: bool,
    ) -> None:
        """`odometry`: whether anybody asks for it."""
        self._node, self._inbox, self._adapter = node, inbox, adapter
        self._base_frame = base_frame
        self.clock_offsets_s: dict[str, float] = {}
        """Own clock less the newest stamp, by input, s. For people: a wrong clock is no reason to stop."""
        pipeline = qos.pipeline(lockstep)
        node.create_subscription(Image, LATENT, self._on_latent, pipeline)
        node.create_subscription(TwistStamped, NOMINAL, self._on_nominal, pipeline)
        if odometry:
            # Best effort matches every driver; the next measurement comes soon. In lockstep every one counts.
            profile = qos.series(True) if lockstep else qos_profile_sensor_data
            node.create_subscription(Odometry, ODOM, self._on_odom, profile)

    def _on_latent(self, message: Image) -> None:
        try:
            latent = conversions.from_latent_image(message)
        except FrameError as error:
            self._inbox.refuse(Reason.UNKNOWN_BUNDLE, LATENT, time.monotonic())
            self._complain(str(error))
            return
        held = self._inbox.versions
        if held and latent.version not in held:
            self._complain(other_bundle(latent.version, held))
        self._note_offset(LATENT, latent.stamp_ns)
        self._inbox.note_latent(latent, time.monotonic())

    def _on_nominal(self, message: TwistStamped) -> None:
        proposal = conversions.to_proposal(message, self._adapter)
        self._note_offset(NOMINAL, proposal.stamp_ns)
        self._inbox.note_proposal(proposal, time.monotonic())

    def _on_odom(self, message: Odometry) -> None:
        try:
            speed = filter_messages.from_odometry(message, self._adapter, self._base_frame)
        except FrameError as error:
            self._inbox.refuse_odom("frame", time.monotonic())
            self._complain(str(error))
            return
        self._inbox.note_odom(speed, conversions.from_time(message.header.stamp), time.monotonic())

    def _note_offset(self, name: str, stamp_ns: int) -> None:
        self.clock_offsets_s[name] = (self._node.get_clock().now().nanoseconds - stamp_ns) / 1e9

    def _complain(self, text: str) -> None:
        self._node.get_logger().error(text, throttle_duration_sec=5.0)
