"""What recorder_node listens to: every message as bytes, with the time of its receipt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_msgs.msg import Bool, Float32, String

from safe_o2o_ros.data.take_events import Heard
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.images import ImageInput
from safe_o2o_ros.nodes.recorded_images import COMPRESSED_KIND, IMAGE_KIND

_Info = Mapping[str, Any]
Sink = Callable[[Heard], None]
STREAMS: dict[str, type[Any]] = {
    "executed_cmd": TwistStamped,
    "cmd_vel_nominal": TwistStamped,
    "safety/state": DiagnosticArray,
    "odom": Odometry,
    "reward": Float32,
    "cost": Float32,
    "bumper": Bool,
    "e_stop": Bool,
    "episode": String,
}
"""Topic -> type, recorded as they are."""
_TWISTS: dict[str, type[Any]] = {
    "geometry_msgs/msg/Twist": Twist,
    "geometry_msgs/msg/TwistStamped": TwistStamped,
}
_EITHER = ("cmd_vel", "cmd_vel_teleop")
"""Topics of either of these."""
_FRAMES = 30
"""Pictures that may wait for this process."""


def kind_of(message_type: type[Any]) -> str:
    """Name of a message type, such as std_msgs/msg/Bool."""
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"


def receipt_ns(info: _Info) -> int:
    """When the middleware received a message, on the system clock."""
    return int(info.get("received_timestamp") or 0) or time.time_ns()


class RecorderInputs:
    """The subscriptions. Names in the bag are those of this package, whatever they are remapped to here."""

    def __init__(
        self,
        node: Node,
        cameras: tuple[str, ...],
        image_qos: str,
        compress: Callable[[bytes], bytes] | None,
        sink: Sink,
    ) -> None:
        """`compress`: CDR of an Image to CDR of a CompressedImage, None = as it comes; `sink` gets it all."""
        self._node, self._compress, self._sink = node, compress, sink
        for topic, kind in STREAMS.items():
            latched = topic == "episode"
            profile = qos.facts() if latched else qos.series(False)
            take = partial(self._on_stream, f"/{topic}", kind_of(kind))
            node.create_subscription(kind, topic, take, profile, raw=True)
        self._either = dict.fromkeys(_EITHER, "geometry_msgs/msg/TwistStamped")
        self._subscriptions = {topic: self._listen(topic) for topic in _EITHER}
        # The images last: an executor takes one message of each topic in turn.
        self._images: dict[str, ImageInput] = {}
        for name in cameras:
            take = partial(self._on_image, name)
            self._images[name] = ImageInput(
                node, f"{name}/image_raw", image_qos, take, compressed=True, depth=_FRAMES, raw=True
            )

    def adapt(self) -> None:
        """Follow types and reliability of the publishers in the graph. Call now and then."""
        for image in self._images.values():
            image.adapt()
        for topic, kind in self._either.items():
            offers = self._node.get_publishers_info_by_topic(self._subscriptions[topic].topic_name)
            other = next((o.topic_type for o in offers if o.topic_type in _TWISTS), kind)
            if other != kind and all(o.topic_type != kind for o in offers):
                self._either[topic] = other
                self._node.destroy_subscription(self._subscriptions[topic])
                self._subscriptions[topic] = self._listen(topic)

    def problem(self) -> str:
        """Why a camera cannot be heard, as far as the graph tells, or ""."""
        return next((image.problem for image in self._images.values() if image.problem), "")

    def camera_topics(self) -> dict[str, str]:
        """Camera -> its topic in a bag."""
        return {name: self._camera_topic(name) for name in self._images}

    def _camera_topic(self, name: str) -> str:
        raw = self._images[name].kind == IMAGE_KIND and self._compress is None
        return f"/{name}/image_raw" if raw else f"/{name}/image_raw/compressed"

    def _listen(self, topic: str) -> Any:
        kind = self._either[topic]
        take = partial(self._on_stream, f"/{topic}", kind)
        return self._node.create_subscription(_TWISTS[kind], topic, take, qos.series(False), raw=True)

    def _on_stream(self, topic: str, kind: str, data: bytes, info: _Info) -> None:
        self._sink(_heard(topic, kind, data, info))

    def _on_image(self, camera: str, data: bytes, info: _Info) -> None:
        raw = self._images[camera].kind == IMAGE_KIND
        change = self._compress if raw else None
        kind = IMAGE_KIND if raw and change is None else COMPRESSED_KIND
        self._sink(_heard(self._camera_topic(camera), kind, data, info, frame=True, change=change))


def _heard(topic: str, kind: str, data: bytes, info: _Info, **more: Any) -> Heard:
    received_ns = receipt_ns(info)
    sent_ns = int(info.get("source_timestamp") or 0) or received_ns
    return Heard(topic, kind, received_ns, sent_ns, bytes(data), **more)


def said(name: str, message: Any, at_ns: int) -> Heard:
    """A message of the recorder's own."""
    data = bytes(serialize_message(message))
    return Heard(f"/record/{name}", kind_of(type(message)), at_ns, at_ns, data)
