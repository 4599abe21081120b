"""What the safety filter tells about itself: state, value, candidates, wiring."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float32

from safe_o2o_ros.nodes import conversions, filter_messages, qos
from safe_o2o_ros.types import Decision, Mode

_STATE_S = 0.5
_REMINDER_S = 10.0


class FilterReport:
    """Publishes `safety/state` on change and at 2 Hz, `safety/value`, `safety/candidates`, `diagnostics`."""

    def __init__(
        self,
        node: Node,
        robot: str,
        wiring: Callable[[], str],
        *,
        lockstep: bool,
        every_tick: bool,
    ) -> None:
        """`wiring` says what is wrong with the graph around the filter, or ""; it is asked twice a second."""
        self._node, self._robot, self._ask_wiring = node, robot, wiring
        self._every_tick = every_tick
        self._state_s = self._wiring_s = 0.0
        self._reported: tuple[object, ...] = ()
        self._wiring = ""
        self._warned_s = -math.inf
        self._state = node.create_publisher(DiagnosticArray, "safety/state", qos.series(lockstep))
        self._value = node.create_publisher(Float32, "safety/value", qos.plots())
        self._candidates = node.create_publisher(Image, "safety/candidates", qos.plots())
        self._diagnostics = node.create_publisher(DiagnosticArray, "diagnostics", qos.plots())

    def tell(self, decision: Decision, mode: Mode, more: Mapping[str, object], now_s: float) -> None:
        """Report one answer; `more`: keys of the state beside the decision's. `now_s`: steady, seconds."""
        if decision.value == decision.value:
            self._value.publish(Float32(data=float(decision.value)))
        if decision.scores is not None and self._candidates.get_subscription_count():
            self._candidates.publish(filter_messages.to_candidates_image(decision))
        kept = (
            decision.reason,
            decision.late_input,
            decision.version,
            mode,
            *(more[key] for key in ("enabled", "e_stop", "odom")),
        )
        due = now_s - self._state_s >= _STATE_S
        if now_s - self._wiring_s >= _STATE_S:
            self._wiring_s = now_s
            self._check_wiring()
        self._warn_of_shadow(mode, now_s)
        if due or kept != self._reported or self._every_tick:
            self._reported, self._state_s = kept, now_s
            keys = {**more, "wiring": self._wiring}
            self._state.publish(conversions.to_state(decision, mode, self._robot, keys))

    def _warn_of_shadow(self, mode: Mode, now_s: float) -> None:
        if mode is not Mode.SHADOW:
            self._warned_s = -math.inf  # so that the next change to it is said at once
        elif now_s - self._warned_s >= _REMINDER_S:
            self._warned_s = now_s
            self._node.get_logger().warning("SHADOW MODE: the filter reports and does NOT protect the robot")

    def _check_wiring(self) -> None:
        self._wiring = self._ask_wiring()
        level = DiagnosticStatus.ERROR if self._wiring else DiagnosticStatus.OK
        if self._wiring:
            self._node.get_logger().error(self._wiring, throttle_duration_sec=_REMINDER_S)
        self._diagnostics.publish(
            conversions.to_diagnostics(
                f"{self._node.get_name()}: wiring",
                self._robot,
                level,
                self._wiring or "ok",
                {},
                self._node.get_clock().now().nanoseconds,
            )
        )
