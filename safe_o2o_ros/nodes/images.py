"""Camera subscriptions that fit their publisher: type and reliability do not always agree in ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from safe_o2o_ros.nodes import qos

IMAGE_QOS = ("auto", "best_effort", "reliable")
_KINDS = {"sensor_msgs/msg/Image": Image, "sensor_msgs/msg/CompressedImage": CompressedImage}


class ImageInput:
    """One topic of images. `image_qos`: best_effort, reliable, or auto = as offered."""

    def __init__(
        self,
        node: Node,
        topic: str,
        image_qos: str,
        callback: Callable[[Any], None],
        compressed: bool = False,
        depth: int = 1,
        raw: bool = False,
    ) -> None:
        """`callback` gets Image messages, and with `compressed` also CompressedImage ones.

        `depth`: so many wait where they come faster than they are taken. `raw`: bytes instead, of the type
        that `kind` names.
        """
        self._node = node
        self._callback = callback
        self._topic = topic
        self._auto = image_qos == "auto"
        self._depth, self._raw = depth, raw
        # Best effort hears every publisher; it is raised to reliable once one offers that.
        self.reliable = image_qos == "reliable"
        """Lost messages are sent again."""
        self.problem = ""
        """Why nothing can be heard, as far as the graph tells, or ""."""
        self._kinds = _KINDS if compressed else {"sensor_msgs/msg/Image": Image}
        self._kind: type[Any] = Image
        self._subscription = self._subscribe()

    @property
    def kind(self) -> str:
        """Type that is listened to."""
        return next(name for name, kind in self._kinds.items() if kind is self._kind)

    def adapt(self) -> None:
        """Follow the publishers in the graph. Call now and then."""
        offers = self._node.get_publishers_info_by_topic(self._topic)
        types = sorted({offer.topic_type for offer in offers})
        self.problem = self._mismatch(types)
        if self.problem or not offers:
            return
        reliable = self.reliable
        if self._auto:
            reliable = all(o.qos_profile.reliability is ReliabilityPolicy.RELIABLE for o in offers)
        kind = self._kinds[types[0]]
        if (kind, reliable) != (self._kind, self.reliable):
            self._kind, self.reliable = kind, reliable
            self._node.destroy_subscription(self._subscription)
            self._subscription = self._subscribe()

    def _mismatch(self, types: list[str]) -> str:
        if not types:
            return f"nothing is published on '{self._topic}'"
        if len(types) > 1:
            return f"'{self._topic}' is published as {' and as '.join(types)}: rename one of them"
        if types[0] not in self._kinds:
            return f"'{self._topic}' is published as {types[0]}, not as {' or '.join(self._kinds)}"
        return ""

    def close(self) -> None:
        """Stop to listen."""
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self) -> Subscription:
        return self._node.create_subscription(
            self._kind,
            self._topic,
            self._callback,
            qos.images(self.reliable, self._depth),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._incompatible),
            raw=self._raw,
        )

    def _incompatible(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        self._node.get_logger().error(
            f"a publisher of '{self._topic}' is best effort but image_qos is reliable: set image_qos to auto",
            throttle_duration_sec=5.0,
        )
