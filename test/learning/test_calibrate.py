"""Thresholds by hand, and the bound they promise for every set of commands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_store import write_tiny_store

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.learning.calibrate import (
    Scores,
    calibrate,
    future_cost,
    nothing_certified,
    novelty_levels,
    of_episodes,
    risk_threshold,
)
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.safety.novelty import window_of

# Risks from a coarse grid, so that ties are common.
COMMANDS = st.lists(st.tuples(st.integers(0, 6).map(lambda k: k / 8), st.booleans()), min_size=1, max_size=40)


def test_an_event_is_a_cost_now_or_within_the_horizon_of_the_same_episode() -> None:
    # Two episodes of 5 and 3 steps; rows 5 and 9 hold the last frames only.
    cost = np.array([0, 0, 0, 1, 0, 0, 0, 0, 2, 0], np.float32)
    start, length = np.array([0, 6]), np.array([5, 3])
    event = future_cost(cost, start, length, horizon=3)
    assert event.astype(int).tolist() == [0, 1, 1, 1, 0, 0, 1, 1, 1, 0]
    assert future_cost(cost, start, length, horizon=1).tolist() == (cost > 0).tolist()
    # A horizon longer than an episode never reaches into the next one.
    assert future_cost(cost, start, length, horizon=99).astype(int).tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 1, 0]


def threshold(risk: list[float], event: list[int], alpha: float) -> float:
    return risk_threshold(np.array(risk, np.float32), np.array(event, bool), alpha)


def test_the_threshold_is_the_largest_with_an_allowed_rate() -> None:
    risk, event = [0.5, 0.125, 0.25, 0.75], [1, 0, 0, 1]
    # Sorted: 0.125 -> 0/1, 0.25 -> 0/2, 0.5 -> 1/3, 0.75 -> 2/4.
    assert threshold(risk, event, 0.0) == 0.25
    assert threshold(risk, event, 0.34) == 0.5
    assert threshold(risk, event, 0.5) == 0.75
    # A rate may rise above alpha and sink below it again: the largest threshold counts.
    assert threshold([0.125, 0.25, 0.5, 0.75], [1, 0, 0, 0], 0.25) == 0.75


def test_nothing_is_certified_where_no_threshold_is_good_enough() -> None:
    assert threshold([0.125, 0.25], [1, 1], 0.5) == 0.0
    assert threshold([], [], 0.5) == 0.0


def test_commands_of_equal_risk_count_together() -> None:
    # With 0.5 go both commands of that risk: 1 event in 3, although the first of them alone would do.
    assert threshold([0.25, 0.5, 0.5], [0, 0, 1], 0.2) == 0.25
    assert threshold([0.5, 0.5], [0, 1], 0.2) == 0.0


@given(COMMANDS, st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.5, 1.0]))
def test_the_promised_rate_holds_and_no_larger_threshold_keeps_it(
    commands: list[tuple[float, bool]], alpha: float
) -> None:
    risk = np.array([r for r, _ in commands], np.float32)
    event = np.array([e for _, e in commands])
    chosen = risk_threshold(risk, event, alpha)
    rates = {float(t): event[risk <= t].mean() for t in np.unique(risk)}
    allowed = [t for t, rate in rates.items() if rate <= alpha]
    assert chosen == max(allowed, default=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    directory = tmp_path_factory.mktemp("calibrate") / "store"
    write_tiny_store(directory, (30, 20))
    return load_dataset(directory, 1)


def test_commands_inside_a_violation_are_not_judged(data: Dataset) -> None:
    cost = np.zeros(len(data.image), np.float32)
    cost[10:14] = 1.0  # four periods of violation in the first episode
    altered = Dataset(**{**vars(data), "cost": cost})
    risk = np.linspace(0.0, 0.98, 50, dtype=np.float32)  # one per transition, rising with time
    surprise = np.arange(52, dtype=np.float32)
    result = calibrate(Scores(risk, surprise), altered, "held-out episodes", alpha=0.0, horizon=5)
    # Rows 6..9 are within 5 periods of the cost at row 10, itself inside: row 5 is the last safe one.
    assert result.risk == pytest.approx(risk[5])
    assert result.provenance["commands"] == 46 and result.provenance["events"] == 4
    assert result.provenance["certified_share"] == pytest.approx(6 / 46)
    assert result.provenance["episodes"] == 2 and result.provenance["source"] == "held-out episodes"
    assert result.pictures_caution is None and result.pictures_stop is None


def test_what_is_ordinary_is_averaged_as_the_gauge_averages_it(data: Dataset) -> None:
    surprise = np.arange(52, dtype=np.float32)
    levels, _ = novelty_levels(*of_episodes(Scores(np.zeros(50, np.float32), surprise, 2.0 * surprise), data))
    # Rows with an action: 0..29 and 31..50. A window of w rows lags (w - 1) / 2 behind; less at the start.
    window = window_of(data.manifest.period_s)
    means = [
        np.mean(range(max(s, t - window + 1), t + 1)) for s, n in ((0, 30), (31, 20)) for t in range(s, s + n)
    ]
    assert levels["surprise_caution"] == pytest.approx(np.quantile(means, 0.99))
    # Of two episodes the most unusual one, and a quarter more.
    assert levels["surprise_stop"] == pytest.approx(1.25 * (50 - (window - 1) / 2))
    assert levels["pictures_stop"] == pytest.approx(2.0 * levels["surprise_stop"])


def test_data_that_is_one_long_violation_cannot_calibrate(data: Dataset) -> None:
    altered = Dataset(**{**vars(data), "cost": np.ones(len(data.image), np.float32)})
    scores = Scores(np.zeros(50, np.float32), np.zeros(52, np.float32))
    with pytest.raises(StoreError, match="inside a violation"):
        calibrate(scores, altered, "training episodes")


def test_where_costs_are_rarer_than_the_bound_not_everything_is_certified(data: Dataset) -> None:
    cost = np.zeros(len(data.image), np.float32)
    cost[10] = 1.0
    altered = Dataset(**{**vars(data), "cost": cost})
    risk = np.linspace(0.0, 0.98, 50, dtype=np.float32)
    result = calibrate(Scores(risk, np.zeros(52, np.float32)), altered, "episodes", alpha=0.05, horizon=2)
    # One of 49 commands, that of row 9, has the event: less than 5 %, but half of that rate is the bound.
    assert result.provenance["rate"] == pytest.approx(1 / 49)
    assert result.provenance["alpha"] == pytest.approx(0.5 / 49)
    assert result.risk == pytest.approx(risk[8])


@pytest.mark.parametrize("costly", [[], [0]], ids=["no cost at all", "only while it is already costing"])
def test_where_no_command_leads_to_a_cost_no_threshold_follows(data: Dataset, costly: list[int]) -> None:
    cost = np.zeros(len(data.image), np.float32)
    cost[costly] = 1.0
    altered = Dataset(**{**vars(data), "cost": cost})
    scores = Scores(np.linspace(0.0, 0.98, 50, dtype=np.float32), np.zeros(52, np.float32))
    with pytest.raises(StoreError, match="no command of the held-out episodes is followed by a cost"):
        calibrate(scores, altered, "held-out episodes")


def test_thresholds_without_knowledge_of_risk_say_so(data: Dataset) -> None:
    scores = Scores(np.ones(50, np.float32), np.arange(52, dtype=np.float32))
    result = nothing_certified(scores, data, "training episodes", "nothing costs anything")
    assert result.risk == 0.0 and result.provenance["certified_share"] == 0.0
    assert result.provenance["nothing_certified"] == "nothing costs anything"
    assert result.surprise_stop > result.surprise_caution > 0.0
