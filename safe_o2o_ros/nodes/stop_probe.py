"""Measures how a running graph stops when one of its nodes is killed, and how it goes on.

It asks its launcher for each kill by a line on stdout, so that the victim dies by a real SIGKILL.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image
from std_msgs.msg import String

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.types import BRAKE_REASONS


@dataclass(frozen=True)
class Victim:
    """A process that is killed, and the topic that falls silent with it."""

    node: str
    kind: type[Any]
    topic: str
    """"{camera}" stands for the parameter."""
    commands: bool = True
    """Commands go on after its death; without them only the robot's own stop is seen."""


VICTIMS = {
    "camera": Victim("camera_node", Image, "{camera}/image_raw"),
    "encoder": Victim("encoder_node", Image, "latent"),
    "policy": Victim("policy_node", TwistStamped, "cmd_vel_nominal"),
    "filter": Victim("safety_filter_node", TwistStamped, "cmd_vel", commands=False),
    "operator": Victim("operator_probe", Twist, "cmd_vel_teleop"),
}
SPECS = (
    Spec("victim", "encoder", "What is killed.", choices=tuple(VICTIMS)),
    Spec("camera", "front", "victim camera: the camera that is published last."),
    Spec("repeats", 20, "How often.", 1, 1000),
    Spec("driving", 2.0, "Seconds of driving before each kill.", 0.1, 60.0),
    Spec("min_speed", 0.05, "The robot is at least so fast when it happens, m/s.", 0.0, 10.0),
    Spec("timeout", 60.0, "Longest wait for the next event, seconds.", 1.0, 3600.0),
)
_STANDING_M_S = 0.02
_SILENCE_NS = 200_000_000
_WRITTEN_TOGETHER_NS = 20_000_000


class StopProbe(ThinNode):
    """Prints `{"kill": node}` when it wants a kill, and `{"stops": [...]}` at the end."""

    def __init__(self) -> None:
        super().__init__("stop_probe", SPECS)
        self._victim = VICTIMS[self.parameters["victim"]]
        self._stops: list[dict[str, Any]] = []
        self._input_ns = 0
        self._speed = 0.0
        self._begin(None)
        topic = self._victim.topic.format(camera=self.parameters["camera"])
        every = qos.series(False)
        heard = qos.images(reliable=False) if topic.endswith("image_raw") else every
        self.create_subscription(self._victim.kind, topic, self._on_input, heard)
        self.create_subscription(TwistStamped, "cmd_vel", self._on_command, every)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, every)
        self.create_subscription(Odometry, "odom", self._on_odometry, every)
        self.create_subscription(String, "episode", self._on_episode, qos.facts())

    def _begin(self, stop: dict[str, Any] | None) -> None:
        """Start a measurement, or wait for the robot to drive again."""
        self._current = stop
        self._changed_s = time.monotonic()
        self._driving_since_s: float | None = None
        self._commands: list[tuple[int, bool]] = []
        self._braked_ns: int | None = None

    def work(self) -> None:
        """Ask for a kill after a while of driving. Raises GraphError when nothing happens any more."""
        now_s = time.monotonic()
        if now_s - self._changed_s > self.parameters["timeout"]:
            raise GraphError(
                f"the graph neither drives nor stops: {self._current or 'waiting for it to drive'}"
            )
        if self._current is not None:
            self._match()
            return
        driving, fast = self._driving_since_s, self._speed >= self.parameters["min_speed"]
        # A victim that is not heard here could not be timed, though it may drive the robot.
        heard = time.time_ns() - self._input_ns < _SILENCE_NS
        if heard and fast and driving and now_s - driving > self.parameters["driving"]:
            self._begin({"speed_m_s": round(self._speed, 3)})
            print(json.dumps({"kill": self._victim.node}), flush=True)

    def _on_input(self, message: Any, info: dict[str, int]) -> None:
        # What comes after the stop is the restarted victim's.
        stopping = self._braked_ns is not None or "standing_s" in (self._current or {})
        if not stopping:
            self._input_ns = int(info["source_timestamp"])

    def _on_episode(self, message: String) -> None:
        # The robot stands somewhere else now: what was measured in between says nothing.
        if message.data == "start" and self._current is not None:
            self._begin(None)

    def _on_state(self, message: DiagnosticArray, info: dict[str, int]) -> None:
        decision = conversions.from_state(message)[0]
        braking = decision.reason in BRAKE_REASONS
        if self._current is None:
            if braking:
                self._driving_since_s = None
            elif self._driving_since_s is None:
                self._driving_since_s = self._changed_s = time.monotonic()
        elif braking and self._braked_ns is None and self._victim.commands:
            self._braked_ns = int(info["source_timestamp"])
            self._current |= {"late_input": decision.late_input, "reason": decision.reason.value}
        elif not braking and self._seen_all:
            self._event("driving_again_s", int(info["source_timestamp"]))
            self._stops.append(self._current)
            self._begin(None)
            self._driving_since_s = self._changed_s
            if len(self._stops) == self.parameters["repeats"]:
                print(json.dumps({"stops": self._stops}), flush=True)
                self.finished = True

    @property
    def _seen_all(self) -> bool:
        """Everything there must be to see of this stop was seen."""
        return ("zero_s" if self._victim.commands else "standing_s") in (self._current or {})

    def _on_command(self, message: TwistStamped, info: dict[str, int]) -> None:
        twist = message.twist
        still = twist.linear.x == 0.0 and twist.angular.z == 0.0
        self._commands.append((int(info["source_timestamp"]), still))
        del self._commands[:-500]

    def _match(self) -> None:
        """Find the first braking command and the first zero; the filter writes a command, then its reason."""
        if self._braked_ns is None or self._current is None:
            return
        before = [ns for ns, _ in self._commands if ns <= self._braked_ns]
        if not before or self._braked_ns - before[-1] > _WRITTEN_TOGETHER_NS:
            return
        self._event("brake_s", before[-1])
        for ns, still in self._commands:
            if still and ns >= before[-1]:
                self._event("zero_s", ns)
                return

    def _on_odometry(self, message: Odometry, info: dict[str, int]) -> None:
        twist = message.twist.twist
        self._speed = float(np.hypot(twist.linear.x, twist.linear.y))
        if self._current is None or self._speed >= _STANDING_M_S:
            return
        now_ns = int(info["source_timestamp"])
        if "zero_s" in self._current or (not self._victim.commands and now_ns - self._input_ns > _SILENCE_NS):
            self._event("standing_s", now_ns)

    def _event(self, name: str, at_ns: int) -> None:
        """Note the first time of an event, seconds after the victim's last message was written."""
        assert self._current is not None
        if name not in self._current:
            self._current[name] = (at_ns - self._input_ns) / 1e9
            self._changed_s = time.monotonic()


def main() -> int:
    """Entry point of the process."""
    return run(StopProbe)


if __name__ == "__main__":
    raise SystemExit(main())
