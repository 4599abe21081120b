"""Recorded driving in DubinsAvoid, in the same store that robots record into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros
from safe_o2o_ros.data import Episode, EpisodeWriter
from safe_o2o_ros.data.store import Manifest
from safe_o2o_ros.sim.exact import dubins
from safe_o2o_ros.sim.exact.dubins_picture import CAMERA, draw

TASK = "DubinsAvoid"
STEPS = 4
"""Control periods of an episode: short, since every state is asked for alone."""
LONG_STEPS = 50
"""Of the first episode: ONNX Runtime and torch are compared over as many."""
_LEVELS = (-1.0, 0.0, 1.0)
_AT_ANY_RATE = 0.25
"""Share of the actions that are drawn from all turn rates, not from _LEVELS."""
_BLOCK = 500


def record(
    directory: Path, episodes: int, first_seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Drive `episodes` episodes at random, from starts spread evenly over the domain, into a new store."""
    manifest = Manifest(
        task=TASK,
        cameras=(CAMERA,),
        adapter=dubins.ADAPTER.to_json(),
        period_s=dubins.PERIOD_S,
        action_repeat=1,
        version=safe_o2o_ros.__version__,
        command="safe-o2o bench reachability --train",
        seeds=(first_seed, first_seed + episodes - 1),
    )
    with EpisodeWriter(directory, manifest) as writer:
        for block in range(0, episodes, _BLOCK):
            seeds = range(first_seed + block, first_seed + min(block + _BLOCK, episodes))
            long = 0 if block else 1
            for episode in [*_drive(seeds[:long], LONG_STEPS), *_drive(seeds[long:], STEPS)]:
                writer.append(episode)
            if progress is not None:
                progress(min(block + _BLOCK, episodes), episodes)


def starts(seeds: range) -> NDArray[np.float64]:
    """(N, 3) one state for each seed, evenly spread over the domain and all headings."""
    low = np.array([-dubins.HALF_WIDTH, -dubins.HALF_WIDTH, 0.0])
    high = np.array([dubins.HALF_WIDTH, dubins.HALF_WIDTH, 2.0 * np.pi])
    return np.stack([np.random.default_rng([s, 11]).uniform(low, high) for s in seeds])


def _drive(seeds: range, steps: int) -> list[Episode]:
    if not len(seeds):
        return []
    states, actions = [starts(seeds)], []
    for t in range(steps):
        rngs = [np.random.default_rng([s, 12, t]) for s in seeds]
        turn = np.array([_action(rng) for rng in rngs])
        actions.append(turn)
        states.append(dubins.step(states[-1], turn))
    frames = np.stack([draw(s) for s in states], axis=1)
    path = np.stack(states, axis=1)
    return [
        _episode(seed, frames[i], path[i], np.array([a[i] for a in actions])) for i, seed in enumerate(seeds)
    ]


def _action(rng: np.random.Generator) -> float:
    return float(rng.uniform(-1.0, 1.0) if rng.random() < _AT_ANY_RATE else rng.choice(_LEVELS))


def _episode(
    seed: int, frames: NDArray[np.uint8], path: NDArray[np.float64], turn: NDArray[np.float64]
) -> Episode:
    margin = dubins.margin(path).astype(np.float32)
    hazard = dubins.hazard_in_base(path).astype(np.float32)
    return Episode(
        images={CAMERA: frames},
        actions=turn[:, None].astype(np.float32),
        rewards=np.zeros(len(turn), np.float32),
        costs=(margin[1:] <= 0.0).astype(np.float32),
        terminated=False,
        truncated=True,
        metadata={"task": TASK, "seed": seed, "demonstrator": "random", "period_s": dubins.PERIOD_S},
        extras={
            "clearance": margin,
            # The one thing there is stands where a goal stands elsewhere: the percept learns its place.
            "landmarks": np.concatenate([hazard, np.full_like(hazard, np.nan)], axis=-1),
        },
    )
