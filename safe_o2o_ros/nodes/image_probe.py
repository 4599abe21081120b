"""How many of a camera driver's images come out of camera_node on this machine, and how old: a measurement.

Run it beside `camera_node` with `cameras:=[front] front.topic:=driver/image_raw`; see docs/cameras.md.
"""

from __future__ import annotations

import json
import time

import numpy as np
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from safe_o2o_ros.nodes import conversions
from safe_o2o_ros.nodes.image_messages import to_compressed_image
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("width", 640, "Width of the driver's images, pixels.", 1, 8192),
    Spec("height", 480, "Height of the driver's images, pixels.", 1, 8192),
    Spec("rate", 30.0, "Images per second.", 1.0, 1000.0),
    Spec("images", 300, "Images to send.", 1, 1_000_000),
    Spec("reliable", False, "Offer the images reliable; else best effort, as camera drivers do."),
    Spec("compressed", False, "Send JPEG instead of rgb8."),
)
_SETTLE_S = 2.5
"""After the match: camera_node looks at the graph once a second."""
_LAST_S = 1.0


class ImageProbe(ThinNode):
    """Sends images on driver/image_raw and counts front/image_raw; prints one line of JSON."""

    def __init__(self) -> None:
        super().__init__("image_probe", SPECS)
        p = self.parameters
        shape = (p["height"], p["width"], 3)
        # Smooth noise: a size after compression as of a picture.
        coarse = np.random.default_rng(0).integers(0, 256, (shape[0] // 8 + 1, shape[1] // 8 + 1, 3))
        pixels = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)[: shape[0], : shape[1]]
        compressed = p["compressed"]
        self._message = to_compressed_image(pixels) if compressed else conversions.to_image(pixels, 0, "")
        reliability = ReliabilityPolicy.RELIABLE if p["reliable"] else ReliabilityPolicy.BEST_EFFORT
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=reliability)
        kind = CompressedImage if compressed else Image
        self._driver = self.create_publisher(kind, "driver/image_raw", profile)
        loose = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self.create_subscription(Image, "front/image_raw", self._on_image, loose)
        self._ages_ms: list[float] = []
        self._sent = 0
        self._due_s: float | None = None

    def _on_image(self, message: Image) -> None:
        now_ns = int(self.get_clock().now().nanoseconds)
        self._ages_ms.append((now_ns - conversions.from_time(message.header.stamp)) * 1e-6)

    def work(self) -> None:
        """Send what is due; end a little after the last image."""
        now_s = time.monotonic()
        if self._due_s is None:
            if self._driver.get_subscription_count():
                self._due_s = now_s + _SETTLE_S
            return
        if self._sent == self.parameters["images"]:
            self.finished = now_s > self._due_s + _LAST_S
        elif now_s >= self._due_s:
            self._message.header.stamp = self.get_clock().now().to_msg()
            self._driver.publish(self._message)
            self._sent += 1
            self._due_s += 1.0 / self.parameters["rate"]
        self.idle_s = min(0.1, max(0.0, self._due_s - time.monotonic()))

    def last_words(self) -> None:
        """Print what was measured."""
        ages = self._ages_ms or [float("nan")]
        result = {
            "sent": self._sent,
            "received": len(self._ages_ms),
            "bytes": len(self._message.data),
            "p50_ms": round(float(np.percentile(ages, 50)), 1),
            "p99_ms": round(float(np.percentile(ages, 99)), 1),
        }
        print(json.dumps(result), flush=True)


def main() -> int:
    """Entry point of the process."""
    return run(ImageProbe)


if __name__ == "__main__":
    raise SystemExit(main())
