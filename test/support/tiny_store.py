"""A segment store of synthetic episodes: a blob that actions push about, a cost where it is near the edge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from safe_o2o_ros.data import Episode, EpisodeWriter, Manifest
from safe_o2o_ros.robot import POINT

CAMERAS = ("front", "back")


def manifest(seeds: tuple[int, int] = (0, 3)) -> Manifest:
    """Provenance of the synthetic data."""
    return Manifest(
        task="PointGoal1",
        cameras=CAMERAS,
        adapter=POINT.to_json(),
        period_s=0.08,
        action_repeat=4,
        version="0",
        command="test",
        seeds=seeds,
    )


def make_episode(steps: int, seed: int, terminated: bool = False) -> Episode:
    """`steps` steps of 64 x 64 images; ends by its time limit unless `terminated`."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1.0, 1.0, (steps, 2)).astype(np.float32)
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(6.0 * actions, axis=0)])
    path = 32.0 + 24.0 * np.sin(path / 24.0)
    rows, columns = np.mgrid[0:64, 0:64]
    distance = np.hypot(rows[None] - path[:, 0, None, None], columns[None] - path[:, 1, None, None])
    blob = np.where(distance < 8.0, 220, 40).astype(np.uint8)
    front = np.stack([blob, np.full_like(blob, 90), 255 - blob], -1)
    return Episode(
        images={"front": front, "back": front[:, ::-1].copy()},
        actions=actions,
        rewards=(0.1 * actions[:, 0]).astype(np.float32),
        costs=(path[1:, 0] > 52.0).astype(np.float32),
        terminated=terminated,
        truncated=not terminated,
        metadata={"seed": seed},
    )


def write_tiny_store(directory: Path, lengths: Sequence[int] = (60, 20, 20, 20), first_seed: int = 0) -> None:
    """One episode per length, with consecutive seeds; the second one ends by termination."""
    seeds = (first_seed, first_seed + len(lengths) - 1)
    with EpisodeWriter(directory, manifest(seeds)) as writer:
        for i, steps in enumerate(lengths):
            writer.append(make_episode(steps, first_seed + i, terminated=i == 1))
