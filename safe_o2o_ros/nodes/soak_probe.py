"""Watches a running graph for long: which frames were answered, when, and what its nodes reported.

Latency is taken between the times at which messages were written, by DDS's own stamps (system clock of
this host). Each window's figures leave as one JSON line, so that the probe itself does not grow.
"""

from __future__ import annotations

import json
import time
from collections import Counter
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
    Spec("seconds", 60.0, "How long to watch after the warm-up, seconds.", 0.5, 1e6),
    Spec("window", 10.0, "Length of a window, seconds.", 0.1, 3600.0),
    Spec("warm_up", 5.0, "Time after the first answer that does not count, seconds.", 0.0, 600.0),
    Spec("timeout", 60.0, "Longest silence of the graph, seconds.", 1.0, 3600.0),
)
_GIVEN_UP_NS = 2_000_000_000
"""Age at which a frame counts as never answered."""
_SIM_COUNTS = ("late_ticks", "skipped_ticks")


class SoakProbe(ThinNode):
    """Prints a `{"window": ...}` line for each window, and ends."""

    def __init__(self) -> None:
        super().__init__("soak_probe", SPECS)
        self._heard_s = time.monotonic()
        self._start_s: float | None = None
        self._windows = 0
        self._frames: dict[int, int] = {}
        self._answers: dict[int, int] = {}
        self._sim: dict[str, float] = {}
        self._forget()
        every = qos.series(False)
        camera = f"{self.parameters['camera']}/image_raw"
        self.create_subscription(Image, camera, self._on_image, qos.images(reliable=False))
        self.create_subscription(TwistStamped, "executed_cmd", self._on_executed, every)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, every)
        self.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, every)

    def _forget(self) -> None:
        self._latencies_ms: list[float] = []
        self._unanswered = 0
        self._reasons: Counter[str] = Counter()
        self._rtf: list[float] = []

    def _on_image(self, message: Image, info: dict[str, int]) -> None:
        self._frames[conversions.from_time(message.header.stamp)] = int(info["source_timestamp"])

    def _on_executed(self, message: TwistStamped, info: dict[str, int]) -> None:
        # The first for a frame answers it; later ones are a deadline's.
        stamp_ns = conversions.from_time(message.header.stamp)
        self._answers.setdefault(stamp_ns, int(info["source_timestamp"]))
        self._heard_s = time.monotonic()
        if self._start_s is None:
            self._start_s = self._heard_s + self.parameters["warm_up"]

    def _on_state(self, message: DiagnosticArray) -> None:
        self._reasons[message.status[0].message] += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "sim_node":
                values = {pair.key: pair.value for pair in status.values}
                self._rtf.append(float(values["rtf"]))
                self._sim = {name: float(values[name]) for name in _SIM_COUNTS}

    def work(self) -> None:
        """Pair frames with answers; report a window when it is over. Raises GraphError on silence."""
        now_s = time.monotonic()
        if now_s - self._heard_s > self.parameters["timeout"]:
            raise GraphError(f"nothing was answered for {self.parameters['timeout']:g} s: the graph is dead")
        self._pair()
        if self._start_s is None:
            return
        if self._windows == 0 and now_s >= self._start_s:
            self._forget()
            self._windows = 1
        elif self._windows and now_s - self._start_s >= self._windows * self.parameters["window"]:
            self._say(now_s)
            self._windows += 1
            if now_s - self._start_s >= self.parameters["seconds"]:
                self.finished = True

    def _pair(self) -> None:
        for stamp_ns in sorted(self._frames.keys() & self._answers.keys()):
            latency_ns = self._answers[stamp_ns] - self._frames.pop(stamp_ns)
            self._latencies_ms.append(latency_ns / 1e6)
        newest = max(self._answers.values(), default=0)
        for stamp_ns, written_ns in list(self._frames.items()):
            if newest - written_ns > _GIVEN_UP_NS:
                del self._frames[stamp_ns]
                self._unanswered += 1
        for stamp_ns, written_ns in list(self._answers.items()):
            if newest - written_ns > _GIVEN_UP_NS:
                del self._answers[stamp_ns]

    def _say(self, now_s: float) -> None:
        assert self._start_s is not None
        said: dict[str, Any] = {
            "window": self._windows,
            "end_s": now_s - self._start_s,
            "latencies_ms": [round(ms, 3) for ms in self._latencies_ms],
            "unanswered": self._unanswered,
            "reasons": dict(self._reasons),
            "rtf": min(self._rtf, default=None),
            "sim": self._sim,
        }
        self._forget()
        print(json.dumps(said), flush=True)


def main() -> int:
    """Entry point of the process."""
    return run(SoakProbe)


if __name__ == "__main__":
    raise SystemExit(main())
