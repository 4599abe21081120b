"""The words of the swap protocol, and the count that decides: whatever is said in whatever order."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.errors import OfferError
from safe_o2o_ros.online.offer import (
    Ack,
    Active,
    Agreement,
    Named,
    Offer,
    ack_from_json,
    active_from_json,
    offer_from_json,
    to_json,
)

NODES = ("encoder_node", "policy_node", "safety_filter_node")
SHA = "0123456789abcdef" * 4
OFFER = Offer("v2", "/bundles/v2", SHA, "v1", id="x")

shas = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text(min_size=1, max_size=20)
named = st.builds(Named, names, names, shas)
offers = st.builds(
    Offer, names, names, shas, st.none() | names, st.booleans(), st.text(max_size=5), st.integers(0, 2**62)
)
actives = st.builds(Active, names, names, shas, st.none() | names, st.none() | named)
acks = st.builds(Ack, names, names, st.booleans(), st.text(max_size=30), st.text(max_size=5))


@given(offers, acks, actives)
def test_what_is_written_is_read_back(offer, ack, active):
    assert offer_from_json(to_json(offer)) == offer
    assert ack_from_json(to_json(ack)) == ack
    assert active_from_json(to_json(active)) == active
    assert "\n" not in to_json(offer)


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_anything_else_is_refused_in_one_sentence(text):
    for read in (offer_from_json, ack_from_json, active_from_json):
        with pytest.raises(OfferError) as caught:
            read(text)
        assert str(caught.value)


@pytest.mark.parametrize("key", ["version", "path", "sha256"])
@pytest.mark.parametrize("value", [None, 3, "", True, [], "0" * 63, "G" * 64])
def test_an_offer_with_a_wrong_field_names_it(key, value):
    data = dataclasses.asdict(OFFER) | {key: value}
    if key != "sha256" and isinstance(value, str) and value:
        assert getattr(offer_from_json(json.dumps(data)), key) == value
        return
    with pytest.raises(OfferError, match=key):
        offer_from_json(json.dumps(data))


def test_the_fields_that_need_not_be_there_have_their_meaning():
    plain = offer_from_json(json.dumps({"version": "v", "path": "/p", "sha256": SHA}))
    assert (plain.parent, plain.rollback, plain.id, plain.from_ns) == (None, False, "", 0)
    with pytest.raises(OfferError, match="rollback"):
        offer_from_json(json.dumps({"version": "v", "path": "/p", "sha256": SHA, "rollback": "no"}))
    with pytest.raises(OfferError, match="from_ns"):
        offer_from_json(json.dumps({"version": "v", "path": "/p", "sha256": SHA, "from_ns": True}))


def ack(node, offer=OFFER, ok=True, reason=""):
    return Ack(node, offer.version, ok, reason, offer.id)


def test_all_must_agree_and_the_change_is_told_once():
    agreement = Agreement(NODES, 5.0)
    agreement.propose(OFFER, 0.0)
    for node in NODES:
        assert agreement.outcome(1.0) is None
        agreement.hear(ack(node))
    outcome = agreement.outcome(1.0)
    assert (outcome.offer, outcome.refused) == (OFFER, "")
    assert agreement.outcome(1.0) is None and agreement.pending is None


def test_a_refusal_names_node_and_reason_and_silence_names_who_is_silent():
    agreement = Agreement(NODES, 5.0)
    agreement.propose(OFFER, 0.0)
    agreement.hear(ack("policy_node", ok=False, reason="it is damaged"))
    assert agreement.outcome(0.1).refused == "policy_node: it is damaged"
    agreement.propose(dataclasses.replace(OFFER, id="y"), 10.0)
    agreement.hear(ack("encoder_node", dataclasses.replace(OFFER, id="y")))
    assert agreement.outcome(15.0) is None
    refused = agreement.outcome(15.1).refused
    assert refused.startswith("policy_node and safety_filter_node did not answer within 5 s")


def test_an_answer_may_come_before_the_offer_but_not_from_an_earlier_one():
    agreement = Agreement(NODES, 5.0)
    agreement.hear(ack("policy_node"))
    agreement.propose(OFFER, 0.0)
    assert agreement.missing() == ("encoder_node", "safety_filter_node")
    again = dataclasses.replace(OFFER, id="again")
    agreement.propose(again, 1.0)
    assert agreement.missing() == NODES


steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.sampled_from("abc")),
        st.tuples(
            st.just("ack"), st.sampled_from("abc"), st.sampled_from((*NODES, "stranger")), st.booleans()
        ),
        st.tuples(st.just("wait"), st.floats(0.0, 4.0)),
        st.tuples(st.just("withdraw")),
    ),
    max_size=40,
)


@given(steps)
def test_in_any_order_nothing_changes_without_everybody_s_word_for_the_newest_offer(steps):
    """The reference counts, for each offer, who said yes since anything was said."""
    agreement, now_s, newest, told = Agreement(NODES, 5.0), 0.0, None, set()
    said: dict[str, dict[str, bool]] = {}
    last: dict[str, str] = {}
    for count, (what, *rest) in enumerate(steps):
        if what == "offer":
            newest = dataclasses.replace(OFFER, version=rest[0], id=rest[0])
            agreement.propose(newest, now_s)
            since_s, told = now_s, set()
        elif what == "ack":
            name, node, ok = rest
            agreement.hear(Ack(node, name, ok, "no", name))
            if node in NODES:
                said.setdefault(name, {})[node], last[node] = ok, name
        elif what == "wait":
            now_s += rest[0]
        else:
            agreement.withdraw()
            newest = None
        outcome = agreement.outcome(now_s)
        if outcome is None:
            continue
        assert newest is not None and outcome.offer is newest and count not in told
        votes = {n: said.get(newest.version, {}).get(n) for n in NODES if last.get(n) == newest.version}
        if not outcome.refused:
            assert votes == dict.fromkeys(NODES, True)
        else:
            assert False in votes.values() or now_s - since_s > 5.0
        newest = None
        assert agreement.pending is None
