"""Changes the bundle of a driving graph again and again, and notes when every frame was answered.

Times are those at which messages were written, by DDS's own stamps (system clock of this host).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String

from safe_o2o_ros.bundle import sha256
from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.learner_watch import LearnerWatch
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.online.offer import Offer, ack_from_json, active_from_json, to_json

SPECS = (
    Spec("camera", "front", "Camera published last, whose frame starts a period."),
    Spec("bundles", "", "Folder of the bundles to change to, in the order of their names."),
    Spec("before", 10.0, "Time of driving without a change, first, seconds.", 0.5, 3600.0),
    Spec("pause", 1.0, "Time between a change and the next offer, seconds.", 0.0, 60.0),
    Spec(
        "learner",
        False,
        "finetune_node runs beside it: measure while its learner waits, then while it learns.",
    ),
    Spec("timeout", 60.0, "Longest wait for a change, seconds.", 1.0, 3600.0),
)
_WARM_UP_S = 5.0
_LEARNER_S = 300.0
"""Longest wait for a learner that is to start, to wait or to learn."""
_STAGES = ("starts", "is told to wait", "paused", "is told to learn", "learning")
"""Of the time before the first change, where a learner runs beside it."""
_LAST_S = 1.0


class SwapProbe(ThinNode):
    """Prints one JSON line: frames and the times of their answers, changes, when a learner learned."""

    idle_s = 0.02

    def __init__(self) -> None:
        super().__init__("swap_probe", SPECS)
        p = self.parameters
        self._bundles = sorted(path for path in Path(p["bundles"]).iterdir() if path.is_dir())
        self._started_s = time.monotonic()
        self._first_s: float | None = None
        self._frames: dict[int, int] = {}
        self._answers: dict[int, list[int]] = {}
        self._latents: set[int] = set()
        self._reasons: dict[str, int] = {}
        self._changes: list[dict[str, Any]] = []
        self._offer: Offer | None = None
        self._offered_ns = 0
        self._since_s = 0.0
        self._refused = ""
        self._learner = LearnerWatch(self) if p["learner"] else None
        self._stage, self._update = 0, 0
        self._spans: dict[str, tuple[int, int]] = {}
        self._offers = self.create_publisher(String, "bundle/offer", qos.facts())
        every = qos.series(False)
        self.create_subscription(String, "bundle/active", self._on_active, qos.facts())
        self.create_subscription(String, "bundle/ready", self._on_ready, qos.answers())
        self.create_subscription(
            Image, f"{p['camera']}/image_raw", self._on_image, qos.images(reliable=False)
        )
        self.create_subscription(Image, "latent", self._on_latent, every)
        self.create_subscription(TwistStamped, "executed_cmd", self._on_executed, every)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, every)

    def _on_image(self, message: Image, info: dict[str, int]) -> None:
        if self._first_s is not None:
            self._frames[conversions.from_time(message.header.stamp)] = int(info["source_timestamp"])

    def _on_latent(self, message: Image) -> None:
        self._latents.add(conversions.from_time(message.header.stamp))

    def _on_executed(self, message: TwistStamped, info: dict[str, int]) -> None:
        stamp_ns = conversions.from_time(message.header.stamp)
        self._answers.setdefault(stamp_ns, []).append(int(info["source_timestamp"]))
        if self._first_s is None and time.monotonic() - self._started_s > _WARM_UP_S:
            self._first_s = self._since_s = time.monotonic()

    def _on_state(self, message: DiagnosticArray) -> None:
        if self._first_s is not None:
            reason = message.status[0].message
            self._reasons[reason] = self._reasons.get(reason, 0) + 1

    def _on_ready(self, message: String) -> None:
        ack = ack_from_json(message.data)
        if self._offer is not None and not ack.ok and ack.id == self._offer.id:
            self._refused = f"{ack.node}: {ack.reason}"

    def _on_active(self, message: String) -> None:
        offer = self._offer
        if offer is not None and active_from_json(message.data).version == offer.version:
            self._changes.append(
                {"version": offer.version, "from_ns": self._offered_ns, "to_ns": time.time_ns()}
            )
            self._offer, self._since_s = None, time.monotonic()

    def work(self) -> None:
        """Offer, wait, offer. Raises GraphError where nothing drives or an offer is refused."""
        p, now_s = self.parameters, time.monotonic()
        if self._refused:
            raise GraphError(f"an offer was refused ({self._refused}): the bundles of the test must be good")
        if self._first_s is None:
            if now_s - self._started_s > p["timeout"]:
                raise GraphError("no frame was answered: read the messages of the other nodes")
        elif self._learner is not None and self._stage < len(_STAGES):
            self._attend(self._learner, now_s)
        elif self._offer is not None:
            if now_s - self._since_s > p["timeout"]:
                raise GraphError(f"bundle {self._offer.version} never ran: read the messages of the nodes")
        elif now_s - self._since_s > (p["pause"] if self._changes or self._learner else p["before"]):
            if self._bundles:
                self._publish(self._bundles.pop(0))
            elif now_s - self._since_s > p["pause"] + _LAST_S:
                self._say()

    def _attend(self, learner: LearnerWatch, now_s: float) -> None:
        """Let the learner start, wait for `before` seconds, and learn for as long; note when it did."""
        stage, spent_s = _STAGES[self._stage], now_s - self._since_s
        if stage in ("paused", "learning"):
            over = spent_s > self.parameters["before"]
            if over:
                self._spans[stage] = (time.time_ns() - round(spent_s * 1e9), time.time_ns())
                over = stage == "learning" or learner.ask("resume")
        elif spent_s > _LEARNER_S:
            raise GraphError(f"the learner {stage} and does not get on: it says '{learner.says}'")
        elif stage == "starts":
            over = learner.update > 0 and learner.ask("pause")
        elif stage == "is told to wait":
            over = learner.paused
        else:
            over = not learner.paused and learner.update > self._update
        if over:
            self._stage, self._since_s, self._update = self._stage + 1, now_s, learner.update

    def _publish(self, path: Path) -> None:
        version = read_manifest(path).version
        self._offer = Offer(version, str(path), sha256(path / MANIFEST_NAME), id=path.name)
        self._offered_ns, self._since_s = time.time_ns(), time.monotonic()
        self._offers.publish(String(data=to_json(self._offer)))

    def _say(self) -> None:
        # The newest frames may still be on their way.
        newest = max(self._frames.values(), default=0) - int(0.5e9)
        frames = [
            {
                "stamp_ns": stamp,
                "image_ns": at,
                "latent": stamp in self._latents,
                "answers_ns": self._answers.get(stamp, []),
            }
            for stamp, at in sorted(self._frames.items())
            if at <= newest
        ]
        found = {
            "frames": frames,
            "changes": self._changes,
            "reasons": self._reasons,
            "spans": self._spans,
            "updates": self._learner.update if self._learner else 0,
        }
        print(json.dumps(found), flush=True)
        self.finished = True


def main() -> int:
    """Entry point of the process."""
    return run(SwapProbe)


if __name__ == "__main__":
    raise SystemExit(main())
