"""Latent in, nominal command out."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String

from safe_o2o_ros.bundle import POLICY, Bundle
from safe_o2o_ros.errors import FrameError, NonFiniteError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundle_slot import BundleSlot
from safe_o2o_ros.nodes.bundles import BUNDLE_SPECS, open_bundle, other_bundle
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.types import Latent

SPECS = (
    *BUNDLE_SPECS,
    Spec("lockstep", False, "Quality of service of repeatable simulation."),
    Spec("seed", 0, "Seed of the draw between policies.", 0),
    Spec("exploration", 0.0, "Noise while experience is gathered, effective actions; 0 = none.", 0.0, 1.0),
)
_DIAGNOSTICS_S = 1.0
_UNREADABLE, _OTHER_BUNDLE, _NON_FINITE = "unreadable", "other_bundle", "non_finite"


class PolicyNode(ThinNode):
    """One nominal command per latent; no safety logic here."""

    def __init__(self) -> None:
        super().__init__("policy_node", SPECS)
        p = self.parameters
        bundle = open_bundle(p, (POLICY,))
        self._adapter = bundle.manifest.adapter
        policy = ExpansionPolicy(bundle, p["seed"], p["exploration"])
        self._state = policy.initial()
        self._waiting: Latent | None = None
        self._refused = Counter({_UNREADABLE: 0, _OTHER_BUNDLE: 0, _NON_FINITE: 0})
        """Latents that were not answered, by cause."""
        self._problem = ""
        self._answered, self._reported_s = 0, time.monotonic()
        self._slot = BundleSlot(self, bundle, policy, self._prepare)
        pipeline = qos.pipeline(p["lockstep"])
        self._command = self.create_publisher(TwistStamped, "cmd_vel_nominal", pipeline)
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        self.create_subscription(String, "episode", self._on_episode, qos.facts())
        self.create_subscription(Image, "latent", self._on_latent, pipeline)
        provider = bundle.networks[POLICY].provider
        self.get_logger().info(f"bundle {bundle.version}, policy runs on {provider}")

    def _prepare(self, bundle: Bundle) -> ExpansionPolicy:
        """In a thread: an offered bundle's policy, warm."""
        policy = ExpansionPolicy(bundle, self.parameters["seed"], self.parameters["exploration"])
        nothing = np.zeros(bundle.manifest.latent.size, np.float32)
        policy.step(policy.initial(), Latent(0, bundle.version, nothing, 0.0))
        return policy

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._state, self._waiting = self._slot.running.item.initial(), None

    def _on_latent(self, message: Image) -> None:
        try:
            latent = conversions.from_latent_image(message)
        except FrameError as error:
            self._refuse(_UNREADABLE, str(error))
            return
        held = self._slot.get(latent.version)
        if held is None or latent.feature.size != held.bundle.manifest.latent.size:
            self._refuse(_OTHER_BUNDLE, other_bundle(latent.version, self._slot.versions))
            return
        if not np.isfinite(latent.feature).all():
            self._refuse(_NON_FINITE, "refused a latent that is not finite: read what encoder_node reports")
            return
        self._waiting = latent

    def _refuse(self, cause: str, sentence: str) -> None:
        self._refused[cause] += 1
        self._problem = sentence
        self.get_logger().error(sentence, throttle_duration_sec=5.0)

    def work(self) -> None:
        """Answer the newest latent; look after offered bundles; report once a second."""
        latent, self._waiting = self._waiting, None
        if latent is not None:
            self._answer(latent)
        self._slot.poll(quiet=latent is not None or self.parameters["lockstep"])
        now_s = time.monotonic()
        if now_s - self._reported_s >= _DIAGNOSTICS_S:
            self._report(now_s)

    def _answer(self, latent: Latent) -> None:
        held = self._slot.get(latent.version)
        if held is None:
            return  # it went while the latent waited
        self._slot.follow(latent.version)
        try:
            # Which policy drives, and since when, does not depend on the bundle.
            self._state, proposal = held.item.step(self._state, latent)
        except NonFiniteError as error:
            self._refuse(_NON_FINITE, str(error))
            return
        self._answered += 1
        self._command.publish(conversions.to_twist_stamped(proposal.action, proposal.stamp_ns, self._adapter))

    def _report(self, now_s: float) -> None:
        rate = self._answered / (now_s - self._reported_s)
        level = DiagnosticStatus.ERROR if self._problem else DiagnosticStatus.OK
        refused = {f"refused_{k}": n for k, n in self._refused.items()}
        values = {"rate_hz": f"{rate:.1f}", **refused, **self._slot.facts()}
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics(
                "policy_node", self._adapter.name, level, self._problem or "ok", values, stamp_ns
            )
        )
        self._answered, self._reported_s, self._problem = 0, now_s, ""

    def last_words(self) -> None:
        """Let the thread finish."""
        self._slot.close()


def main() -> int:
    """Entry point of the process."""
    return run(PolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
