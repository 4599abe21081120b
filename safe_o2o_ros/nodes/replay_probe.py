"""Watches a replay: waits for the graph, tells the encoder what was driven, notes every answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

from safe_o2o_ros.data.driven import Driven
from safe_o2o_ros.errors import GraphError, UsageError
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import from_image
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("bundle", "", "Model bundle that drives."),
    Spec("driven", "", "File with the recorded commands, of safe-o2o deploy --replay."),
    Spec("found", "", "File to write what was found to, JSON; pictures beside it."),
    Spec("pictures", 7, "Pictures to keep, evenly over the recording.", 1, 1000),
    Spec("timeout", 60.0, "Longest wait for the graph, and for the first frame, seconds.", 1.0, 3600.0),
)
_DEPTH = 1000
_PROGRESS_S = 0.5
_QUIET_S = 1.0
"""After the last message of the graph nothing comes any more."""
_BEGIN_S = 0.06
"""Wait for the answer to the last frame before a cut; playback pauses for 0.1 s at least."""


class ReplayProbe(ThinNode):
    """Prints {"ready": true}, then {"answered": n} now and then; ends when every frame was played."""

    idle_s = 0.02

    def __init__(self) -> None:
        super().__init__("replay_probe", SPECS)
        p = self.parameters
        if not (p["bundle"] and p["driven"] and p["found"]):
            raise UsageError("replay_probe is started by `safe-o2o deploy --replay RECORDING --bundle DIR`")
        manifest = read_manifest(Path(p["bundle"]))
        self._adapter, self._cameras = manifest.adapter, manifest.image.cameras
        self._driven = Driven.load(Path(p["driven"]))
        self._cuts = self._before_cuts()
        self._cut: tuple[int, float] | None = None
        frames = self._driven.frames_ns
        shown = np.linspace(0, len(frames) - 1, min(p["pictures"], len(frames))).round().astype(int)
        self._wanted = {int(frames[i]) for i in shown}
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        self._states: list[dict[str, Any]] = []
        self._received = dict.fromkeys(self._cameras, 0)
        self._last_ns = 0
        self._resets = 0
        self._diagnostics: dict[str, dict[str, str]] = {}
        self._ended: dict[str, int] = {}
        """Camera -> reports that said it has ended, one after the other, with as many frames."""
        self._ready = self._closing = False
        self._since_s = self._heard_s = self._told_s = time.monotonic()
        every = _every(_DEPTH)
        self._feedback = self.create_publisher(TwistStamped, "recorded_cmd", qos.pipeline(lockstep=False))
        self._episode = self.create_publisher(String, "episode", qos.facts())
        for name in self._cameras:
            self.create_subscription(Image, f"{name}/image_raw", partial(self._on_image, name), every)
        self.create_subscription(Image, "latent", self._note("latent_ns", self._on_latent), every)
        self.create_subscription(
            TwistStamped, "cmd_vel_nominal", self._note("nominal_ns", self._on_nominal), every
        )
        self.create_subscription(TwistStamped, "executed_cmd", self._note("executed_ns"), every)
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, every)
        self.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, every)

    def _before_cuts(self) -> list[int]:
        """The last frame before each beginning."""
        frames = self._driven.frames_ns
        return [int(frames[np.searchsorted(frames, begin) - 1]) for begin in self._driven.begins_ns]

    def _row(self, stamp_ns: int) -> dict[str, Any]:
        return self._rows.setdefault(stamp_ns, {"stamp_ns": stamp_ns})

    def _on_image(self, camera: str, message: Image, info: dict[str, int]) -> None:
        self._received[camera] += 1
        self._heard_s = time.monotonic()
        if camera != self._cameras[0]:
            return
        stamp_ns = conversions.from_time(message.header.stamp)
        self._last_ns = stamp_ns
        self._row(stamp_ns).setdefault("image_ns", int(info["source_timestamp"]))
        if stamp_ns in self._wanted:
            self._pictures.setdefault(stamp_ns, from_image(message))
        if self._cuts and stamp_ns >= self._cuts[0]:
            self._cut = (self._cuts.pop(0), self._heard_s + _BEGIN_S)

    def _note(
        self, event: str, then: Callable[[int, Any], None] | None = None
    ) -> Callable[[Any, dict[str, int]], None]:
        def callback(message: Any, info: dict[str, int]) -> None:
            stamp_ns = conversions.from_time(message.header.stamp)
            self._heard_s = time.monotonic()
            # The first of each kind: later ones are deadline answers.
            row = self._row(stamp_ns)
            if event not in row:
                row[event] = int(info["source_timestamp"])
                if then is not None:
                    then(stamp_ns, message)

        return callback

    def _on_latent(self, stamp_ns: int, message: Image) -> None:
        """The encoder has made its step: it needs next what was driven since."""
        if len(self._driven.command_ns):
            driven = self._driven.at(stamp_ns)
            action = self._adapter.zero() if driven is None else driven
            self._feedback.publish(conversions.to_twist_stamped(action, stamp_ns, self._adapter))
        if self._cut is not None and abs(stamp_ns - self._cut[0]) < self._driven.period_ns // 2:
            self._begin()

    def _begin(self) -> None:
        """What follows does not belong to what was: nodes forget."""
        self._cut = None
        self._resets += 1
        self._episode.publish(String(data="start"))

    def _on_nominal(self, stamp_ns: int, message: TwistStamped) -> None:
        self._row(stamp_ns)["nominal"] = conversions.from_twist(message.twist, self._adapter).tolist()

    def _on_state(self, message: DiagnosticArray) -> None:
        decision, mode = conversions.from_state(message)
        would = decision.would_action
        self._states.append(
            {
                "stamp_ns": decision.stamp_ns,
                "mode": mode.value,
                "reason": decision.reason.value,
                "late_input": decision.late_input,
                "would": None if decision.would is None else decision.would.value,
                "would_action": None if would is None else would.tolist(),
                "value": decision.value,
                "threshold": decision.threshold,
                "novelty": decision.novelty,
            }
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            before = self._diagnostics.get(status.name, {})
            self._diagnostics[status.name] = {"message": status.message, **values}
            camera = status.name.removeprefix("camera_node: ")
            if camera in self._cameras:
                if status.message.startswith("disconnected") or (
                    status.message.startswith("ended") and values["frames"] == "0"
                ):
                    raise GraphError(f"camera {camera} plays nothing: {status.message}")
                same = status.message.startswith("ended") and before.get("frames") == values["frames"]
                self._ended[camera] = self._ended.get(camera, 0) + 1 if same else 0
            if self._closing and status.name == "encoder_node":
                self.finished = True  # its counts are complete

    def work(self) -> None:
        """Let the recording begin when everybody listens, and end after its last frame. Raises GraphError."""
        now_s = time.monotonic()
        if not self._ready:
            self._await_graph(now_s)
            return
        if not any(self._received.values()) and now_s - self._since_s > self.parameters["timeout"]:
            raise GraphError("no frame of the recording came: read the messages of camera_node")
        if self._cut is not None and now_s > self._cut[1]:
            self._begin()
        if now_s - self._told_s > _PROGRESS_S:
            self._told_s = now_s
            answered = sum("executed_ns" in row for row in self._rows.values())
            print(json.dumps({"answered": answered, "of": len(self._driven.frames_ns)}), flush=True)
        over = all(self._ended.get(name, 0) >= 1 for name in self._cameras)
        self._closing = over and now_s - self._heard_s > _QUIET_S

    def _await_graph(self, now_s: float) -> None:
        waiting = {
            "encoder_node": all(self.count_subscribers(f"{c}/image_raw") > 1 for c in self._cameras),
            "policy_node, safety_filter_node": self.count_subscribers("latent") > 2,
            "safety_filter_node": self.count_subscribers("cmd_vel_nominal") > 1
            and self.count_publishers("safety/state") > 0,
        }
        if all(waiting.values()):
            self._ready, self._since_s = True, now_s
            print(json.dumps({"ready": True}), flush=True)
        elif now_s - self._since_s > self.parameters["timeout"]:
            late = next(name for name, there in waiting.items() if not there)
            raise GraphError(f"{late} did not start in time: read the messages in nodes.log")

    def last_words(self) -> None:
        """Write what was found, unless it is not whole."""
        if not self.finished:
            return
        path = Path(self.parameters["found"])
        kept = sorted(self._pictures)
        pictures = [self._pictures[stamp] for stamp in kept]
        np.savez(
            path.with_suffix(".npz"), stamps_ns=np.asarray(kept, np.int64), pictures=np.asarray(pictures)
        )
        found = {
            "rows": [self._rows[stamp] for stamp in sorted(self._rows)],
            "states": self._states,
            "received": self._received,
            "diagnostics": self._diagnostics,
            "resets": self._resets,
        }
        path.write_text(json.dumps(found), encoding="utf-8")


def _every(depth: int) -> QoSProfile:
    """Nothing is to be missed."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def main() -> int:
    """Entry point of the process."""
    return run(ReplayProbe)


if __name__ == "__main__":
    raise SystemExit(main())
