"""Camera images and executed commands in, latent and surprise out."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String

from safe_o2o_ros.bundle import ENCODER
from safe_o2o_ros.errors import FrameError, NonFiniteError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundles import BUNDLE_SPECS, open_bundle
from safe_o2o_ros.nodes.encoder_swap import SWAP_SPECS, EncoderSwap
from safe_o2o_ros.nodes.image_messages import from_image
from safe_o2o_ros.nodes.images import IMAGE_QOS, ImageInput
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.nodes.view_check import ViewCheck
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.feed import FrameFeed
from safe_o2o_ros.perception.history import History
from safe_o2o_ros.perception.session import EncoderSession
from safe_o2o_ros.types import Level

SPECS = (
    *BUNDLE_SPECS,
    Spec(
        "lockstep",
        False,
        "Wait without bound for each frame's executed command.",
    ),
    Spec(
        "image_qos",
        "auto",
        "Reliability of the image subscriptions.",
        choices=IMAGE_QOS,
    ),
    Spec(
        "pair_tolerance",
        -1.0,
        "Largest difference of stamps in a frame set, seconds; negative = half a period, 0 in lockstep.",
        -1.0,
        10.0,
    ),
    Spec("base_frame_id", conversions.BASE_FRAME, "Frame the bundle's views are given in."),
    Spec(
        "executed_timeout",
        0.0,
        "Longest wait for a command, seconds; 0 = half a period.",
        0.0,
        10.0,
    ),
    Spec(
        "rate_warning",
        0.7,
        "Warn below this share of the control rate.",
        0.0,
        1.0,
    ),
    *SWAP_SPECS,
)
_DIAGNOSTICS_S = 1.0


class EncoderNode(ThinNode):
    """One recurrent step of the world model per frame set."""

    def __init__(self) -> None:
        super().__init__("encoder_node", SPECS)
        p = self.parameters
        bundle = open_bundle(p, (ENCODER,))
        manifest = bundle.manifest
        self._adapter = manifest.adapter
        cameras = manifest.image.cameras
        now_s = time.monotonic()
        self._feed = FrameFeed(manifest.image, manifest.period_s, p["lockstep"], p["pair_tolerance"], now_s)
        wait_s = p["executed_timeout"] or manifest.period_s / 2.0
        encoder, history = RecurrentEncoder(bundle), History(p["prime_steps"])
        self._session = EncoderSession(encoder, self._adapter.zero(), p["lockstep"], wait_s, history)
        self._reported_s, self._problem = now_s, ""
        self._refused_commands = 0
        pipeline = qos.pipeline(p["lockstep"])
        self._surprise = self.create_publisher(Float32, "surprise", qos.series(p["lockstep"]))
        self._latent = self.create_publisher(Image, "latent", pipeline)
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        self._swap = EncoderSwap(self, bundle, encoder, self._session, history)
        # Before the images: of messages that wait together the executor runs the older subscription
        # first, so that an episode's start is heard before its first frame.
        self.create_subscription(String, "episode", self._on_episode, qos.facts())
        self.create_subscription(TwistStamped, "executed_cmd", self._on_executed, pipeline)
        # A frame lost between best-effort partners would stall lockstep for ever.
        image_qos = "reliable" if p["lockstep"] else p["image_qos"]
        self._images = [
            ImageInput(self, f"{name}/image_raw", image_qos, partial(self._on_image, name))
            for name in cameras
        ]
        self._views = ViewCheck(self, manifest.views, p["base_frame_id"])
        provider = bundle.networks[ENCODER].provider
        self.get_logger().info(f"bundle {bundle.version} for {manifest.task}, encoder runs on {provider}")

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._session.restart()
            self._feed.restart()

    def _on_executed(self, message: TwistStamped) -> None:
        action = conversions.from_twist(message.twist, self._adapter)
        if not np.isfinite(action).all():
            self._refused_commands += 1
            self._complain("refused an executed_cmd that is not finite: only the safety filter may send it")
            return
        self._session.executed(conversions.from_time(message.header.stamp), action)

    def _on_image(self, camera: str, message: Image) -> None:
        stamp_ns, now_s = conversions.from_time(message.header.stamp), time.monotonic()
        try:
            frames = self._feed.add(camera, stamp_ns, from_image(message), now_s)
        except FrameError as error:
            self._feed.refuse(camera, error)
            self.get_logger().error(f"camera {camera}: {error}", throttle_duration_sec=5.0)
            return
        if frames is not None:
            self._session.frames(frames, now_s)

    def work(self) -> None:
        """Step when a frame set and its executed command are there; then everything else."""
        now_s = time.monotonic()
        self._swap.change(now_s)
        latent = None
        try:
            if not self._swap.holds_up:
                latent = self._session.step(now_s)
        except (FrameError, NonFiniteError) as error:
            self._complain(str(error))
        if latent is not None:
            self._surprise.publish(Float32(data=float(latent.surprise)))
            self._latent.publish(conversions.to_latent_image(latent))
        # After the latent, so that it does not wait for this.
        self._swap.prepare(quiet=latent is not None)
        wait_s = None if self._swap.holds_up else self._session.waiting_s(now_s)
        self.idle_s = 0.1 if wait_s is None else min(0.1, wait_s)
        if now_s - self._reported_s >= _DIAGNOSTICS_S:
            self._report(now_s)

    def _complain(self, sentence: str) -> None:
        """Say it in the log, and in the next report."""
        self._problem = sentence
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _report(self, now_s: float) -> None:
        for image in self._images:
            image.adapt()
        level, text, values = self._feed.report(now_s, self.parameters["rate_warning"], self._views.problems)
        if self._problem and level is Level.OK:
            level, text = Level.WARN, self._problem
        values |= {
            "executed_cmd_missing": self._session.faults,
            "executed_cmd_refused": self._refused_commands,
            **self._swap.facts(),
        }
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics(
                "encoder_node", self._adapter.name, bytes([level]), text, values, stamp_ns
            )
        )
        self._reported_s, self._problem = now_s, ""

    def last_words(self) -> None:
        """Let the thread finish."""
        self._swap.close()


def main() -> int:
    """Entry point of the process."""
    return run(EncoderNode)


if __name__ == "__main__":
    raise SystemExit(main())
