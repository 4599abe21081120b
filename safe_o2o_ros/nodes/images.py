"""Camera subscriptions that fit their publisher: best effort and reliable do not always talk in ROS."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from safe_o2o_ros.nodes import qos


class ImageInput:
    """One camera's `<camera>/image_raw`. `image_qos`: best_effort, reliable, or auto = as offered."""

    def __init__(
        self, node: Node, camera: str, image_qos: str, callback: Callable[[str, Image], None]
    ) -> None:
        """`callback` gets the camera's name and the message."""
        self._node = node
        self._camera = camera
        self._callback = callback
        self._topic = f"{camera}/image_raw"
        self._auto = image_qos == "auto"
        # Best effort hears every publisher; it is raised to reliable once one offers that.
        self._reliable = image_qos == "reliable"
        self._subscription = self._subscribe()

    def adapt(self) -> None:
        """Follow the publishers in the graph; a no-op unless auto. Call now and then."""
        if not self._auto:
            return
        offers = self._node.get_publishers_info_by_topic(self._topic)
        reliable = bool(offers) and all(
            o.qos_profile.reliability is ReliabilityPolicy.RELIABLE for o in offers
        )
        if reliable != self._reliable:
            self._reliable = reliable
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def _subscribe(self) -> Subscription:
        return self._node.create_subscription(
            Image,
            self._topic,
            lambda message: self._callback(self._camera, message),
            qos.images(self._reliable),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._incompatible),
        )

    def _incompatible(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self._node.get_logger().error(
            f"a publisher of '{self._topic}' is best effort but image_qos is reliable: set image_qos to auto",
            throttle_duration_sec=5.0,
        )
