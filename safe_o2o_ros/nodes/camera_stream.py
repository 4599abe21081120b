"""One camera of camera_node: from its source to small images, their calibration and a diagnosis."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.camera_inputs import CameraInput, Incoming
from safe_o2o_ros.nodes.camera_specs import CameraSettings
from safe_o2o_ros.nodes.image_messages import to_camera_info
from safe_o2o_ros.perception.arrivals import Arrivals
from safe_o2o_ros.perception.health import Vitals, judge
from safe_o2o_ros.perception.shaping import FrameShaper
from safe_o2o_ros.types import Level

_RECORDED_DEPTH = 1000
"""Small pictures that are kept for a subscriber that wants all: a recording can be faster than it is."""
_SETTLED_S = 0.5
"""Time without a new subscriber after which a recording begins."""


class CameraStream:
    """Publishes `<camera>/image_raw` and `<camera>/camera_info`."""

    def __init__(self, node: Node, settings: CameraSettings, source: CameraInput, now_s: float) -> None:
        """`now_s`: steady clock, seconds."""
        self.name = settings.name
        self._settings = settings
        self._node = node
        self._source = source
        self._shaper = FrameShaper(settings.shape)
        self._arrivals = Arrivals(now_s)
        self._refusal = ""
        self._bytes = self._frames = 0
        self._listened, self._listeners, self._joined_s = False, 0, now_s
        self._said = ""
        profile = qos.recorded_images(_RECORDED_DEPTH) if source.recorded else qos.images(reliable=False)
        self._images = node.create_publisher(Image, f"{self.name}/image_raw", profile)
        self._infos = node.create_publisher(CameraInfo, f"{self.name}/camera_info", profile)

    def work(self, now_s: float) -> None:
        """Publish the newest frame, if there is one."""
        if self._source.recorded and not self._listened:
            self._await_listeners(now_s)
        incoming = self._source.take()
        if incoming is None:
            return
        try:
            self._publish(incoming, now_s)
        except FrameError as error:
            self._arrivals.dropped["refused"] += 1
            self._refusal = str(error)

    def _await_listeners(self, now_s: float) -> None:
        """A recording begins when nobody has joined for a while: its first pictures would be lost to him."""
        count = self._images.get_subscription_count()
        if count != self._listeners:
            self._listeners, self._joined_s = count, now_s
        elif count and now_s - self._joined_s > _SETTLED_S:
            self._listened = True
            self._source.listened()

    def _publish(self, incoming: Incoming, now_s: float) -> None:
        if isinstance(incoming.image, FrameError):
            raise incoming.image
        settings = self._settings
        height, width = incoming.image.shape[:2]
        model = settings.model(incoming.model, height, width)
        small, model = self._shaper.apply(incoming.image, model)
        clock_ns = int(self._node.get_clock().now().nanoseconds)
        self._bytes = incoming.message_bytes
        if not self._arrivals.frame(incoming.stamp_ns, clock_ns, now_s):
            return
        frame_id = settings.frame_id or incoming.frame_id or f"{self.name}_optical_frame"
        height, width = small.shape[:2]
        self._infos.publish(to_camera_info(model, height, width, incoming.stamp_ns, frame_id))
        self._images.publish(conversions.to_image(small, incoming.stamp_ns, frame_id))
        self._frames += 1

    def report(
        self, now_s: float, stall_timeout_s: float, rate_warning: float
    ) -> tuple[Level, str, dict[str, Any]]:
        """Level, sentence and numbers for the diagnostics; a new trouble is also logged."""
        self._source.adapt()
        state, problem = self._source.status()
        arrivals = self._arrivals
        vitals = Vitals(
            source=state,
            problem=problem,
            any_frame=arrivals.heard,
            silent_s=arrivals.silent_s(now_s),
            rate_hz=arrivals.rate_hz(now_s),
            expected_hz=self._settings.expected_hz,
            lost_share=arrivals.lost_share(),
            best_effort=self._source.best_effort,
            message_bytes=self._bytes,
            age_s=arrivals.age_s,
            refusal=self._refusal,
        )
        level, text = judge(vitals, stall_timeout_s, rate_warning)
        self._refusal = ""
        self._say(level, text)
        dropped = self._source.dropped + arrivals.dropped
        values = {
            "frames": self._frames,
            "rate_hz": f"{vitals.rate_hz:.1f}",
            "expected_hz": f"{vitals.expected_hz:.1f}",
            "age_s": f"{vitals.age_s:.3f}",
            "silent_s": f"{vitals.silent_s:.1f}",
            "lost_share": f"{vitals.lost_share:.2f}",
            "clock_jumps": arrivals.clock_jumps,
            **{f"dropped_{reason}": count for reason, count in sorted(dropped.items())},
        }
        return level, text, values

    def _say(self, level: Level, text: str) -> None:
        # Sentences of one trouble differ in their numbers only.
        kind = "".join(c for c in text if not c.isdigit())
        if kind == self._said:
            return
        logger = self._node.get_logger()
        if level is Level.OK:
            if self._said:
                logger.info(f"camera {self.name}: {text}")
        elif level is Level.WARN:
            logger.warning(f"camera {self.name}: {text}")
        else:
            logger.error(f"camera {self.name}: {text}")
        self._said = kind

    def close(self) -> None:
        """Free the source."""
        self._source.close()
