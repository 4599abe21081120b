"""Who publishes what, asked of the ROS graph: cameras are found through the node that makes latents."""

from __future__ import annotations

import time

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo

from safe_o2o_ros.monitor.health import GraphHealth, Verdict
from safe_o2o_ros.monitor.overlay import FilterState
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.monitor_inputs import EXECUTED, LATENT, NOMINAL, ODOM, STATE
from safe_o2o_ros.types import BRAKE_REASONS, Mode

_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_ENDINGS = ("/image_raw", "/image_raw/compressed")
_BRAKING = {reason.value for reason in BRAKE_REASONS}


class GraphWatch:
    """Judges the whole graph by the ages of its topics."""

    def __init__(self, node: Node, health: GraphHealth) -> None:
        self._node, self._health = node, health
        self._cameras: list[str] = []

    def judge(self, state: FilterState) -> Verdict:
        """The state of the graph; `state` is the filter's, empty when it is silent."""
        for topic in (LATENT, NOMINAL, STATE, EXECUTED, ODOM):
            self._look(topic)
        self._find_cameras()
        for camera in self._cameras:
            self._look(camera)
        return self._health.judge(time.monotonic(), self._expected(state), ((LATENT, NOMINAL),))

    def _expected(self, state: FilterState) -> list[str]:
        """Topics that should be live, in the order data flows."""
        # A graph for teleoperation has neither encoder nor policy.
        networks = state.mode in (Mode.FILTER.value, Mode.SHADOW.value)
        expected = list(self._cameras)
        expected += [t for t in (LATENT, NOMINAL) if networks or self._health.known(t)]
        expected.append(STATE)
        # After a stop the filter falls silent on purpose; its state goes on.
        if state.reason and state.reason not in _BRAKING:
            expected.append(EXECUTED)
        return expected + [t for t in (ODOM,) if self._health.known(t)]

    def _look(self, topic: str) -> None:
        infos = self._node.get_publishers_info_by_topic(topic)
        self._health.publishers(topic, [info.node_name for info in infos])

    def _find_cameras(self) -> None:
        """Listen to the camera_info of every image the latents are made from: small, and as regular."""
        for maker in self._node.get_publishers_info_by_topic(LATENT):
            try:
                subscribed = self._node.get_subscriber_names_and_types_by_node(
                    maker.node_name, maker.node_namespace
                )
            except RuntimeError:  # rclpy's NodeNameNonExistentError: it ended in this moment
                continue
            for topic, types in subscribed:
                ending = next((e for e in _ENDINGS if topic.endswith(e)), "")
                if ending and set(types) & set(_IMAGES):
                    self._add_camera(topic.removesuffix(ending) + "/camera_info")

    def _add_camera(self, topic: str) -> None:
        name = topic.removeprefix(self._node.get_namespace().rstrip("/") + "/")
        if name in self._cameras or not self._node.get_publishers_info_by_topic(topic):
            return
        self._cameras.append(name)

        def arrived(message: CameraInfo) -> None:
            self._health.note(name, time.monotonic())

        self._node.create_subscription(CameraInfo, topic, arrived, qos.images(reliable=False))
