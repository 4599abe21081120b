"""Candidates in, offers to the running nodes out: gate, canary, roll back."""

from __future__ import annotations

import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import Float32, String
from std_srvs.srv import Trigger

from safe_o2o_ros.bundle import ENCODER, sha256, sign_bundle
from safe_o2o_ros.errors import BundleError, BundleHashError, FrameError, OfferError
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundles import TRUSTED_SPEC, trusted_key
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.release_files import UNUSABLE, ReleaseFiles
from safe_o2o_ros.nodes.release_process import GateProcess
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.nodes.transfer_link import ReceiverLink
from safe_o2o_ros.nodes.transfer_parameters import signing_key
from safe_o2o_ros.online.canary import FAULT, INTERVENTION, Canary, CanaryBounds
from safe_o2o_ros.online.offer import Active, Named, ack_from_json, active_from_json, to_json
from safe_o2o_ros.online.release import (
    CancelGate,
    Candidate,
    Effect,
    Gate,
    Publish,
    ReleaseDesk,
    Said,
    Unwatch,
    Watch,
    candidate_from_json,
)
from safe_o2o_ros.online.verdict import Refusal, Verdict

SPECS = (
    Spec("directory", "", "Folder of gated bundles, log and evidence; empty = ~/.ros/safe_o2o_ros/releases."),
    Spec("held_out", "", "Store of this robot's held-out episodes, for the gate; empty = none."),
    TRUSTED_SPEC,
    Spec("signing_key", "", "Private key (PEM) that signs what passed the gate; empty = it stays unsigned."),
    Spec("gate_command", [""], "Command of the gate, which gets a file as its last word; empty = ours."),
    Spec("gate_timeout", 1800.0, "Longest time of the gate, seconds.", 1.0, 1e6),
    Spec("gate_nice", 10, "Niceness of the gate: how far it stands back behind the others.", 0, 19),
    Spec("offer_timeout", 30.0, "Longest wait for the nodes to change to an offer, seconds.", 0.1, 600.0),
    Spec("keep", 10, "Gated bundles that stay on disk.", 2, 10_000),
    Spec("receive", False, "Receive candidates from bundle_sender_node on another host."),
    Spec("canary_seconds", 60.0, "Driving that the canary watches, seconds; 0 = no canary.", 0.0, 1e6),
    Spec("canary_baseline", 600.0, "Driving before a change that it is compared with, seconds.", 1.0, 1e6),
    Spec("canary_ratio", 2.0, "Growth of the rate of any sign that is allowed.", 1.0, 100.0),
    Spec("canary_alpha", 0.05, "Probability that what is no worse is rolled back.", 1e-6, 0.5),
    Spec("canary_interventions", 3, "Interventions that are too many whatever was before; 0 = any.", 0),
    Spec("canary_faults", 3, "The same for outputs that are not finite or of an unknown bundle.", 0),
)
_DIAGNOSTICS_S = 1.0


