"""One cost out of bumper, e-stop, key and topic, by hand and as any mix of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.data.cost_label import BUMPER, COST_SOURCES, E_STOP, OPERATOR, REPEAT_NS, TOPIC, CostLabel
from safe_o2o_ros.data.recorded_episodes import amounts
from safe_o2o_ros.data.tracks import CostTrack

MS = 1_000_000
HOLD_NS = 250 * MS
PERIOD_NS = 80 * MS


def label(*sources):
    return CostLabel(sources or COST_SOURCES, HOLD_NS)


def test_a_bumper_costs_until_it_is_released_and_is_said_again_meanwhile():
    cost = label()
    cost.state(BUMPER, False, 0)
    cost.state(BUMPER, True, 10 * MS)
    for t in range(20, 200, 10):
        cost.tick(t * MS)
    cost.state(BUMPER, False, 200 * MS)
    assert cost.said == [(0, False), (10 * MS, True), (110 * MS, True), (200 * MS, False)]


def test_it_is_off_only_when_the_last_source_is():
    cost = label()
    cost.state(BUMPER, True, 0)
    cost.state(E_STOP, True, 1 * MS)
    cost.state(BUMPER, False, 2 * MS)
    assert cost.press(3 * MS)
    cost.state(E_STOP, False, 4 * MS)
    cost.tick(3 * MS + HOLD_NS - 1)
    cost.tick(3 * MS + HOLD_NS)
    assert cost.said == [(0, True), (3 * MS + HOLD_NS - 1, True), (3 * MS + HOLD_NS, False)]


def test_what_was_received_before_the_last_word_and_taken_after_it_still_counts():
    cost = label()
    cost.tick(100 * MS)
    cost.state(BUMPER, True, 98 * MS)
    cost.amount(1.0, 97 * MS)
    assert cost.said == [(100 * MS + k, on) for k, on in enumerate((False, True, True, True))]


def test_a_clock_that_is_set_back_silences_nothing():
    cost = label()
    cost.state(BUMPER, True, 10_000 * MS)
    cost.tick(2_000 * MS)
    cost.tick(2_200 * MS)
    assert cost.said == [(10_000 * MS, True), (2_000 * MS, True), (2_200 * MS, True)]


@pytest.mark.parametrize("value", [1.0, 0.25, -1.0, float("nan"), float("inf")])
def test_a_message_on_the_topic_costs_in_its_moment_whatever_but_zero_it_says(value):
    cost = label()
    cost.amount(0.0, 0)
    cost.amount(value, 5 * MS)
    assert cost.said == [(0, False), (5 * MS, True), (5 * MS + 1, False)]


@pytest.mark.parametrize("source", COST_SOURCES)
def test_a_source_that_is_left_out_does_not_count(source):
    cost = label(*(s for s in COST_SOURCES if s != source))
    cost.state(BUMPER, source == BUMPER, 0)
    cost.state(E_STOP, source == E_STOP, 1)
    if source == TOPIC:
        cost.amount(1.0, 2)
    if source == OPERATOR:
        assert not cost.press(3)
    assert not any(on for _, on in cost.said)


EVENTS = st.lists(
    st.tuples(st.integers(1, 60 * MS), st.sampled_from((BUMPER, E_STOP, TOPIC, OPERATOR)), st.booleans()),
    max_size=60,
)


@given(events=EVENTS, sources=st.sets(st.sampled_from(COST_SOURCES)))
def test_a_period_costs_exactly_where_any_of_the_sources_was_on_in_it(events, sources):
    """What the import makes of the label, against every source on its own."""
    cost = label(*sources) if sources else CostLabel((), HOLD_NS)
    edges = PERIOD_NS * np.arange(20)
    wanted = np.zeros(19, bool)
    now, states, pressed = 0, {BUMPER: (0, False), E_STOP: (0, False)}, []

    def mark(first, last):
        """On from `first` on, up to and without `last`, at least in the moment of `first`."""
        wanted[first // PERIOD_NS : max(first, last - 1) // PERIOD_NS + 1] = True

    cost.again(0)
    for step, source, on in events:
        for t in range(now, now + step, 10 * MS):  # the node ticks all the time
            cost.tick(t)
        now += step
        if source == OPERATOR:
            cost.press(now)
            pressed.append(now)
        elif source == TOPIC:
            cost.amount(float(on), now)
            if on and TOPIC in sources:
                mark(now, now + 1)
        else:
            cost.state(source, on, now)
            since, was = states[source]
            if was and source in sources:
                mark(since, now)
            states[source] = (now, on) if on != was else (since, was)
    end = int(edges[-1])
    for t in range(now, end, 10 * MS):
        cost.tick(t)
    for source, (since, on) in states.items():
        if on and source in sources:
            mark(since, end)
    for t in pressed if OPERATOR in sources else ():
        # Its end is seen at the next tick.
        mark(t, t + HOLD_NS)
    stamps = np.array([t for t, _ in cost.said], np.int64)
    order = np.argsort(stamps, kind="stable")
    values = np.array([[float(on)] for _, on in cost.said])[order]
    track = CostTrack(
        "/record/cost", "Bool", "cost", stamps[order], values, len(stamps), level=np.array([True])
    )
    found = amounts([track], edges, 500 * MS) > 0
    # A key's last moment is known to a tick: the period after it may or may not count.
    open_ = np.zeros(19, bool)
    for t in pressed if OPERATOR in sources else ():
        at = (t + HOLD_NS + 10 * MS) // PERIOD_NS
        open_[(t + HOLD_NS) // PERIOD_NS : at + 1] = True
    assert (found | open_).tolist() == (wanted | open_).tolist()
    assert REPEAT_NS < 500 * MS
