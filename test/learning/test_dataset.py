"""Episodes as rows: what belongs to which frame, and what ends where."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_store import make_episode, manifest, write_tiny_store

from safe_o2o_ros.data import EpisodeWriter
from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.learning.dataset import Dataset, load_dataset, safe_in_hindsight
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.robot import POINT


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    directory = tmp_path_factory.mktemp("dataset") / "store"
    write_tiny_store(directory, (6, 4, 3))  # the second one ends by termination
    return load_dataset(directory, 1)


def test_an_episode_of_t_steps_fills_t_plus_one_rows(data: Dataset) -> None:
    assert data.start.tolist() == [0, 7, 12] and data.length.tolist() == [6, 4, 3]
    assert data.image.shape == (16, 64, 64, 6) and data.image.dtype == np.uint8
    assert data.transitions.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14]
    assert [m["seed"] for m in data.metadata] == [0, 1, 2]


def test_rows_hold_what_was_recorded_with_effective_actions(data: Dataset) -> None:
    episode = make_episode(4, 1, terminated=True)
    for t in range(5):
        frames = {name: images[t] for name, images in episode.images.items()}
        assert np.array_equal(data.image[7 + t], stack(frames, ("front", "back"), 64, 64))
    assert np.array_equal(data.action[7:11], POINT.effective(episode.actions))
    assert np.array_equal(data.reward[7:11], episode.rewards)
    assert not data.action[[6, 11, 15]].any() and not data.reward[[6, 11, 15]].any()


def test_a_time_limit_is_not_a_termination(data: Dataset) -> None:
    # Row 10 is the last action of the terminated episode, rows 5 and 14 the last before a time limit.
    assert np.flatnonzero(data.cont == 0.0).tolist() == [10]


def test_the_spread_of_returns_by_hand(data: Dataset) -> None:
    reward = np.zeros(16, np.float32)
    reward[[0, 1, 2, 3, 4, 5]] = 1.0
    altered = dataclasses.replace(data, reward=reward)
    # gamma 0: the return is the reward: 6 ones in 13 transitions.
    assert altered.return_std(0.0) == pytest.approx(np.sqrt(6 / 13 * 7 / 13))
    # gamma 0.5: 1.96875, 1.9375, 1.875, 1.75, 1.5, 1 and seven zeros.
    returns = [1.96875, 1.9375, 1.875, 1.75, 1.5, 1.0] + [0.0] * 7
    assert altered.return_std(0.5) == pytest.approx(np.std(returns))


def test_windows_stay_inside_an_episode_and_pair_frames_with_actions(data: Dataset) -> None:
    marked = dataclasses.replace(data, reward=np.arange(16, dtype=np.float32))  # the row's own number
    batch = marked.windows(np.random.default_rng(0), batch=400, length=3)
    rows = batch["reward"].numpy().astype(int)
    assert (np.diff(rows, axis=1) == 1).all()
    # Every start with three actions before the episode's end, none beyond.
    assert sorted(set(rows[:, 0])) == [0, 1, 2, 3, 7, 8, 12]
    assert np.array_equal(batch["image"].numpy(), data.image[rows])
    assert np.array_equal(batch["action"].numpy(), data.action[rows])
    assert np.array_equal(batch["previous_action"].numpy()[:, 1:], data.action[rows[:, 1:] - 1])
    assert batch["is_first"].numpy().tolist() == [[1.0, 0.0, 0.0]] * 400


def test_the_first_and_last_steps_are_drawn_as_often_as_any_other(data: Dataset) -> None:
    numbers = np.arange(16, dtype=np.float32)
    marked = dataclasses.replace(data, reward=numbers, image=data.image[:, :1, :1])
    first = marked.windows(np.random.default_rng(1), batch=9500, length=3)["reward"].numpy()[:, 0]
    starts, counts = np.unique(first, return_counts=True)
    # Episodes of 6, 4 and 3 steps offer 8, 6 and 5 places; what sticks out is moved to the first or last
    # window, so the first step is in as many windows as a window has steps.
    assert starts.tolist() == [0, 1, 2, 3, 7, 8, 12]
    # Binomial(9500, p <= 5/19): standard deviation at most 43, so five of them.
    assert np.abs(counts - 500 * np.array([3, 1, 1, 3, 3, 3, 5])).max() < 215


def test_the_same_generator_state_gives_the_same_windows(data: Dataset) -> None:
    a, b = (data.windows(np.random.default_rng((0, 5)), 8, 3) for _ in range(2))
    assert all(np.array_equal(a[k].numpy(), b[k].numpy(), equal_nan=True) for k in a)


def test_short_episodes_are_left_out_and_progress_counts_the_rest(tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "store", (6, 2, 4))
    seen: list[tuple[int, int]] = []
    data = load_dataset(tmp_path / "store", 4, lambda done, total: seen.append((done, total)))
    assert data.length.tolist() == [6, 4] and seen == [(1, 2), (2, 2)]
    assert len(data.image) == 12


def test_a_store_without_usable_episodes_is_refused(tmp_path: Path) -> None:
    write_tiny_store(tmp_path / "store", (3,))
    with pytest.raises(
        StoreError, match=r"no usable episode of at least 4 steps \(1 of 1 episodes have fewer than 4 steps\)"
    ):
        load_dataset(tmp_path / "store", 4)
    with pytest.raises(StoreError, match="is not the manifest of a store"):
        load_dataset(tmp_path / "nowhere", 4)


@pytest.mark.parametrize("change", [{"colour": 1}, {"saturation": [0.0, 1.0]}])
def test_a_store_of_an_impossible_robot_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    odd = dataclasses.replace(manifest(), adapter={**POINT.to_json(), **change})
    with EpisodeWriter(tmp_path, odd) as writer:
        writer.append(make_episode(3, 0))
    with pytest.raises(StoreError, match="names no usable robot adapter"):
        load_dataset(tmp_path, 1)


def test_windows_in_a_mirror_turn_the_other_way(data: Dataset) -> None:
    measured = dataclasses.replace(
        data,
        ring=np.tile(np.arange(16, dtype=np.float32), (len(data.image), 1)),
        landmarks=np.tile(np.array([1.0, 2.0, np.nan, np.nan], np.float32), (len(data.image), 1)),
    )
    plain = measured.windows(np.random.default_rng(0), 4, 6)
    mirrored = measured.windows(np.random.default_rng(0), 4, 6, mirror=1.0)
    assert torch.equal(mirrored["image"], plain["image"].flip(3))
    for name in ("action", "previous_action"):
        assert torch.equal(mirrored[name], plain[name] * torch.tensor([1.0, -1.0]))
    # Straight ahead stays, what was one sector to the left is one to the right.
    assert mirrored["ring"][0, 0].tolist() == [0.0, *range(15, 0, -1)]
    assert mirrored["landmarks"][0, 0, :2].tolist() == [1.0, -2.0]
    assert bool(mirrored["landmarks"][..., 2:].isnan().all())
    assert torch.equal(mirrored["reward"], plain["reward"])


def test_actions_that_a_cost_follows_are_not_imitated_and_ways_out_are() -> None:
    costs = np.zeros(40, np.float32)
    costs[20:24] = 1.0
    worth = safe_in_hindsight(costs)
    # Period 10 sees periods 10..19, period 11 the cost in 20; 21 is inside, out again 6 periods later.
    assert worth[:11].all() and not worth[11:21].any() and worth[21:].all()
    costs[20:40] = 1.0
    stays = safe_in_hindsight(costs)
    assert not stays[21:34].any() and stays[34:].all()
