"""What the monitor has heard last, and how long ago."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String

from safe_o2o_ros.errors import FrameError, SafeO2OError
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.monitor.health import GraphHealth, Reports
from safe_o2o_ros.monitor.overlay import FilterState, Snapshot
from safe_o2o_ros.monitor.trail import Trail
from safe_o2o_ros.nodes import conversions, monitor_messages, qos
from safe_o2o_ros.robot import ADAPTERS
from safe_o2o_ros.types import FloatArray

LATENT, NOMINAL, EXECUTED, STATE, ODOM = "latent", "cmd_vel_nominal", "executed_cmd", "safety/state", "odom"
VALUE, CANDIDATES = "safety/value", "safety/candidates"
# Best effort: no sender ever waits for a monitor that hangs.
_QOS = qos_profile_sensor_data
_RECENT_S = 0.5
"""Commands, candidates and speeds older than this are not drawn."""


class Inputs:
    """Listens. What it holds may be old: ask for a snapshot, which leaves that out."""

    def __init__(self, node: Node, health: GraphHealth, trail: Trail, adapter: str) -> None:
        """`adapter` names the robot until the filter says which one it drives."""
        self._node, self._health, self._trail = node, health, trail
        self._adapters = dict(ADAPTERS)
        self._adapter = ADAPTERS[adapter]
        self._newest: dict[str, tuple[float, Any]] = {}
        self._candidates: Subscription | None = None
        self.reports = Reports()
        self.active = ""
        """Bundle version the encoder runs, "" before it said so."""
        self.unusable = 0
        """Messages and rows that could not be read or held NaN."""
        self._listen(Image, LATENT, lambda message: None)
        self._listen(TwistStamped, NOMINAL, self._raw)
        self._listen(TwistStamped, EXECUTED, self._raw)
        self._listen(DiagnosticArray, STATE, self._on_state)
        self._listen(Float32, VALUE, lambda message: float(message.data))
        self._listen(Odometry, ODOM, self._on_odom)
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_reports, _QOS)
        node.create_subscription(String, "episode", self._on_episode, _QOS)
        node.create_subscription(String, "bundle/active", self._on_active, qos.facts())

    def _listen(self, kind: type[Any], topic: str, read: Callable[[Any], Any]) -> Subscription:
        def arrived(message: Any) -> None:
            now_s = time.monotonic()
            self._health.note(topic, now_s)
            try:
                self._newest[topic] = (now_s, read(message))
            except FrameError as error:
                self.unusable += 1
                self._node.get_logger().warning(str(error), throttle_duration_sec=10.0)

        return self._node.create_subscription(kind, topic, arrived, _QOS)

    def want_candidates(self, wanted: bool) -> None:
        """Listen to the candidates or not: the filter sends them only to those who do."""
        if wanted and self._candidates is None:
            self._candidates = self._listen(Image, CANDIDATES, self._on_candidates)
        elif not wanted and self._candidates is not None:
            self._node.destroy_subscription(self._candidates)
            self._candidates = None

    def snapshot(self, silence_s: float, radius_m: float) -> Snapshot:
        """What is recent; the filter's state may be up to `silence_s` old."""
        now_s = time.monotonic()
        state = self.state(silence_s)
        value = self._recent(VALUE, now_s, _RECENT_S)
        return Snapshot(
            adapter=self._adapter,
            state=state,
            nominal=self._recent(NOMINAL, now_s, _RECENT_S),
            executed=self._recent(EXECUTED, now_s, _RECENT_S),
            candidates=self._recent(CANDIDATES, now_s, _RECENT_S),
            speed=self._recent(ODOM, now_s, _RECENT_S),
            value=state.value if value is None else value,
            radius_m=radius_m,
        )

    def state(self, silence_s: float) -> FilterState:
        """The filter's state, empty when it is older than `silence_s`."""
        state: FilterState | None = self._recent(STATE, time.monotonic(), silence_s)
        return state or FilterState()

    @property
    def robot(self) -> str:
        """Name of the robot adapter in use."""
        return self._adapter.name

    def _recent(self, topic: str, now_s: float, most_s: float) -> Any:
        at_s, value = self._newest.get(topic, (-np.inf, None))
        return value if now_s - at_s <= most_s else None

    def _raw(self, message: TwistStamped) -> FloatArray:
        return conversions.from_twist(message.twist, self._adapter)

    def _on_state(self, message: DiagnosticArray) -> FilterState:
        state = monitor_messages.to_filter_state(message)
        self._adapter = self._adapters.get(state.robot, self._adapter)
        return state

    def _on_candidates(self, message: Image) -> FloatArray:
        table, broken = monitor_messages.to_candidates(message, self._adapter.action_dim)
        self.unusable += broken
        return table

    def _on_odom(self, message: Odometry) -> NDArray[np.float64] | None:
        pose, speed = monitor_messages.to_motion(message)
        self._trail.add(pose, self.state(_RECENT_S * 4.0).reason)
        if not np.isfinite(speed).all():
            self.unusable += 1
            return None
        return speed

    def _on_reports(self, message: DiagnosticArray) -> None:
        own = f"{self._node.get_name()}:"
        for report in monitor_messages.to_reports(message, time.monotonic()):
            if not report.name.startswith(own):
                self.reports.note(report)

    def _on_active(self, message: String) -> None:
        self.active, path = monitor_messages.to_active_bundle(message.data)
        try:
            # A robot this software does not know by name stands in its bundle's manifest.
            adapter = read_manifest(Path(path)).adapter if path else self._adapter
        except SafeO2OError:
            return  # on another machine, perhaps; the encoder has verified it there
        self._adapters[adapter.name] = adapter

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._trail.clear()
