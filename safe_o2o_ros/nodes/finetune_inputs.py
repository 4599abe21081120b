"""What finetune_node listens to: converts messages, notes when they came, tells the joiner."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import from_image
from safe_o2o_ros.nodes.images import ImageInput
from safe_o2o_ros.nodes.receipt import ReceiptClock
from safe_o2o_ros.online.frame_sets import ExactFrameSets
from safe_o2o_ros.online.joining import START, TransitionJoiner
from safe_o2o_ros.perception.feed import FrameFeed

_Info = Mapping[str, Any]
_FRAMES, _FRAMES_LOCKSTEP = 4, 50
"""Frames that may wait: a robot's cameras may be large, and the simulator waits for nobody here."""


class FinetuneInputs:
    """The subscriptions. `heard` grows with every message."""

    def __init__(
        self,
        node: Node,
        joiner: TransitionJoiner,
        manifest: Manifest,
        *,
        lockstep: bool,
        image_qos: str,
        pair_tolerance_s: float,
    ) -> None:
        """`manifest`: of the bundle. The others are parameters of the node."""
        self._node, self._joiner, self._adapter = node, joiner, manifest.adapter
        spec, now_s = manifest.image, time.monotonic()
        self.feed = FrameFeed(spec, manifest.period_s, lockstep, pair_tolerance_s, now_s)
        """Frame sets of a robot, and their account."""
        self._exact = ExactFrameSets(spec.cameras, spec.height, spec.width) if lockstep else None
        self._clock = ReceiptClock(sent=lockstep)
        self.heard, self._newest_ns = 0, 0
        self.refused: Counter[str] = Counter({"safety/state": 0})
        """Messages that could not be read, by topic."""
        every = qos.series(lockstep)
        self._others: list[Subscription] = [
            node.create_subscription(String, "episode", self._on_episode, qos.facts()),
            node.create_subscription(TwistStamped, "executed_cmd", self._on_executed, every),
            node.create_subscription(TwistStamped, "cmd_vel_nominal", self._on_nominal, every),
            node.create_subscription(DiagnosticArray, "safety/state", self._on_state, every),
            node.create_subscription(Float32, "reward", self._on_reward, qos.series(False)),
            node.create_subscription(Float32, "cost", self._on_cost, qos.series(False)),
            node.create_subscription(Bool, "bumper", self._on_bumper, qos.series(False)),
        ]
        self._images = [
            ImageInput(
                node,
                f"{name}/image_raw",
                "reliable" if lockstep else image_qos,
                partial(self._on_image, name),
                depth=_FRAMES_LOCKSTEP if lockstep else _FRAMES,
            )
            for name in spec.cameras
        ]

    def adapt(self) -> None:
        """Follow the publishers of images in the graph. Call now and then."""
        for image in self._images:
            image.adapt()

    def _at_ns(self, info: _Info) -> int:
        self.heard += 1
        self._newest_ns = self._clock.at_ns(info)
        return self._newest_ns

    def _catch_up(self, at_ns: int) -> None:
        """Take all else that was received before `at_ns`.

        An executor takes one message of each topic in turn. One that fell behind hands over a frame before
        rewards and commands that came long before it; its period would be judged without them.
        """
        for other in self._others:
            self._newest_ns = 0
            with other.handle:
                while self._newest_ns < at_ns:
                    taken = other.handle.take_message(other.msg_type, other.raw)
                    if taken is None:
                        break
                    other.callback(*taken)

    def _on_episode(self, message: String, info: _Info) -> None:
        if message.data == START:
            self.feed.restart()
        self._joiner.episode(message.data, self._at_ns(info))

    def _on_executed(self, message: TwistStamped, info: _Info) -> None:
        action = conversions.from_twist(message.twist, self._adapter)
        self._joiner.executed(conversions.from_time(message.header.stamp), action, self._at_ns(info))

    def _on_nominal(self, message: TwistStamped, info: _Info) -> None:
        self._joiner.nominal(conversions.to_proposal(message, self._adapter), self._at_ns(info))

    def _on_state(self, message: DiagnosticArray, info: _Info) -> None:
        at_ns = self._at_ns(info)
        try:
            decision = conversions.from_state(message)[0]
        except FrameError as error:
            self.refused["safety/state"] += 1
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._joiner.state(decision, at_ns)

    def _on_reward(self, message: Float32, info: _Info) -> None:
        self._joiner.reward(float(message.data), self._at_ns(info))

    def _on_cost(self, message: Float32, info: _Info) -> None:
        self._joiner.cost(float(message.data), self._at_ns(info))

    def _on_bumper(self, message: Bool, info: _Info) -> None:
        self._joiner.bumper(bool(message.data), self._at_ns(info))

    def _on_image(self, camera: str, message: Image, info: _Info) -> None:
        at_ns, stamp_ns = self._at_ns(info), conversions.from_time(message.header.stamp)
        self._catch_up(at_ns)
        try:
            if self._exact is not None:
                frames = self._exact.add(camera, stamp_ns, from_image(message))
            else:
                frames = self.feed.add(camera, stamp_ns, from_image(message), time.monotonic())
        except FrameError as error:
            self.feed.refuse(camera, error)
            self._node.get_logger().error(f"camera {camera}: {error}", throttle_duration_sec=5.0)
            return
        if frames is not None:
            self._joiner.frames(frames, at_ns)
