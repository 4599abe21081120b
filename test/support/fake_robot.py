"""What surrounds the safety filter: an encoder, a policy and a base, as far as its topics show them."""

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from sensor_msgs.msg import Image
from support.tiny_bundle import STATE

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Latent, Reason

PERIOD_NS = 80_000_000
AHEAD = np.array([0.03, 0.5], np.float32)


class FakeRobot:
    """Publishes what the filter reads, records what it writes."""

    def __init__(self, probe, namespace="", stamped=True):
        """`namespace`: "robot/" or ""; `stamped`: the base takes TwistStamped, else Twist."""
        self.probe = probe
        pipeline = qos.pipeline(lockstep=False)
        self.latents = probe.node.create_publisher(Image, f"{namespace}latent", pipeline)
        self.nominals = probe.node.create_publisher(TwistStamped, f"{namespace}cmd_vel_nominal", pipeline)
        self.commands = probe.listen(
            TwistStamped if stamped else Twist, f"{namespace}cmd_vel", qos.series(False)
        )
        self.executed = probe.listen(TwistStamped, f"{namespace}executed_cmd", qos.series(False))
        self.states = probe.listen(DiagnosticArray, f"{namespace}safety/state", qos.series(False))
        self.stamp_ns = 0

    def meet(self):
        publishers = (self.latents, self.nominals)
        self.probe.until(lambda: all(p.get_subscription_count() for p in publishers), "the filter")
        self.probe.until(lambda: self.states, "the filter's first state")

    def send(self, action=AHEAD, version="tiny-1"):
        """Send one latent and proposal."""
        self.stamp_ns += PERIOD_NS
        self.latents.publish(
            conversions.to_latent_image(Latent(self.stamp_ns, version, np.zeros(STATE, np.float32), 0.0))
        )
        self.nominals.publish(conversions.to_twist_stamped(action, self.stamp_ns, POINT))

    def ask(self, action=AHEAD):
        """Send one latent and proposal; returns the decision that answers them."""
        self.send(action)
        return self.state(lambda d: d.stamp_ns == self.stamp_ns and d.reason is not Reason.STALE)

    def ask_until(self, reason, **asked):
        """Send latents and proposals until an answer has this reason; returns it."""
        answer = None
        while answer is None or answer.reason.value != reason:
            self.send(**asked)
            answer = self.state(lambda d: True)
        return answer

    def state(self, condition):
        """The first decision from now on that fulfils `condition`."""
        seen = len(self.states)
        found = []

        def look():
            found.extend(
                d for m in self.states[seen:] for d in [conversions.from_state(m)[0]] if condition(d)
            )
            return bool(found)

        self.probe.until(look, "a state")
        return found[0]
