"""Watches a driving graph that records, asks for kills of its recorder and its learner, notes all it hears.

It asks its launcher for each kill by a line on stdout, so that the victim dies by a real SIGKILL. At the end
it writes what the simulator and the filter said, for comparison with what was recorded of it.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("bundle", "", "Directory of the model bundle that drives."),
    Spec("rounds", 100, "Kills.", 1, 100_000),
    Spec("longest", 2.0, "A kill comes up to so long after all is well again, seconds.", 0.0, 60.0),
    Spec("seed", 0, "Of the moments and the victims.", 0),
    Spec("timeout", 120.0, "Longest wait for the victim to be back, seconds.", 1.0, 3600.0),
    Spec("learner", True, "The learner is killed, too."),
    Spec("out", "", "File that gets what was heard, JSON."),
)
_NEW_ACKS = 3
"""Receipts after which recording is surely that of the restarted node: few can have been on their way."""


class CrashProbe(ThinNode):
    """Prints `{"kill": "node"}` or `{"kill": "worker", "pid": ...}`, and `{"kills": ...}` at the end."""

    def __init__(self) -> None:
        super().__init__("crash_probe", SPECS)
        p = self.parameters
        manifest = read_manifest(Path(p["bundle"]))
        self._adapter = manifest.adapter
        self._random = random.Random(p["seed"])
        self._kills = {"node": 0, "worker": 0}
        self._killed: tuple[str, str] | None = None
        """What was killed last and waits to be back, with the learner's process id."""
        self._learner: dict[str, str] = {}
        self._acks: list[dict[str, Any]] = []
        self._acks_then, self._since_s = 0, time.monotonic()
        self._due_s: float | None = None
        self._commands: list[tuple[int, str]] = []
        self._first_kill_ns = 0
        self._frames: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in manifest.image.cameras}
        self._outcomes: dict[str, list[tuple[int, float]]] = {"reward": [], "cost": []}
        every = qos.series(False)
        self.create_subscription(String, "experience/ack", self._on_ack, qos.receipts())
        self.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, every)
        self.create_subscription(TwistStamped, "executed_cmd", self._on_command, every)
        for name in self._outcomes:
            self.create_subscription(Float32, name, partial(self._on_outcome, name), every)
        for name in self._frames:
            self.create_subscription(
                Image, f"{name}/image_raw", partial(self._on_image, name), qos.images(False, 50)
            )

    def work(self) -> None:
        """Ask for a kill a while after everything is well. Raises GraphError when that takes too long."""
        now_s, p = time.monotonic(), self.parameters
        if not self._well():
            if now_s - self._since_s > p["timeout"]:
                raise GraphError(
                    f"recording and learning are not back: {self._learner or 'nothing was heard'}"
                )
            self._due_s = None
        elif sum(self._kills.values()) >= p["rounds"]:
            self._finish()
        elif self._due_s is None:
            self._due_s = now_s + self._random.uniform(0.0, p["longest"])
        elif now_s >= self._due_s:
            victim = self._random.choice(("node", "worker") if p["learner"] else ("node",))
            self._kills[victim] += 1
            self._first_kill_ns = self._first_kill_ns or time.time_ns()
            self._killed = (victim, self._learner.get("learner_pid", ""))
            self._acks_then, self._since_s, self._due_s = len(self._acks), now_s, None
            print(json.dumps({"kill": victim, "pid": self._killed[1]}), flush=True)

    def _well(self) -> bool:
        """What was killed is back, and experience is recorded."""
        if self.parameters["learner"]:
            lives = self._learner.get("learner") in ("running", "waiting") and self._learner.get(
                "learner_pid"
            )
            if not lives or (self._killed and self._learner["learner_pid"] == self._killed[1]):
                return False
        return len(self._acks) >= self._acks_then + _NEW_ACKS

    def _finish(self) -> None:
        if self.parameters["out"]:
            times = [sent_ns for sent_ns, _ in self._commands if sent_ns > self._first_kill_ns]
            gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
            seen = {
                "acks": self._acks,
                "commands": self._commands,
                "frames": {name: [[s, *v] for s, v in found.items()] for name, found in self._frames.items()},
                "outcomes": self._outcomes,
                "longest_silence_s": max(gaps, default=0) / 1e9,
            }
            Path(self.parameters["out"]).write_text(json.dumps(seen), encoding="utf-8")
        print(json.dumps({"kills": self._kills}), flush=True)
        self.finished = True

    def _on_ack(self, message: String) -> None:
        ack = json.loads(message.data)
        if ack["id"] not in {a["id"] for a in self._acks[-100:]}:  # latched ones come again
            self._acks.append(ack)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "finetune_node":
                self._learner = {v.key: v.value for v in status.values if v.key.startswith("learner")}

    def _on_command(self, message: TwistStamped, info: Mapping[str, Any]) -> None:
        action = conversions.from_twist(message.twist, self._adapter)
        self._commands.append((int(info["source_timestamp"]), action.tobytes().hex()))

    def _on_outcome(self, name: str, message: Float32, info: Mapping[str, Any]) -> None:
        self._outcomes[name].append((int(info["source_timestamp"]), float(message.data)))

    def _on_image(self, camera: str, message: Image, info: Mapping[str, Any]) -> None:
        digest = zlib.crc32(message.data)
        sent_ns = int(info["source_timestamp"])
        self._frames[camera][conversions.from_time(message.header.stamp)] = (digest, sent_ns)


def main() -> int:
    """Entry point of the process."""
    return run(CrashProbe)


if __name__ == "__main__":
    raise SystemExit(main())
