"""Records what the robot lives through, and holds the process that learns from it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String
from std_srvs.srv import Trigger

from safe_o2o_ros.bundle import load_bundle, sha256
from safe_o2o_ros.data.experience import ExperienceWriter
from safe_o2o_ros.data.store import check_same_data
from safe_o2o_ros.errors import BundleMissingError
from safe_o2o_ros.manifest import MANIFEST_NAME
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.finetune_inputs import FinetuneInputs
from safe_o2o_ros.nodes.finetune_parameters import (
    SPECS,
    about,
    experience_dir,
    join_config,
    store_manifest,
    worker_options,
)
from safe_o2o_ros.nodes.finetune_report import finetune_report
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.online.joining import TransitionJoiner
from safe_o2o_ros.online.pieces import PieceBuilder
from safe_o2o_ros.online.recording import Recorder
from safe_o2o_ros.online.worker import LearnerWorker
from safe_o2o_ros.types import Level

__all__ = ["SPECS", "FinetuneNode", "main"]
_DIAGNOSTICS_S = 1.0
_DRAIN_S = 1.0
"""Longest time at the end in which messages that have come are still taken."""
_BY_HAND, _BEHIND = "by hand", "recording is behind"


class FinetuneNode(ThinNode):
    """Listens, joins, hands pieces to the recorder; the learner is another process."""

    def __init__(self) -> None:
        super().__init__("finetune_node", SPECS)
        p = self.parameters
        if not p["bundle"]:
            raise BundleMissingError("no model bundle is named: set the parameter 'bundle' to its directory")
        bundle = load_bundle(p["bundle"], (), p["task"] or None)
        period_s, self._lockstep = bundle.manifest.period_s, bool(p["lockstep"])
        directory, manifest = experience_dir(p), store_manifest(p, bundle)
        check_same_data(directory, manifest)
        self._robot = bundle.manifest.adapter.name
        builder = PieceBuilder(about(p, bundle), max(1, round(p["piece"] / period_s)))
        self._joiner = TransitionJoiner(join_config(p, bundle), builder)
        store = partial(ExperienceWriter, directory, manifest, round(p["max_gigabytes"] * 1e9))
        self._recorder = Recorder(store, p["images"], p["queue"])
        self._worker = LearnerWorker(worker_options(p, bundle)) if p["train"] else None
        self._last_id, self._reported_s, self._closing_s = -1, time.monotonic(), 0.0
        self._ack = self.create_publisher(String, "experience/ack", qos.receipts())
        self._candidate = self.create_publisher(String, "bundle/candidate", qos.facts())
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        for name in ("pause", "resume", "package"):
            self.create_service(Trigger, f"~/{name}", partial(self._on_word, name))
        self._inputs = FinetuneInputs(
            self,
            self._joiner,
            bundle.manifest,
            lockstep=self._lockstep,
            image_qos=p["image_qos"],
            pair_tolerance_s=p["pair_tolerance"],
        )
        self._heard = 0
        learner = "the learner runs" if self._worker else "training is off"
        self.get_logger().info(f"records {bundle.manifest.task} to {directory}; {learner}")

    def _on_word(self, word: str, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        worker = self._worker
        if worker is None:
            response.success, response.message = False, "training is off: start the node with train true"
        elif word == "package":
            response.success = worker.package()
            response.message = "asked for a candidate" if response.success else "the learner does not run"
        else:
            (worker.hold if word == "pause" else worker.release)(_BY_HAND)
            response.success, response.message = True, f"{word}d"
        return response

    def work(self) -> None:
        """Hand over what is finished, publish what others did; report once a second."""
        if not self._lockstep:
            self._joiner.silence(time.monotonic_ns())
        self._hand_over()
        if self._worker is not None:
            self._tend(self._worker)
        now_s = time.monotonic()
        if now_s - self._reported_s >= _DIAGNOSTICS_S:
            self._report(now_s)

    def _hand_over(self) -> None:
        for piece in self._joiner.take():
            if not self._recorder.offer(piece):
                self.get_logger().error(
                    f"dropped {len(piece)} transitions: the disk does not keep up", throttle_duration_sec=5.0
                )
        while self._recorder.acks:
            ack = self._recorder.acks.popleft()
            self._last_id = ack.id
            self._ack.publish(String(data=json.dumps(asdict(ack))))

    def _tend(self, worker: LearnerWorker) -> None:
        # The robot's experience goes first: a learner that reads and writes makes the disk slower.
        (worker.hold if self._recorder.backlog > 0.5 else worker.release)(_BEHIND)
        while worker.lines:
            self.get_logger().warning(f"learner: {worker.lines.popleft()}")
        while worker.candidates:
            made = worker.candidates.popleft()
            try:
                digest = sha256(Path(made.path) / MANIFEST_NAME)
            except OSError as error:
                self.get_logger().error(f"the candidate {made.version} cannot be read ({error})")
                continue
            facts = {"version": made.version, "path": made.path, "sha256": digest}
            self._candidate.publish(String(data=json.dumps(facts)))
            self.get_logger().info(f"candidate {made.version} after update {made.update}")

    def _report(self, now_s: float) -> None:
        self._inputs.adapt()
        status = None if self._worker is None else self._worker.status()
        level, text, values = finetune_report(self._joiner, self._recorder, status, self._last_id)
        _, _, frames = self._inputs.feed.report(now_s, 0.0, {})
        # Frames without a partner are no transitions: under one prefix they would upset the account.
        values |= {f"frames_{name}": value for name, value in frames.items()}
        values |= {f"refused_{topic}": n for topic, n in self._inputs.refused.items()}
        if level is Level.ERROR:
            self.get_logger().error(text, throttle_duration_sec=10.0)
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics("finetune_node", self._robot, bytes([level]), text, values, stamp_ns)
        )
        self._reported_s = now_s

    def closing(self) -> bool:
        """Take what has come, write it, and then it is enough."""
        now_s, heard = time.monotonic(), self._inputs.heard
        if not self._closing_s:
            self._closing_s, self.idle_s = now_s, 0.05
        elif self._heard == heard or now_s - self._closing_s > _DRAIN_S:
            self._joiner.close()
            self._hand_over()
            return self._recorder.waiting == 0
        self._heard = heard
        return False

    def last_words(self) -> None:
        """Publish the last receipts; the learner ends by itself, or is killed and resumes another time."""
        self._recorder.close(1.0)
        self._hand_over()
        if self._worker is not None:
            self._worker.stop(2.0)


def main() -> int:
    """Entry point of the process."""
    return run(FinetuneNode)


if __name__ == "__main__":
    raise SystemExit(main())
