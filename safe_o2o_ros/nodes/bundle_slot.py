"""The bundles one node holds: the running one, the one before it, and what is offered.

An offer is verified, loaded and warmed up in a thread, so that no control tick waits for it; loading a
network by its path keeps others off the interpreter for a few milliseconds at most. It begins right after a
tick, since it takes less processor time than there is until the next. The node learns of the result in its
own thread, and says it on `bundle/ready`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from std_msgs.msg import String

from safe_o2o_ros.bundle import Bundle, check_successor, load_bundle, sha256
from safe_o2o_ros.errors import BundleHashError, BundleMismatchError, OfferError, SafeO2OError
from safe_o2o_ros.inference import Network
from safe_o2o_ros.manifest import MANIFEST_NAME, Manifest, read_manifest_json
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.bundles import trusted_key
from safe_o2o_ros.nodes.runner import ThinNode
from safe_o2o_ros.online.offer import Ack, Named, Offer, active_from_json, offer_from_json, to_json

_T = TypeVar("_T")
_MOST = 4
"""Bundles held at most. Two would do, were it not that an offer may replace another just while the encoder
changes to that."""

_PATIENCE_S = 0.5
"""So long a quiet moment is waited for: where nothing is driven there are no ticks."""


@dataclass(frozen=True)
class Held(Generic[_T]):
    """One bundle, ready to run."""

    bundle: Bundle
    sha256: str
    """Of its manifest."""
    item: _T
    """What the node makes of it."""


@dataclass(frozen=True)
class _Job(Generic[_T]):
    offer: Offer
    future: Future[Held[_T]]


class BundleSlot(Generic[_T]):
    """Listens to offers and prepares them; `poll` it in `work`, `follow` the version on the latents."""

    def __init__(
        self,
        node: ThinNode,
        bundle: Bundle,
        item: _T,
        prepare: Callable[[Bundle], _T],
        *,
        settle: Callable[[_T], bool] = lambda item: True,
        on_held: Callable[[_T], None] = lambda item: None,
        on_released: Callable[[str], None] = lambda version: None,
        on_offer: Callable[[Offer], None] | None = None,
    ) -> None:
        """`bundle` runs, as `item`; `prepare` makes such an item of another one, in a thread.

        `settle`, in the node's thread, finishes a prepared item bit by bit: True = it may be acknowledged.
        `on_held`, `on_released`: an item came, a version went. `on_offer`: gets every offer in the place of
        `consider`; given by the encoder, which alone does not listen to `bundle/active`.
        """
        self._node, self._prepare, self._settle = node, prepare, settle
        self._on_held, self._on_released, self._on_heard = on_held, on_released, on_offer
        self._networks = tuple(bundle.networks)
        p = node.parameters
        self._providers, self._trusted = (p["provider"],), trusted_key(p)
        first = Held(bundle, sha256(bundle.path / MANIFEST_NAME), item)
        self._held: dict[str, Held[_T]] = {bundle.version: first}
        """By version, the longest held first."""
        self._running, self._previous = bundle.version, ""
        self._job: _Job[_T] | None = None
        self._next: Offer | None = None
        self._next_s = 0.0
        self._missing: Offer | None = None
        self._pool = ThreadPoolExecutor(1, "bundle")
        self._wake = node.create_guard_condition(lambda: None)
        self._ready = node.create_publisher(String, "bundle/ready", qos.answers())
        node.create_subscription(String, "bundle/offer", self._on_offer, qos.facts())
        if on_offer is None:
            node.create_subscription(String, "bundle/active", self._on_active, qos.facts())

    @property
    def running(self) -> Held[_T]:
        """The bundle whose latents came last."""
        return self._held[self._running]

    @property
    def previous(self) -> Held[_T] | None:
        """What ran before it."""
        return self._held.get(self._previous)

    @property
    def versions(self) -> tuple[str, ...]:
        """Everything that is held."""
        return tuple(self._held)

    @property
    def offered(self) -> str:
        """Version that is being prepared, or ""."""
        return self._next.version if self._next else self._job.offer.version if self._job else ""

    def get(self, version: str) -> Held[_T] | None:
        """A bundle, if it is held."""
        return self._held.get(version)

    def follow(self, version: str) -> None:
        """The latents are now those of a held `version`."""
        if version != self._running:
            self._previous, self._running = self._running, version
            self._node.get_logger().info(f"bundle {version} runs, in the place of {self._previous}")

    def facts(self) -> dict[str, str]:
        """For diagnostics and state messages."""
        return {
            "bundle": self._running,
            "bundle_parent": self.running.bundle.manifest.parent or "",
            "bundle_previous": self._previous,
            "bundle_offered": self.offered,
        }

    def poll(self, quiet: bool) -> None:
        """Take what the thread has finished; start on what waits. Quick.

        `quiet`: a tick has just been answered, and the next is as far away as can be.
        """
        job = self._job
        if job is not None and job.future.done():
            self._finish(job)
        if self._job is not None:
            return
        if self._missing is not None:
            # The encoder drives with it already: nothing is as urgent.
            offer, self._missing = self._missing, None
            self._start(offer)
        elif self._next is not None and (quiet or time.monotonic() - self._next_s > _PATIENCE_S):
            offer, self._next = self._next, None
            self._start(offer)

    def answer(self, offer: Named, reason: str = "") -> None:
        """Say that an offer is ready, or with a `reason` that it is refused."""
        ack = Ack(self._node.get_name(), offer.version, not reason, reason, getattr(offer, "id", ""))
        self._ready.publish(String(data=to_json(ack)))
        if reason:
            self._node.get_logger().error(f"bundle {offer.version} is refused: {reason}")

    def close(self) -> None:
        """Wait for the thread: a network that is being loaded must not meet the end of the process."""
        self._next = None
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _on_offer(self, message: String) -> None:
        try:
            offer = offer_from_json(message.data)
        except OfferError as error:
            self._node.get_logger().error(str(error))
            return
        if self._on_heard is not None:
            self._on_heard(offer)
        else:
            self.consider(offer)

    def consider(self, offer: Offer) -> None:
        """Prepare an offer, or say at once what is to be said of it."""
        held = self._held.get(offer.version)
        driven = offer.version in (self._running, self._previous)
        if driven and held is not None and held.sha256 != offer.sha256:
            self.answer(offer, "a bundle of this version has driven, and its manifest is not the offered one")
        elif offer.version == self._running:
            self.answer(offer)
        else:
            # Of offers that wait, the newest counts.
            self._next, self._next_s = offer, time.monotonic()

    def _on_active(self, message: String) -> None:
        """A node that was started again learns here what the encoder runs."""
        try:
            active = active_from_json(message.data)
        except OfferError as error:
            self._node.get_logger().error(str(error))
            return
        if active.version not in (*self._held, self.offered):
            self._missing = Offer(active.version, active.path, active.sha256)

    def _start(self, offer: Offer) -> None:
        held = self._held.get(offer.version)
        if held is not None and held.sha256 != offer.sha256:
            held = None  # it never drove, and is another now
        loaded = {
            other.bundle.manifest.files[name]: network
            for other in self._held.values()
            for name, network in other.bundle.networks.items()
        }
        running = self.running.bundle.manifest
        future = self._pool.submit(self._load, offer, held, loaded, running)
        future.add_done_callback(lambda _: self._wake.trigger())
        self._job = _Job(offer, future)

    def _load(
        self, offer: Offer, held: Held[_T] | None, loaded: Mapping[str, Network], running: Manifest
    ) -> Held[_T]:
        """In the thread. Raises what is wrong with the offer."""
        if held is not None:
            return Held(held.bundle, held.sha256, self._prepare(held.bundle))
        directory = Path(offer.path)
        read_manifest_json(directory)  # says in its own words if there is none
        if sha256(directory / MANIFEST_NAME) != offer.sha256:
            raise BundleHashError(
                f"the manifest of '{directory}' does not have the sha256 that was offered: it was changed "
                "since, offer it again"
            )
        bundle = load_bundle(directory, self._networks, None, self._providers, self._trusted, loaded)
        if bundle.version != offer.version:
            raise BundleMismatchError(
                f"'{directory}' holds bundle {bundle.version} and not {offer.version}: offer it again"
            )
        check_successor(running, bundle.manifest)
        return Held(bundle, offer.sha256, self._prepare(bundle))

    def _finish(self, job: _Job[_T]) -> None:
        error = job.future.exception()
        if error is None:
            try:
                if not self._settle(job.future.result().item):
                    return
            except SafeO2OError as late:
                error = late
        self._job = None
        if error is not None:
            known = isinstance(error, SafeO2OError)
            self.answer(job.offer, str(error) if known else f"it cannot be prepared: {error!r}")
            return
        self._hold(job.future.result())
        self.answer(job.offer)

    def _hold(self, held: Held[_T]) -> None:
        self._held.pop(held.bundle.version, None)
        self._held[held.bundle.version] = held
        self._on_held(held.item)
        keep = {self._running, self._previous, held.bundle.version}
        for version in [v for v in self._held if v not in keep][: max(0, len(self._held) - _MOST)]:
            del self._held[version]
            self._on_released(version)


def same_network(name: str, first: Bundle, second: Bundle) -> bool:
    """Whether a file of two bundles is the same."""
    return first.manifest.files[name] == second.manifest.files[name]


SLOT_NODES: Sequence[str] = ("encoder_node", "policy_node", "safety_filter_node")
"""The nodes that hold bundles, and whose word a change needs."""