class ReleaseNode(ThinNode):
    """Does what the desk says."""

    def __init__(self) -> None:
        super().__init__("release_node", SPECS)
        p = self.parameters
        folder = p["directory"] or str(Path.home() / ".ros" / "safe_o2o_ros" / "releases")
        self._files = ReleaseFiles(Path(folder).absolute(), p["keep"])
        self._signing = signing_key(p)
        self._desk = ReleaseDesk(p["offer_timeout"], p["canary_seconds"] > 0.0, self._files.past())
        most = {INTERVENTION: p["canary_interventions"], FAULT: p["canary_faults"]}
        self._canary = Canary(
            CanaryBounds(
                p["canary_seconds"], p["canary_baseline"], p["canary_ratio"], p["canary_alpha"], most=most
            )
        )
        self._link: ReceiverLink | None = None
        if p["receive"]:
            self._link = ReceiverLink(self, "bundle", self._files.received, trusted_key(p))
        self._told: set[str] = set()
        self._gate: GateProcess | None = None
        self._gated = Path()
        self._active: Active | None = None
        self._last, self._problem, self._reported_s = "", "", 0.0
        self._offers = self.create_publisher(String, "bundle/offer", qos.facts())
        self._verdicts = self.create_publisher(String, "bundle/verdict", qos.answers())
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        self.create_subscription(String, "bundle/active", self._on_active, qos.facts())
        self.create_subscription(String, "bundle/ready", self._on_ready, qos.answers())
        self.create_subscription(String, "bundle/candidate", self._on_candidate, qos.answers())
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, qos.series(False))
        self.create_subscription(Float32, "cost", self._on_cost, qos.series(False))
        self.create_subscription(Float32, "surprise", self._on_surprise, qos.series(False))
        self.create_service(Trigger, "~/rollback", self._on_rollback)
        self.get_logger().info(f"releases in {folder}")

    def _on_candidate(self, message: String) -> None:
        try:
            self._desk.candidate(candidate_from_json(message.data))
        except OfferError as error:
            self._complain(str(error))

    def _on_active(self, message: String) -> None:
        try:
            self._active = active_from_json(message.data)
        except OfferError as error:
            self._complain(str(error))
            return
        self._desk.active(self._active)

    def _on_ready(self, message: String) -> None:
        try:
            self._desk.heard(ack_from_json(message.data))
        except OfferError as error:
            self._complain(str(error))

    def _on_state(self, message: DiagnosticArray) -> None:
        try:
            decision, _ = conversions.from_state(message)
        except FrameError as error:
            self._complain(str(error))
            return
        values = {v.key: v.value for v in message.status[0].values}
        self._canary.state(time.monotonic(), decision.reason, decision.novelty, values)

    def _on_cost(self, message: Float32) -> None:
        self._canary.cost(time.monotonic(), float(message.data))

    def _on_surprise(self, message: Float32) -> None:
        self._canary.surprise(float(message.data))

    def _on_rollback(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        evidence = self._evidence("asked for by hand") if self._canary.watching else ""
        wrong = self._desk.roll_back("asked for by hand", evidence=evidence)
        response.success, response.message = not wrong, wrong or "the bundle before is offered"
        return response

    def work(self) -> None:
        """Look after gate and canary, then do what is to be done; report once a second."""
        now_s = time.monotonic()
        if self._link is not None:
            self._receive(self._link)
        self._look_after_gate()
        finding = self._canary.finding()
        if finding is not None:
            evidence = "" if finding.keep else self._evidence(finding.sentence)
            self._canary.end()
            self._desk.judged(finding.keep, finding.sentence, finding.measures, evidence)
        self._desk.tick(now_s)
        for effect in self._desk.take():
            self._do(effect)
        if now_s - self._reported_s >= _DIAGNOSTICS_S:
            self._report(now_s)

    def _receive(self, link: ReceiverLink) -> None:
        """A bundle that has arrived is a candidate like any other."""
        link.work()
        for name in link.receiver.sets():
            if name in self._told:
                continue
            self._told.add(name)
            path = self._files.received / name
            try:
                version, digest = read_manifest(path).version, sha256(path / MANIFEST_NAME)
            except UNUSABLE as error:
                self._complain(f"what was received as {name} is no bundle: {error}")
                continue
            self.get_logger().info(f"bundle {version} has arrived")
            self._desk.candidate(Candidate(version, str(path), digest))
        self._problem = self._problem or link.problem

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Said):
            self._tell(effect)
        elif isinstance(effect, Gate):
            self._start_gate(effect)
        elif isinstance(effect, CancelGate):
            self._end_gate()
        elif isinstance(effect, Publish):
            self._offers.publish(String(data=to_json(effect.offer)))
        elif isinstance(effect, Watch):
            self._canary.begin(_same_encoder(effect.running))
        elif isinstance(effect, Unwatch):
            self._canary.end()

    def _start_gate(self, start: Gate) -> None:
        p, candidate = self.parameters, start.candidate
        try:
            if sha256(Path(candidate.path) / MANIFEST_NAME) != candidate.sha256:
                raise BundleHashError(
                    f"the manifest at '{candidate.path}' does not have the sha256 that was stated: it was "
                    "changed since, publish the candidate again"
                )
            self._gated = self._files.new_bundle(candidate.version)
            config = {
                "candidate": candidate.path,
                "running": start.running.path,
                "held_out": p["held_out"] or None,
                "trusted_key": p["trusted_key"] or None,
                "out": str(self._gated),
            }
            command = [word for word in p["gate_command"] if word]
            self._gate = GateProcess(command, config, self._files.gate, p["gate_nice"], p["gate_timeout"])
        except UNUSABLE as error:
            verdict = Verdict(candidate.version, False, Refusal.DAMAGED, f"it cannot be judged: {error}")
            self._desk.gated(verdict, None)

    def _look_after_gate(self) -> None:
        verdict = self._gate.poll() if self._gate is not None else None
        if verdict is None:
            return
        self._gate = None
        named: Named | None = None
        if verdict.passed:
            try:
                if self._signing is not None:
                    sign_bundle(self._gated, self._signing)
                digest = sha256(self._gated / MANIFEST_NAME)
                named = Named(read_manifest(self._gated).version, str(self._gated), digest)
            except UNUSABLE as error:
                verdict = Verdict(verdict.version, False, None, f"the gate left no bundle to offer: {error}")
        self._desk.gated(verdict, named)

    def _end_gate(self) -> None:
        if self._gate is not None:
            self._gate.kill()
            self._gate = None

    def _tell(self, said: Said) -> None:
        try:
            line = self._files.write(said)
        except OSError as error:
            self._complain(f"the log of verdicts cannot be written ({error}): free some space")
            line = self._files.line(said)
        self._verdicts.publish(String(data=line))
        self._last = f"{said.event}: {said.sentence}"
        text = f"{said.candidate or said.version}: {self._last}"
        if said.passed:
            self.get_logger().info(text)
        else:
            self.get_logger().warning(text)
        if self._active is not None:
            used = [self._active.path, *([self._active.previous.path] if self._active.previous else [])]
            self._files.clean(used)

    def _evidence(self, why: str) -> str:
        running = self._active.version if self._active else "unknown"
        content = {"version": running, "why": why, **self._canary.evidence()}
        try:
            return self._files.evidence(running, content)
        except (OSError, ValueError) as error:
            self._complain(f"the evidence cannot be kept ({error}): free some space")
            return ""

    def _complain(self, sentence: str) -> None:
        self._problem = sentence
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def _report(self, now_s: float) -> None:
        level = DiagnosticStatus.ERROR if self._problem else DiagnosticStatus.OK
        values: dict[str, object] = {
            **(self._link.facts if self._link is not None else {}),
            "busy": self._desk.busy,
            "bundle": self._active.version if self._active else "",
            "last": self._last,
            "watched_s": f"{self._canary.watched_s:.0f}",
        }
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics("release_node", "", level, self._problem or "ok", values, stamp_ns)
        )
        self._reported_s, self._problem = now_s, ""

    def last_words(self) -> None:
        """Leave no gate behind; note how far a transfer is."""
        self._end_gate()
        if self._link is not None:
            self._link.close()


def _same_encoder(active: Active) -> bool:
    """Whether the bundle before has the same encoder: only then can surprise be compared."""
    if active.previous is None:
        return False
    try:
        files = [read_manifest(Path(path)).files for path in (active.path, active.previous.path)]
    except BundleError:
        return False
    return files[0].get(ENCODER) == files[1].get(ENCODER)


def main() -> int:
    """Entry point of the process."""
    return run(ReleaseNode)


if __name__ == "__main__":
    raise SystemExit(main())
