"""Latent in, nominal command out."""

from __future__ import annotations

from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from std_msgs.msg import String

from safe_o2o_ros.bundle import POLICY
from safe_o2o_ros.errors import FrameError, NonFiniteError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundles import BUNDLE_SPECS, open_bundle
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.types import Latent

SPECS = (
    *BUNDLE_SPECS,
    Spec("lockstep", False, "Quality of service of repeatable simulation."),
    Spec("seed", 0, "Seed of the draw between policies.", 0),
)


class PolicyNode(ThinNode):
    """One nominal command per latent; no safety logic here."""

    def __init__(self) -> None:
        super().__init__("policy_node", SPECS)
        p = self.parameters
        bundle = open_bundle(p, (POLICY,))
        self._adapter = bundle.manifest.adapter
        self._size = bundle.manifest.latent.size
        self._policy = ExpansionPolicy(bundle, p["seed"])
        self._state = self._policy.initial()
        self._waiting: Latent | None = None
        self.refused = 0
        """Latents of a version this node does not hold."""
        pipeline = qos.pipeline(p["lockstep"])
        self._command = self.create_publisher(TwistStamped, "cmd_vel_nominal", pipeline)
        self.create_subscription(String, "episode", self._on_episode, qos.facts())
        self.create_subscription(Image, "latent", self._on_latent, pipeline)
        provider = bundle.networks[POLICY].provider
        self.get_logger().info(f"bundle {bundle.version}, policy runs on {provider}")

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._state, self._waiting = self._policy.initial(), None

    def _on_latent(self, message: Image) -> None:
        try:
            latent = conversions.from_latent_image(message)
        except FrameError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        if latent.version != self._policy.version or latent.feature.size != self._size:
            self.refused += 1
            self.get_logger().error(
                f"refused a latent of bundle '{latent.version}': this node holds '{self._policy.version}', "
                "start all nodes with the same bundle",
                throttle_duration_sec=5.0,
            )
            return
        self._waiting = latent

    def work(self) -> None:
        """Answer the newest latent."""
        if self._waiting is None:
            return
        latent, self._waiting = self._waiting, None
        try:
            self._state, proposal = self._policy.step(self._state, latent)
        except NonFiniteError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        self._command.publish(conversions.to_twist_stamped(proposal.action, proposal.stamp_ns, self._adapter))


def main() -> int:
    """Entry point of the process."""
    return run(PolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
