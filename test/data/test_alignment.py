"""Streams of unequal rates become periods: every message counts once, nothing is paired across a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safe_o2o_ros.data.aligned import Settings
from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.import_report import topic_report
from safe_o2o_ros.data.recorded_episodes import amounts
from safe_o2o_ros.data.tracks import MARKS, CostTrack, Recording, Track

MS = 1_000_000
SETTINGS = Settings(50 * MS, 200 * MS, 500 * MS)


def track(stamps_ms: Any, role: str = "camera front", values: Any = None) -> Track:
    stamps = np.asarray(stamps_ms, np.int64) * MS
    if values is None:
        values = np.zeros((len(stamps), 2), np.float32)
    return Track(role, "test", role, stamps, np.asarray(values), len(stamps))


def costs(stamps_ms: Any, values: Any, level: bool) -> CostTrack:
    stamps = np.asarray(stamps_ms, np.int64) * MS
    column = np.asarray(values, np.float64).reshape(-1, 1)
    return CostTrack(
        "cost", "test", "cost", stamps, column, len(stamps), columns=("c",), level=np.array([level])
    )


def recording(frames: Any, commands: Any, **more: Any) -> Recording:
    return Recording("test", {"front": track(frames)}, track(commands, "command"), **more)


def test_equal_rates_pair_frame_and_command_of_one_tick() -> None:
    result = align(recording(range(0, 500, 50), range(3, 503, 50)), SETTINGS)
    assert result.pairs == 9
    (episode,) = result.episodes
    np.testing.assert_array_equal(episode.frames["front"], np.arange(10))
    np.testing.assert_array_equal(episode.command, np.arange(9))
    assert episode.ending == "gap"


def test_the_last_command_of_a_period_is_its_action() -> None:
    result = align(recording(range(0, 300, 50), [1, 20, 49, 50, 120]), SETTINGS)
    assert result.episodes[0].command.tolist() == [2, 3, 4, 4, 4]


def test_a_command_that_ran_out_ends_the_episode() -> None:
    result = align(recording(range(0, 2000, 50), [0, 1500]), SETTINGS)
    first, second = result.episodes
    assert first.edges_ns[0] == 0 and len(first) == 11  # steps that begin up to 500 ms after the command
    assert second.edges_ns[0] == 1500 * MS
    fast = recording(range(0, 2000, 25), [0])
    report = topic_report(fast.cameras["front"], align(fast, SETTINGS))
    assert report.used == 12
    assert report.drops == {"no command in force": 57, "newer frame in the same period": 11}


def test_a_slow_camera_repeats_frames_and_a_fast_one_loses_them() -> None:
    slow = align(recording(range(0, 1000, 100), range(0, 1000, 20)), SETTINGS)
    assert slow.pairs == 18 and slow.repeated == 9
    assert slow.episodes[0].frames["front"].tolist()[:5] == [0, 0, 1, 1, 2]
    fast = recording(range(0, 1000, 10), range(0, 1000, 20))
    result = align(fast, SETTINGS)
    report = topic_report(fast.cameras["front"], result)
    assert report.used == result.pairs + 1
    assert set(report.drops) == {"newer frame in the same period"}


def test_jitter_around_the_period_loses_hardly_any_frame() -> None:
    rng = np.random.default_rng(0)
    stamps = np.arange(0, 50_000, 50) + rng.integers(-8, 9, 1000)
    result = align(recording(np.sort(stamps), range(0, 50_000, 50)), SETTINGS)
    assert len(np.unique(result.episodes[0].frames["front"])) > 990


def test_a_gap_of_one_camera_of_two_splits_episodes_and_is_named() -> None:
    both = Recording(
        "test",
        {"front": track(range(0, 2000, 50)), "back": track([*range(10, 600, 50), *range(1410, 2000, 50)])},
        track(range(0, 2000, 50), "command"),
    )
    result = align(both, SETTINGS)
    assert len(result.episodes) == 2
    assert topic_report(both.cameras["front"], result).drops["no frame of camera back"] > 5
    for episode in result.episodes:
        behind = both.cameras["front"].stamps_ns[episode.frames["front"]]
        age = behind - both.cameras["back"].stamps_ns[episode.frames["back"]]
        assert np.abs(age).max() <= 200 * MS


def test_marks_begin_and_end_episodes() -> None:
    marks = track(
        [100, 400, 600, 900], "episode", [MARKS.index(w) for w in ("start", "success", "start", "timeout")]
    )
    data = recording(range(0, 1200, 50), range(0, 1200, 50), marks=marks)
    result = align(data, SETTINGS)
    # What comes before the first mark belongs to an episode that was under way.
    assert [(int(e.edges_ns[0]) // MS, int(e.edges_ns[-1]) // MS, e.ending) for e in result.episodes] == [
        (0, 50, "gap"),
        (100, 400, "success"),
        (600, 900, "timeout"),
    ]
    assert topic_report(data.cameras["front"], result).drops["between episodes"] == 8


def test_the_delay_moves_actions_and_drops_the_first_steps() -> None:
    plain = align(recording(range(0, 1000, 50), range(0, 1000, 50)), SETTINGS)
    shifted = align(
        recording(range(0, 1000, 50), range(0, 1000, 50)),
        Settings(50 * MS, 200 * MS, 500 * MS, delay_steps=4),
    )
    assert shifted.pairs == plain.pairs - 4
    assert shifted.episodes[0].frames["front"][0] == 4 and shifted.episodes[0].command[0] == 0


def test_amounts_are_summed_and_states_count_once() -> None:
    edges = np.arange(0, 500, 100, dtype=np.int64) * MS
    summed = costs([0, 10, 99, 100, 450], [1, 2, 4, 8, 16], level=False)
    assert amounts([summed], edges).tolist() == [7.0, 8.0, 0.0, 0.0]
    pressed = costs([10, 20, 250], [1, 1, 0], level=True)
    assert amounts([pressed], edges, hold_ns=1000 * MS).tolist() == [1.0, 1.0, 1.0, 0.0]
    assert amounts([pressed], edges, hold_ns=90 * MS).tolist() == [1.0, 1.0, 0.0, 0.0]
    # Two states at once are one cost; an amount comes on top.
    assert amounts([pressed, pressed, summed], edges, hold_ns=0).tolist() == [8.0, 8.0, 0.0, 0.0]


def test_without_a_camera_odometry_is_the_clock() -> None:
    data = Recording("test", {}, track(range(0, 3000, 300), "command"))
    data.odometry = track(range(0, 3000, 160), "odometry", np.zeros((19, 2)))
    result = align(data, Settings(160 * MS, 480 * MS, 500 * MS))
    report = topic_report(data.odometry, result)
    assert result.pairs > 15
    assert report.used + sum(report.drops.values()) == 19


def test_nothing_gives_nothing() -> None:
    assert align(Recording("test", {}), SETTINGS).pairs == 0
    assert align(recording([], []), SETTINGS).pairs == 0
    only = recording([5], [5])
    result = align(only, SETTINGS)
    assert result.pairs == 0
    assert topic_report(only.cameras["front"], result).drops == {"alone between gaps": 1}


spacings = st.lists(
    st.one_of(st.integers(1, 120), st.integers(180, 260), st.integers(1_000, 10**12)), min_size=0, max_size=60
)


@st.composite
def streams(draw: st.DrawFn) -> Recording:
    def stamps(name: str) -> Any:
        steps = draw(spacings, label=name)
        return np.cumsum([draw(st.integers(0, 400)), *steps])

    cameras = {"front": track(stamps("front"))}
    if draw(st.booleans()):
        cameras["back"] = track(stamps("back"))
    commands = stamps("commands")
    data = Recording("test", cameras, track(commands, "command"))
    if draw(st.booleans()):
        at = stamps("marks")
        words = draw(st.lists(st.integers(0, len(MARKS) - 1), min_size=len(at), max_size=len(at)))
        data.marks = track(at, "episode", words)
    at = stamps("costs")
    data.costs = [costs(at, np.ones(len(at)), level=False)]
    return data


@given(streams(), st.integers(20, 120), st.integers(0, 3), st.integers(1, 5))
def test_every_message_is_counted_once_and_no_pair_crosses_a_gap(
    data: Recording, period_ms: int, delay: int, least: int
) -> None:
    settings = Settings(period_ms * MS, 200 * MS, 500 * MS, least, delay)
    result = align(data, settings)
    for one in data.tracks():
        report = topic_report(one, result)
        assert report.messages == report.used + sum(report.drops.values())
    front, command = data.cameras["front"], data.command
    assert command is not None
    ends = -1
    total = 0.0
    for episode in result.episodes:
        assert len(episode) >= least and len(episode.edges_ns) == len(episode) + 1
        assert (np.diff(episode.edges_ns) > 0).all()
        assert episode.edges_ns[0] >= ends
        ends = int(episode.edges_ns[-1])
        frames = front.stamps_ns[episode.frames["front"]]
        assert (np.diff(frames) >= 0).all() and (np.diff(frames) <= 200 * MS).all()
        # A frame is there when its step begins, and is not older than a gap.
        age = episode.edges_ns - frames
        assert (age >= 0).all() and (age <= 200 * MS + settings.period_ns).all()
        said = command.stamps_ns[episode.command]
        assert (np.diff(said) >= 0).all()
        late = episode.edges_ns[:-1] - said
        if delay == 0:
            assert (late <= 500 * MS).all() and (said < episode.edges_ns[1:]).all()
        # From the frame to its command no gap of the camera is crossed.
        for k, index in enumerate(episode.frames["front"][:-1].tolist()):
            first = index
            while first and front.stamps_ns[first] - front.stamps_ns[first - 1] <= 200 * MS:
                first -= 1
            assert first == 0 or said[k] > front.stamps_ns[first] - settings.period_ns
        total += float(amounts(data.costs, episode.edges_ns).sum())
    assert total == topic_report(data.costs[0], result).used


@pytest.mark.parametrize("rate", [7, 13, 20, 30, 60])
def test_steps_are_one_period_apart_on_average(rate: int) -> None:
    stamps = (np.arange(600) * 1000 / rate).astype(np.int64)
    result = align(recording(stamps, stamps), Settings(50 * MS, 400 * MS, 500 * MS))
    spacing = np.diff(result.episodes[0].edges_ns) / MS
    assert abs(spacing.mean() - 50.0) < 0.5
