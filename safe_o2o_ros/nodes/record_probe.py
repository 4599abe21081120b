"""A camera and a robot for `safe-o2o bench record`: pictures that change, commands and states at one rate."""

from __future__ import annotations

import json
import time

import numpy as np
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Float32
from std_srvs.srv import Trigger

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import to_compressed_image
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.robot import POINT

SPECS = (
    Spec("width", 640, "Width of the pictures, pixels.", 1, 8192),
    Spec("height", 480, "Height of the pictures, pixels.", 1, 8192),
    Spec("rate", 30.0, "Pictures per second.", 1.0, 1000.0),
    Spec("seconds", 60.0, "How long.", 1.0, 1e6),
    Spec("compressed", False, "Send JPEG instead of rgb8."),
)
_PICTURES = 30
_SETTLE_S = 2.5
"""The recorder looks at the graph once a second."""
_LAST_S = 2.0


class RecordProbe(ThinNode):
    """Starts the recorder, publishes, stops it; a line of JSON each second and at the end."""

    idle_s = 0.002

    def __init__(self) -> None:
        super().__init__("record_probe", SPECS)
        p = self.parameters
        self._messages = [
            to_compressed_image(pixels) if p["compressed"] else conversions.to_image(pixels, 0, "camera")
            for pixels in _pictures(p["height"], p["width"])
        ]
        kind = CompressedImage if p["compressed"] else Image
        self._camera = self.create_publisher(kind, "front/image_raw", qos.images(reliable=True, depth=5))
        self._executed = self.create_publisher(TwistStamped, "executed_cmd", qos.series(False))
        self._reward = self.create_publisher(Float32, "reward", qos.series(False))
        self._bumper = self.create_publisher(Bool, "bumper", qos.series(False))
        self._start = self.create_client(Trigger, "recorder_node/start")
        self._stop = self.create_client(Trigger, "recorder_node/stop")
        self._sent = self._late = 0
        self._ready_s = self._begin_s = self._told_s = self._done_s = 0.0

    def work(self) -> None:
        """Whatever is due."""
        now_s = time.monotonic()
        if not self._begin_s:
            self._prepare(now_s)
        elif not self._done_s:
            self._drive(now_s)
        else:
            self.finished = now_s - self._done_s > _LAST_S

    def _prepare(self, now_s: float) -> None:
        publishers = (self._camera, self._executed, self._reward, self._bumper)
        if not (self._start.service_is_ready() and all(p.get_subscription_count() for p in publishers)):
            return
        self._ready_s = self._ready_s or now_s
        if now_s - self._ready_s > _SETTLE_S:
            self._start.call_async(Trigger.Request())
            self._begin_s = self._told_s = now_s + 1.0

    def _drive(self, now_s: float) -> None:
        period_s = 1.0 / self.parameters["rate"]
        due_s = self._begin_s + self._sent * period_s
        if now_s - self._begin_s >= self.parameters["seconds"]:
            self._stop.call_async(Trigger.Request())
            self._done_s = now_s
            return
        if now_s < due_s:
            return
        self._late += now_s - due_s > 0.5 * period_s
        message = self._messages[self._sent % len(self._messages)]
        stamp = self.get_clock().now()
        message.header.stamp = stamp.to_msg()
        self._camera.publish(message)
        action = np.array([0.5, 0.001 * (self._sent % 1000)], np.float32)
        self._executed.publish(conversions.to_twist_stamped(action, stamp.nanoseconds, POINT))
        self._reward.publish(Float32(data=1.0))
        self._bumper.publish(Bool(data=self._sent % 300 == 0))
        self._sent += 1
        if now_s - self._told_s >= 1.0:
            self._told_s = now_s
            print(json.dumps({"at_s": now_s - self._begin_s}), flush=True)

    def last_words(self) -> None:
        """What was sent."""
        print(json.dumps({"sent": self._sent, "late": int(self._late)}), flush=True)


def _pictures(height: int, width: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """(h, w, 3) each: smooth noise that moves, so that they compress as pictures of a drive do."""
    coarse = (
        np.random.default_rng(0).integers(0, 256, (height // 16 + 2, width // 16 + 2, 3)).astype(np.float32)
    )
    import cv2

    cv2.setNumThreads(1)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(1).normal(0.0, 4.0, smooth.shape)
    pixels = np.clip(smooth + grain, 0.0, 255.0).astype(np.uint8)
    return [np.ascontiguousarray(np.roll(pixels, 5 * k, axis=1)) for k in range(_PICTURES)]


def main() -> int:
    """Entry point of the process."""
    return run(RecordProbe)


if __name__ == "__main__":
    raise SystemExit(main())
