"""The promise of a threshold, by hand and for any episodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.safety.conformal import Judged, conformal_threshold, events


def judged(*commands: tuple[float, bool]) -> Judged:
    return Judged(np.array([r for r, _ in commands]), np.array([e for _, e in commands]))


def test_an_event_is_a_cost_soon_after_a_command_that_was_not_inside_one() -> None:
    cost = np.array([0, 0, 0, 1, 1, 0, 0, 0])
    # Within 3 periods, the present one included: rows 1, 2, 3. Row 4 was commanded inside, and row 5 too.
    assert events(cost, 3).tolist() == [False, True, True, True, False, False, False, False]
    assert not events(np.zeros(5), 3).any()


def test_the_threshold_by_hand() -> None:
    # Losses at t: episode 1 has an event at risk 0.2 and one at 0.4 among 4 commands, episode 2 at 0.3 of 2.
    episodes = [
        judged((0.1, False), (0.2, True), (0.4, True), (0.9, False)),
        judged((0.3, True), (0.05, False)),
    ]
    # alpha 0.5: (sum + 1) / 3 <= 0.5 allows a sum of 0.5: 0.25 below 0.3, 0.75 from there.
    assert conformal_threshold(episodes, 0.5, 1.0) == pytest.approx(0.3) and (
        conformal_threshold(episodes, 0.5, 1.0) < 0.3
    )
    assert conformal_threshold(episodes, 0.6, 1.0) == pytest.approx(0.4)
    assert conformal_threshold(episodes, 0.7, 0.8) == 0.8
    # Two episodes can promise nothing below a third.
    assert conformal_threshold(episodes, 0.3, 1.0) == 0.0


EPISODES = st.lists(
    st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=12), min_size=1, max_size=12
)


@given(EPISODES, st.floats(0.05, 0.9))
def test_the_bound_holds_and_the_next_event_would_break_it(
    commands: list[list[tuple[float, bool]]], alpha: float
) -> None:
    episodes = [judged(*one) for one in commands]
    n = len(episodes)
    chosen = conformal_threshold(episodes, alpha, 1.0)
    bound = lambda t: (sum(e.loss(t) for e in episodes) + 1.0) / (n + 1)  # noqa: E731
    if chosen == 0.0:
        return
    assert bound(chosen) <= alpha + 1e-9
    above = [r for one in commands for r, event in one if event and r > chosen]
    if above and chosen < 1.0:
        assert bound(min(above)) > alpha - 1e-9
