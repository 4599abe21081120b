"""Recorded episodes in memory, and the windows the world model trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safe_o2o_ros.data import Episode
from safe_o2o_ros.data.store import UNUSABLE, EpisodeReader, Manifest
from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.learning.survey import loss, nothing_left, survey
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.robot import RobotAdapter

SOURCE = "policy"
"""Optional column of an episode: where each action came from."""
NOT_A_DEMONSTRATOR = 2
"""Sources from here on are random draws and policies (sim/demonstrators/base.py)."""
MARGINS = ("clearance", "hazard_clearance")
"""Optional columns of an episode: how far the robot is from what costs, metres, one row a frame."""
RING, LANDMARKS = "ring", "landmarks"
"""Optional columns of an episode: see sim/surroundings.py."""
SECTORS, PLACES = 16, 4
"""Their widths."""
_LEAST_STD = 1e-6
"""Returns that vary less do not vary."""


@dataclass(frozen=True)
class Dataset:
    """All episodes end to end. An episode of T steps fills T + 1 rows; its last row has a frame only."""

    image: NDArray[np.uint8]
    """(N, H, W, C) stacked cameras."""
    action: NDArray[np.float32]
    """(N, A) effective action executed after the frame; 0 in an episode's last row."""
    reward: NDArray[np.float32]
    """(N,) of that action; 0 in the last row."""
    cost: NDArray[np.float32]
    """(N,)."""
    cont: NDArray[np.float32]
    """(N,) 0 where the action terminated the episode, else 1: a time limit is not a termination."""
    imitate: NDArray[np.float32]
    """(N,) 1 where the action is worth imitating: a demonstrator's own, and no cost came of it."""
    margin: NDArray[np.float32]
    """(N,) metres from what costs at the frame, negative inside; NaN where nobody measured it."""
    ring: NDArray[np.float32]
    """(N, SECTORS) metres to the nearest thing in each direction at the frame; NaN where unknown."""
    landmarks: NDArray[np.float32]
    """(N, PLACES) metres in base_link, x and y of each landmark at the frame; NaN where unknown."""
    start: NDArray[np.int64]
    """(E,) first row of each episode."""
    length: NDArray[np.int64]
    """(E,) T of each episode."""
    manifest: Manifest
    adapter: RobotAdapter
    metadata: list[dict[str, Any]]
    """Per episode."""
    skipped: tuple[str, ...] = ()
    """One sentence for each part of the store that is left out: where it is and what is wrong with it."""

    @property
    def has_cost(self) -> bool:
        """Whether any step cost something: without one, nothing can be learned about risk."""
        return bool((self.cost > 0.0).any())

    @property
    def transitions(self) -> NDArray[np.int64]:
        """(M,) rows that have an action; row + 1 is the next frame of the same episode."""
        return np.concatenate([np.arange(s, s + n) for s, n in zip(self.start, self.length, strict=True)])

    def return_std(self, gamma: float) -> float:
        """Standard deviation over transitions of the discounted return to the episode's end.

        1 where all returns are equal, as in recordings that know no reward: it serves as a unit.
        """
        returns = np.zeros(len(self.reward), np.float64)
        for s, n in zip(self.start, self.length, strict=True):
            following = 0.0
            for row in range(s + n - 1, s - 1, -1):
                following = float(self.reward[row]) + gamma * float(self.cont[row]) * following
                returns[row] = following
        std = float(np.std(returns[self.transitions]))
        return std if std > _LEAST_STD else 1.0

    def windows(
        self,
        rng: np.random.Generator,
        batch: int,
        length: int,
        mirror: float = 0.0,
        part: slice = slice(None),
    ) -> dict[str, Tensor]:
        """A batch of random windows for `WorldModel.loss`; a share `mirror` of them as seen in a mirror.

        Of the `batch` windows drawn only `part` is returned.

        A window that would stick out of its episode is moved inside: else the first and the last steps,
        where the goal of an episode that ends is reached, would hardly ever be drawn.
        """
        places = np.where(self.length >= length, self.length + length - 1, 0)
        episode = rng.choice(len(self.start), size=batch, p=places / places.sum())
        offset = (rng.random(batch) * places[episode]).astype(np.int64) - (length - 1)
        first = self.start[episode] + np.clip(offset, 0, self.length[episode] - length)
        # Always drawn, so that the windows do not depend on whether they are mirrored.
        flip = (rng.random(batch) < mirror)[part]
        rows = first[part, None] + np.arange(length)
        previous = np.maximum(rows - 1, 0)
        is_first = np.zeros(rows.shape, np.float32)
        is_first[:, 0] = 1.0
        image, action, before = self.image[rows], self.action[rows], self.action[previous]
        ring, landmarks = self.ring[rows], self.landmarks[rows]
        if flip.any():
            image[flip] = image[flip][:, :, :, ::-1]
            action[flip] = self.adapter.mirrored(action[flip])
            before[flip] = self.adapter.mirrored(before[flip])
            ring[flip] = np.roll(ring[flip][..., ::-1], 1, -1)
            landmarks[flip] *= np.tile(np.array([1.0, -1.0], np.float32), landmarks.shape[-1] // 2)
        return {
            "image": torch.from_numpy(image),
            "action": torch.from_numpy(action),
            "previous_action": torch.from_numpy(before),
            "ring": torch.from_numpy(ring),
            "landmarks": torch.from_numpy(landmarks),
            "reward": torch.from_numpy(self.reward[rows]),
            "cost": torch.from_numpy(self.cost[rows]),
            "cont": torch.from_numpy(self.cont[rows]),
            "imitate": torch.from_numpy(self.imitate[rows]),
            "margin": torch.from_numpy(self.margin[rows]),
            "is_first": torch.from_numpy(is_first),
        }


def load_dataset(
    directory: Path, min_length: int, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """Read a segment store. `progress(done, total)` is called per episode.

    What is damaged or is no episode of this robot is left out and listed in `Dataset.skipped`.
    Raises StoreError when there is no store or no usable episode.
    """
    reader = EpisodeReader(directory)
    adapter = _adapter(reader.manifest, directory)
    found = survey(reader, adapter, min_length)
    cameras, rows, skipped = reader.manifest.cameras, found.rows, list(found.skipped)
    # One allocation for all frames: they are gigabytes.
    image = np.empty((rows, found.height, found.width, 3 * len(cameras)), np.uint8)
    action = np.zeros((rows, adapter.action_dim), np.float32)
    reward, cost, cont = np.zeros(rows, np.float32), np.zeros(rows, np.float32), np.ones(rows, np.float32)
    imitate, margin = np.ones(rows, np.float32), np.full(rows, np.nan, np.float32)
    ring = np.full((rows, SECTORS), np.nan, np.float32)
    landmarks = np.full((rows, PLACES), np.nan, np.float32)
    start, length, metadata = [], [], []
    row = 0
    for done, (index, name) in enumerate(found.records.items(), 1):
        if progress is not None:
            progress(done, len(found.records))
        try:
            episode = reader.load(index)
            _check_columns(episode)
        except UNUSABLE as error:
            skipped.append(loss(name, error))
            continue
        steps = len(episode)
        for t in range(steps + 1):
            frames = {c: f[t] for c, f in episode.images.items()}
            image[row + t] = stack(frames, cameras, image.shape[1], image.shape[2])
        action[row : row + steps] = adapter.effective(episode.actions)
        reward[row : row + steps] = episode.rewards
        cost[row : row + steps] = episode.costs
        cont[row + steps - 1] = 0.0 if episode.terminated else 1.0
        if not _careful(episode):
            imitate[row : row + steps] = safe_in_hindsight(episode.costs)
        if SOURCE in episode.extras:
            imitate[row : row + steps] *= episode.extras[SOURCE][:steps] < NOT_A_DEMONSTRATOR
        for column in MARGINS:
            if column in episode.extras:
                margin[row : row + steps + 1] = episode.extras[column]
        for column, places in ((RING, ring), (LANDMARKS, landmarks)):
            if column in episode.extras:
                places[row : row + steps + 1] = episode.extras[column]
        start.append(row)
        length.append(steps)
        metadata.append(dict(episode.metadata))
        row += steps + 1
    if not start:
        raise StoreError(nothing_left(reader, min_length, skipped))
    return Dataset(
        image[:row],
        action[:row],
        reward[:row],
        cost[:row],
        cont[:row],
        imitate[:row],
        margin[:row],
        ring[:row],
        landmarks[:row],
        np.asarray(start, np.int64),
        np.asarray(length, np.int64),
        reader.manifest,
        adapter,
        metadata,
        tuple(skipped),
    )


def _careful(episode: Episode) -> bool:
    """Whether the driver is known to avoid costs: then also what it did just before one is worth imitating.

    It braked, or steered away, and something else had brought it there: hindsight would take just that away.
    """
    return str(episode.metadata.get("demonstrator", "")).startswith("safe")


HINDSIGHT, WAY_OUT = 10, 6
"""Periods within which a cost is blamed on an action; within which a way out of a violation must be out."""


def safe_in_hindsight(costs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(T,) whether an action is worth imitating as far as the recorded costs (T,) tell.

    No cost came within HINDSIGHT periods of it; or it was driven inside a violation that was over within
    WAY_OUT. A careless driver is so imitated up to where he becomes careless.
    """
    bad = costs > 0.0
    padded = np.concatenate([bad, np.zeros(HINDSIGHT, np.bool_)])
    ahead = np.lib.stride_tricks.sliding_window_view(padded, HINDSIGHT)[: len(bad)].any(-1)
    inside = np.concatenate([[False], bad[:-1]])
    leaves = ~padded[WAY_OUT : WAY_OUT + len(bad)]
    return np.asarray(~ahead | (inside & leaves))


def _check_columns(episode: Episode) -> None:
    """Raises StoreError where an optional column cannot be laid beside the steps or the frames."""
    steps = len(episode)
    frames = steps + 1
    fitting: dict[str, list[tuple[int, ...]]] = {SOURCE: [(steps,), (frames,)]}
    fitting |= {RING: [(frames, SECTORS)], LANDMARKS: [(frames, PLACES)]}
    fitting |= {name: [(frames,)] for name in MARGINS}
    for name, shapes in fitting.items():
        if name in episode.extras and episode.extras[name].shape not in shapes:
            raise StoreError(f"its '{name}' must be {shapes[-1]}, not {episode.extras[name].shape}")


def _adapter(manifest: Manifest, directory: Path) -> RobotAdapter:
    try:
        adapter = RobotAdapter.from_json(dict(manifest.adapter))
        broken = [sentence for sentence, holds in adapter.promises() if not holds]
    except TypeError as error:
        raise StoreError(f"{directory} names no usable robot adapter ({error}): collect again") from error
    if broken:
        raise StoreError(f"{directory} names no usable robot adapter ({broken[0]}): collect again")
    return adapter
