"""Measures how a running graph stops when one of its nodes is killed, and how it goes on.

It asks its launcher for each kill by a line on stdout, so that the victim dies by a real SIGKILL.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.types import BRAKE_REASONS

VICTIMS = {"encoder_node": (Image, "latent"), "policy_node": (TwistStamped, "cmd_vel_nominal")}
"""Node that is killed -> type and name of the topic that falls silent."""
SPECS = (
    Spec("victim", "encoder_node", "Node that is killed.", choices=tuple(VICTIMS)),
    Spec("repeats", 20, "How often.", 1, 1000),
    Spec("driving", 2.0, "Seconds of driving before each kill.", 0.1, 60.0),
    Spec("timeout", 60.0, "Longest wait for the next event, seconds.", 1.0, 3600.0),
)
_STANDING_M_S = 0.02
_SILENCE_NS = 200_000_000


class StopProbe(ThinNode):
    """Prints `{"kill": node}` when it wants a kill, and `{"stops": [...]}` at the end."""

    def __init__(self) -> None:
        super().__init__("stop_probe", SPECS)
        self._stops: list[dict[str, Any]] = []
        self._current: dict[str, Any] | None = None
        self._changed_s = time.monotonic()
        self._driving_since_s: float | None = None
        self._input_ns = 0
        kind, topic = VICTIMS[self.parameters["victim"]]
        pipeline = qos.pipeline(lockstep=False)
        self.create_subscription(kind, topic, self._on_input, pipeline)
        self.create_subscription(TwistStamped, "cmd_vel", self._on_command, pipeline)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, qos.series(False))
        self.create_subscription(Odometry, "odom", self._on_odometry, qos.series(False))

    def work(self) -> None:
        """Ask for a kill after a while of driving. Raises GraphError when nothing happens any more."""
        now_s = time.monotonic()
        if now_s - self._changed_s > self.parameters["timeout"]:
            raise GraphError(
                f"the graph neither drives nor stops: {self._current or 'waiting for it to drive'}"
            )
        driving = self._driving_since_s
        if self._current is None and driving and now_s - driving > self.parameters["driving"]:
            self._current = {}
            self._changed_s = now_s
            print(json.dumps({"kill": self.parameters["victim"]}), flush=True)

    def _on_input(self, message: Any, info: dict[str, int]) -> None:
        if self._current is None or "brake_s" not in self._current:
            self._input_ns = int(info["source_timestamp"])

    def _on_state(self, message: DiagnosticArray, info: dict[str, int]) -> None:
        decision = conversions.from_state(message)[0]
        braking = decision.reason in BRAKE_REASONS
        if self._current is None:
            if braking:
                self._driving_since_s = None
            elif self._driving_since_s is None:
                self._driving_since_s = self._changed_s = time.monotonic()
        elif braking and "late_input" not in self._current:
            self._current |= {"late_input": decision.late_input, "reason": decision.reason.value}
        elif not braking and "zero_s" in self._current and "late_input" in self._current:
            self._event("driving_again_s", info)
            self._stops.append(self._current)
            self._current, self._driving_since_s = None, time.monotonic()
            if len(self._stops) == self.parameters["repeats"]:
                print(json.dumps({"stops": self._stops}), flush=True)
                self.finished = True

    def _on_command(self, message: TwistStamped, info: dict[str, int]) -> None:
        twist = message.twist
        still = twist.linear.x == 0.0 and twist.angular.z == 0.0
        if self._current is None:
            return
        # While its inputs come the filter answers in milliseconds; what comes later is a deadline's answer.
        if int(info["source_timestamp"]) - self._input_ns > _SILENCE_NS:
            self._event("brake_s", info)
        if "brake_s" in self._current and still:
            self._event("zero_s", info)

    def _on_odometry(self, message: Odometry, info: dict[str, int]) -> None:
        twist = message.twist.twist
        slow = np.hypot(twist.linear.x, twist.linear.y) < _STANDING_M_S
        if self._current is not None and "zero_s" in self._current and slow:
            self._event("standing_s", info)

    def _event(self, name: str, info: dict[str, int]) -> None:
        """Note the first time of an event, seconds after the victim's last message was written."""
        assert self._current is not None
        if name not in self._current:
            self._current[name] = (int(info["source_timestamp"]) - self._input_ns) / 1e9
            self._changed_s = time.monotonic()


def main() -> int:
    """Entry point of the process."""
    return run(StopProbe)


if __name__ == "__main__":
    raise SystemExit(main())
