"""Measures a running graph from outside: when each message was published, by its writer's own clock.

DDS stamps every message where it is written (system clock of this host), so no node is changed
and the probe's own load is all it adds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("camera", "front", "Camera published last, whose frame starts a period."),
    Spec("seconds", 20.0, "How long to measure after the first answer, seconds.", 0.5, 3600.0),
    Spec("warm_up", 20, "Answers to skip first.", 0),
    Spec("timeout", 60.0, "Wait for the first answer, seconds.", 1.0, 3600.0),
)


class LatencyProbe(ThinNode):
    """Prints one JSON line: per frame, nanoseconds of each event after the frame's capture."""

    def __init__(self) -> None:
        super().__init__("latency_probe", SPECS)
        self._started_s = time.monotonic()
        self._first_s: float | None = None
        self._frames: dict[int, dict[str, int]] = {}
        self._cmd_vel: list[tuple[int, int]] = []
        camera = f"{self.parameters['camera']}/image_raw"
        pipeline = qos.pipeline(lockstep=False)
        self.create_subscription(Image, camera, self._note("image"), qos.images(reliable=False))
        self.create_subscription(Image, "latent", self._note("latent"), pipeline)
        self.create_subscription(TwistStamped, "cmd_vel_nominal", self._note("nominal"), pipeline)
        self.create_subscription(TwistStamped, "executed_cmd", self._note("executed"), pipeline)
        self.create_subscription(TwistStamped, "cmd_vel", self._on_cmd_vel, pipeline)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, qos.series(False))
        self._reasons: dict[str, int] = {}

    def _note(self, event: str) -> Callable[[Any, dict[str, int]], None]:
        def callback(message: Any, info: dict[str, int]) -> None:
            stamp_ns = conversions.from_time(message.header.stamp)
            # The first of each kind: later ones are deadline answers.
            self._frames.setdefault(stamp_ns, {}).setdefault(event, int(info["source_timestamp"]))
            if event == "executed" and self._first_s is None:
                self._first_s = time.monotonic()

        return callback

    def _on_cmd_vel(self, message: TwistStamped, info: dict[str, int]) -> None:
        self._cmd_vel.append((int(info["source_timestamp"]), int(info["received_timestamp"])))

    def _on_state(self, message: DiagnosticArray) -> None:
        reason = message.status[0].message
        self._reasons[reason] = self._reasons.get(reason, 0) + 1

    def work(self) -> None:
        """End when the time is up. Raises GraphError if nothing answers."""
        now_s = time.monotonic()
        if self._first_s is None:
            if now_s - self._started_s > self.parameters["timeout"]:
                raise GraphError("no frame was answered: read the messages of the other nodes")
        elif now_s - self._first_s > self.parameters["seconds"]:
            print(json.dumps({"frames": self._rows(), "reasons": self._reasons}), flush=True)
            self.finished = True

    def _rows(self) -> list[dict[str, int]]:
        rows = []
        commands = sorted(self._cmd_vel)
        for stamp_ns, events in sorted(self._frames.items()):
            if len(events) < 4:
                continue
            # cmd_vel has a stamp of its own; the filter writes it right before executed_cmd.
            before = [c for c in commands if c[0] <= events["executed"]]
            if not before:
                continue
            row = {name: at - stamp_ns for name, at in events.items()}
            row["cmd_vel"] = before[-1][0] - stamp_ns
            row["cmd_vel_received"] = before[-1][1] - stamp_ns
            rows.append(row)
        return rows[self.parameters["warm_up"] :]


def main() -> int:
    """Entry point of the process."""
    return run(LatencyProbe)


if __name__ == "__main__":
    raise SystemExit(main())
