"""How the running nodes change to another bundle together: the words, and who counts them.

    bundle/offer   Offer   to all: prepare this bundle
    bundle/ready   Ack     from each node: prepared, or refused and why
    bundle/active  Active  from the encoder: this one makes the latents from now on

Every node loads and verifies the offer beside its work. When all have acknowledged, the encoder emits the
first latent of the new version, and the others follow the version on the latent. A refusal, or an answer that
does not come in time, leaves the running bundle where it is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from safe_o2o_ros.errors import OfferError

_HEX = frozenset("0123456789abcdef")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Named:
    """A bundle and where it lies."""

    version: str
    path: str
    """Directory, as the node that reads it sees it."""
    sha256: str
    """Of its manifest.json: 64 hex digits."""


@dataclass(frozen=True)
class Offer(Named):
    """Prepare this bundle."""

    parent: str | None = None
    """Version that is running where it is offered."""
    rollback: bool = False
    """Back to what ran before."""
    id: str = ""
    """Tells two offers of one bundle apart; acknowledgements repeat it."""
    from_ns: int = 0
    """Stamp of the first frame that may be the new bundle's: fixes the frame in a repeatable run."""


@dataclass(frozen=True)
class Ack:
    """What one node says of an offer."""

    node: str
    version: str
    ok: bool
    reason: str = ""
    """Why not, in one sentence."""
    id: str = ""
    """Of the offer."""


@dataclass(frozen=True)
class Active(Named):
    """The bundle whose latents are emitted."""

    parent: str | None = None
    """Version it was tuned from."""
    previous: Named | None = None
    """What this encoder ran before; None at its start."""


def to_json(said: Offer | Ack | Active | Named) -> str:
    """One line of JSON."""
    return json.dumps(dataclasses.asdict(said), allow_nan=False)


def offer_from_json(text: str) -> Offer:
    """Inverse of `to_json`. Raises OfferError naming what is missing or wrong."""
    data = _object(text, "offer")
    return Offer(
        **_named(data, "offer"),
        parent=_take(data, "offer", "parent", str, None),
        rollback=_take(data, "offer", "rollback", bool, False),
        id=_take(data, "offer", "id", str, ""),
        from_ns=_take(data, "offer", "from_ns", int, 0),
    )


def ack_from_json(text: str) -> Ack:
    """Inverse of `to_json`. Raises OfferError naming what is missing or wrong."""
    data = _object(text, "acknowledgement")
    return Ack(
        node=_need(data, "acknowledgement", "node", str),
        version=_need(data, "acknowledgement", "version", str),
        ok=_need(data, "acknowledgement", "ok", bool),
        reason=_take(data, "acknowledgement", "reason", str, ""),
        id=_take(data, "acknowledgement", "id", str, ""),
    )


def active_from_json(text: str) -> Active:
    """Inverse of `to_json`. Raises OfferError naming what is missing or wrong."""
    data = _object(text, "active bundle")
    previous = data.get("previous")
    if previous is not None and not isinstance(previous, dict):
        raise OfferError("an active bundle's 'previous' is not an object: check what publishes it")
    return Active(
        **_named(data, "active bundle"),
        parent=_take(data, "active bundle", "parent", str, None),
        previous=None if previous is None else Named(**_named(previous, "previous bundle")),
    )


def named_from_json(text: str, what: str) -> tuple[Named, dict[str, Any]]:
    """A bundle that `what` ("candidate") names, and everything else the object holds. Raises OfferError."""
    data = _object(text, what)
    return Named(**_named(data, what)), data


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OfferError(f"the {what} is not JSON ({error}): check what publishes it") from error
    if not isinstance(data, dict):
        raise OfferError(f"the {what} is not a JSON object: check what publishes it")
    return data


def _named(data: dict[str, Any], what: str) -> dict[str, str]:
    found = {key: _need(data, what, key, str) for key in ("version", "path", "sha256")}
    for key in ("version", "path"):
        if not found[key]:
            raise OfferError(f"the {what} has an empty '{key}': check what publishes it")
    if len(found["sha256"]) != 64 or not set(found["sha256"]) <= _HEX:
        raise OfferError(f"the {what}'s 'sha256' is not one: give the sha256 of its manifest.json in hex")
    return found


def _need(data: dict[str, Any], what: str, key: str, kind: type[_T]) -> _T:
    if key not in data:
        raise OfferError(f"the {what} lacks '{key}': check what publishes it")
    value = data[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise OfferError(f"the {what}'s '{key}' must be of type {kind.__name__}: check what publishes it")
    return value


def _take(data: dict[str, Any], what: str, key: str, kind: type[_T], default: Any) -> Any:
    return default if data.get(key) is None else _need(data, what, key, kind)


@dataclass(frozen=True)
class Outcome:
    """How an offer ended for the encoder."""

    offer: Offer
    refused: str
    """Why the running bundle stays; "" = change now."""


class Agreement:
    """The encoder's count of acknowledgements for the newest offer; one that is replaced is forgotten."""

    def __init__(self, nodes: Sequence[str], timeout_s: float) -> None:
        """`nodes`: whose word is needed, the encoder's own among them."""
        self._nodes, self._timeout_s = tuple(nodes), timeout_s
        self._said: dict[str, Ack] = {}
        self._offer: Offer | None = None
        self._since_s = 0.0

    @property
    def pending(self) -> Offer | None:
        """The offer that is neither agreed on nor given up."""
        return self._offer

    def propose(self, offer: Offer, now_s: float) -> None:
        """A new offer came; it takes the place of an unfinished one. `now_s`: steady clock, seconds."""
        self._offer, self._since_s = offer, now_s

    def hear(self, ack: Ack) -> None:
        """A node has spoken. It may do so before this one has heard the offer."""
        if ack.node in self._nodes:
            self._said[ack.node] = ack

    def withdraw(self) -> None:
        """Forget the pending offer."""
        self._offer = None

    def missing(self) -> tuple[str, ...]:
        """Nodes that have not spoken on the pending offer."""
        return tuple(node for node in self._nodes if self._answer(node) is None)

    def outcome(self, now_s: float) -> Outcome | None:
        """The end of the pending offer, told once; None while it is open."""
        offer = self._offer
        if offer is None:
            return None
        for node in self._nodes:
            ack = self._answer(node)
            if ack is not None and not ack.ok:
                return self._end(offer, f"{node}: {ack.reason or 'refused without a reason'}")
        missing = self.missing()
        if not missing:
            return self._end(offer, "")
        if now_s - self._since_s > self._timeout_s:
            return self._end(
                offer, f"{' and '.join(missing)} did not answer within {self._timeout_s:g} s: look at its log"
            )
        return None

    def _answer(self, node: str) -> Ack | None:
        ack, offer = self._said.get(node), self._offer
        if ack is None or offer is None or (ack.version, ack.id) != (offer.version, offer.id):
            return None
        return ack

    def _end(self, offer: Offer, refused: str) -> Outcome:
        self._offer = None
        return Outcome(offer, refused)
