"""The monitor's view of a drive in the simulator, as a PNG: markers from above, beside what the cameras see.

    python docs/images/monitor.py OUT.png [--seconds 60] [--reason substitute] [deploy arguments ...]

Starts `safe-o2o deploy --sim true`, drives by the wall clock, and draws the moment at which the filter
changed the command most. Everything drawn came over topics; RViz with rviz/safe_o2o.rviz shows the same.
"""

from __future__ import annotations

import argparse
import math
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.monitor_messages import to_motion
from safe_o2o_ros.report import canvas
from safe_o2o_ros.report.marker_picture import View, blank, draw_markers

CAMERA, GAP, LABEL = 384, 8, 24
SIZE, WIDTH_M, AHEAD_M = 2 * (LABEL + CAMERA) + GAP, 4.2, 0.35
CAMERAS = ("front", "back")
INK, FRAME = (222, 227, 233), (30, 30, 32)


@dataclass(frozen=True)
class Moment:
    """Everything that was on the screen at one time."""

    change: float
    """How far apart the ends of the nominal and the executed path are, m."""
    markers: MarkerArray
    path: MarkerArray
    pose: tuple[float, float, float]
    images: dict[str, Image]


class Watcher:
    """Keeps the moment with the largest change."""

    def __init__(self, node: Any, reason: str) -> None:
        self._reason, self.best = reason, None
        self._path, self._pose, self._images = MarkerArray(), (0.0, 0.0, 0.0), {}
        node.create_subscription(MarkerArray, "safety_markers", self._on_markers, qos.plots())
        node.create_subscription(MarkerArray, "path_markers", self._on_path, qos.plots())
        node.create_subscription(Odometry, "odom", self._on_odom, qos_profile_sensor_data)
        for name in CAMERAS:
            node.create_subscription(
                Image,
                f"{name}/image_raw",
                lambda m, n=name: self._images.update({n: m}),
                qos_profile_sensor_data,
            )

    def _on_path(self, message: MarkerArray) -> None:
        self._path = message

    def _on_odom(self, message: Odometry) -> None:
        pose, _ = to_motion(message)
        self._pose = (pose.x, pose.y, pose.yaw)

    def _on_markers(self, message: MarkerArray) -> None:
        shapes = {m.ns: m for m in message.markers if m.action == Marker.ADD}
        if len(self._images) < len(CAMERAS) or not {"nominal", "executed", "words"} <= set(shapes):
            return
        driven = next((len(m.points) for m in self._path.markers if m.ns == "path"), 0)
        right = self._reason.upper() in shapes["words"].text and driven > 25
        change = _change(shapes["nominal"].points, shapes["executed"].points) if right else -1.0
        # A drive without the wanted answer still gives its last moment.
        if self.best is None or change >= max(self.best.change, -1.0):
            self.best = Moment(change, message, self._path, self._pose, dict(self._images))


def _change(nominal: list[Any], executed: list[Any]) -> float:
    """Distance between the ends of two paths, m; 0 where one leaves the picture or goes nowhere."""
    ends = [(path[-1].x, path[-1].y) for path in (nominal, executed)]
    shown = all(max(abs(x - AHEAD_M), abs(y)) < 0.45 * WIDTH_M for x, y in ends)
    return math.dist(*ends) if shown and min(math.hypot(*end) for end in ends) > 0.5 else 0.0


def draw(moment: Moment) -> canvas.Picture:
    """The view from above on the left, the cameras on the right."""
    x, y, yaw = moment.pose
    centre = (x + AHEAD_M * math.cos(yaw), y + AHEAD_M * math.sin(yaw))
    in_odom = View(SIZE, WIDTH_M, centre, yaw)
    view = blank(in_odom)
    draw_markers(view, in_odom, moment.path)
    draw_markers(view, View(SIZE, WIDTH_M, (AHEAD_M, 0.0)), moment.markers)
    picture = np.full((SIZE, SIZE + GAP + CAMERA, 3), FRAME, np.uint8)
    picture[:, :SIZE] = view
    for i, name in enumerate(CAMERAS):
        message = moment.images[name]
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        top = i * (LABEL + CAMERA + GAP)
        canvas.text(picture, f"{name}/image_raw", (SIZE + GAP, top + LABEL // 2), 13, INK)
        picture[top + LABEL : top + LABEL + CAMERA, SIZE + GAP :] = canvas.enlarged(pixels, CAMERA)
    return picture


def main() -> None:
    """Drive, watch, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--reason", default="substitute")
    given, deploy = parser.parse_known_args()
    start = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    graph = subprocess.Popen([sys.executable, "-c", start, "deploy", "--sim", "true", *deploy])
    rclpy.init()
    node = rclpy.create_node("painter")
    watcher = Watcher(node, given.reason)
    end = time.monotonic() + given.seconds
    try:
        while time.monotonic() < end and graph.poll() is None:
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        graph.send_signal(signal.SIGINT)
        graph.wait()
        rclpy.shutdown()
    if watcher.best is None:
        raise SystemExit("error: no markers came: look at what the graph wrote above")
    if watcher.best.change < 0.0:
        print(f"the filter never answered '{given.reason}' after the first metre: drew the last moment")
    picture = cv2.cvtColor(draw(watcher.best), cv2.COLOR_RGB2BGR)
    cv2.imwrite(given.out, picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
