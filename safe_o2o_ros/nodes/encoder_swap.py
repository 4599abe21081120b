"""The encoder's side of a change of bundle: it counts the words and says at which frame it happens."""

from __future__ import annotations

import time

from std_msgs.msg import String

from safe_o2o_ros.bundle import ENCODER, Bundle
from safe_o2o_ros.errors import OfferError, SafeO2OError
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.bundle_slot import SLOT_NODES, BundleSlot, Held, same_network
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode
from safe_o2o_ros.online.offer import Active, Agreement, Named, Offer, ack_from_json, to_json
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.history import Follower, History
from safe_o2o_ros.perception.session import EncoderSession

SWAP_SPECS = (
    Spec(
        "prime_steps",
        50,
        "Last frames and actions that are kept, from which another bundle's encoder finds its state.",
        1,
        10_000,
    ),
    Spec("swap_timeout", 20.0, "Longest wait for all nodes to be ready for an offer, seconds.", 0.1, 600.0),
    Spec("swap_partners", list(SLOT_NODES), "Nodes that must be ready before the bundle changes."),
)
_REST_S = 0.002
_CATCH_UP = 2
"""Steps that are repeated at once in the node's thread: less than the time a latent has left."""


class EncoderSwap:
    """`change` before a step, `prepare` after it."""

    def __init__(
        self,
        node: ThinNode,
        bundle: Bundle,
        encoder: RecurrentEncoder,
        session: EncoderSession,
        history: History,
    ) -> None:
        """`bundle`, of which `encoder` is made, runs in `session`, which writes `history`."""
        p = node.parameters
        self._node, self._session, self._history = node, session, history
        self._lockstep = bool(p["lockstep"])
        self._agreement = Agreement([name for name in p["swap_partners"] if name], p["swap_timeout"])
        self._agreed: Offer | None = None
        self._heard: Offer | None = None
        self._slot = BundleSlot(
            node, bundle, Follower(encoder), self._prime, settle=self._settle, on_offer=self._on_offer
        )
        self._active = node.create_publisher(String, "bundle/active", qos.facts())
        node.create_subscription(String, "bundle/ready", self._on_ready, qos.answers())
        self._announce()

    @property
    def holds_up(self) -> bool:
        """In lockstep the frame at which the bundle is to change waits until that is settled: runs repeat."""
        pending, stamp_ns = self._agreement.pending, self._session.pending_ns
        if not self._lockstep or pending is None or stamp_ns is None:
            return False
        return stamp_ns >= pending.from_ns

    def facts(self) -> dict[str, str]:
        """For diagnostics."""
        waiting = self._agreement.missing() if self._agreement.pending else ()
        return {**self._slot.facts(), "bundle_waits_for": " ".join(waiting)}

    def change(self, now_s: float) -> None:
        """Change the bundle if all are ready for it; the next step is then the new one's. Steady clock, s."""
        outcome = self._agreement.outcome(now_s)
        if outcome is not None:
            if outcome.refused:
                self._heard = None
                self._slot.answer(outcome.offer, outcome.refused)
            else:
                self._agreed = outcome.offer
        offer, stamp_ns = self._agreed, self._session.pending_ns
        if offer is None or (offer.from_ns and (stamp_ns is None or stamp_ns < offer.from_ns)):
            return
        self._agreed = None
        held = self._slot.get(offer.version)
        if held is self._slot.running:
            self._announce()  # whoever offers what runs already waits for this word
        elif held is not None:
            self._change_to(held)

    def prepare(self, quiet: bool) -> None:
        """Go on with what is offered, and keep it up with the running encoder. `quiet`: see BundleSlot."""
        heard = self._heard
        if heard is not None and set(self._agreement.missing()) <= {self._node.get_name()}:
            # Last, when the others are done: together they would fill the processor, and a tick would wait.
            self._heard = None
            self._slot.consider(heard)
        self._slot.poll(quiet or self._lockstep)
        waiting = self._agreement.pending or self._agreed
        held = self._slot.get(waiting.version) if waiting is not None else None
        if waiting is None or held is None or held is self._slot.running:
            return
        try:
            self._settle(held.item)
        except SafeO2OError as error:
            self._agreement.withdraw()
            self._agreed = None
            self._slot.answer(waiting, str(error))

    def close(self) -> None:
        """See BundleSlot."""
        self._slot.close()

    def _change_to(self, held: Held[Follower]) -> None:
        # Equal networks carry the state itself; another has repeated every step up to here.
        carried = same_network(ENCODER, self._slot.running.bundle, held.bundle)
        if not carried:
            held.item.follow(self._history, _CATCH_UP)
        self._session.change(held.item.encoder, self._session.state if carried else held.item.state)
        self._slot.follow(held.bundle.version)
        self._announce()

    def _announce(self) -> None:
        running, previous = self._slot.running, self._slot.previous
        active = Active(
            **_named(running),
            parent=running.bundle.manifest.parent,
            previous=None if previous is None else Named(**_named(previous)),
        )
        self._active.publish(String(data=to_json(active)))

    def _on_offer(self, offer: Offer) -> None:
        self._agreed, self._heard = None, offer
        self._agreement.propose(offer, time.monotonic())

    def _on_ready(self, message: String) -> None:
        try:
            self._agreement.hear(ack_from_json(message.data))
        except OfferError as error:
            self._node.get_logger().error(str(error))

    def _prime(self, bundle: Bundle) -> Follower:
        """In a thread: an offered bundle's encoder in the state it would have now, or nearly."""
        follower = Follower(RecurrentEncoder(bundle))
        follower.warm_up()
        if not same_network(ENCODER, self._slot.running.bundle, bundle):
            while not follower.follow(self._history, 1):
                time.sleep(_REST_S)  # it is in no hurry, and the ticks are
        return follower

    def _settle(self, follower: Follower) -> bool:
        if same_network(ENCODER, self._slot.running.bundle, follower.encoder.bundle):
            return True
        return follower.follow(self._history, _CATCH_UP)


def _named(held: Held[Follower]) -> dict[str, str]:
    return {"version": held.bundle.version, "path": str(held.bundle.path.absolute()), "sha256": held.sha256}
