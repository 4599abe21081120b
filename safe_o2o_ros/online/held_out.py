"""The robot's own held-out episodes, which no learner ever sees: what candidates are judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bundle import ENCODER, Bundle
from safe_o2o_ros.data import Episode, EpisodeReader
from safe_o2o_ros.errors import BundleMismatchError, StoreError
from safe_o2o_ros.perception.preprocess import stack

ALLOWED, DRIVER = "filter_threshold", "driver"
"""Keys of an episode's metadata: risk threshold of the filter that drove; who asked, "own" = the policy."""


@dataclass(frozen=True)
class Heard:
    """One held-out episode of T steps as a bundle's encoder sees it."""

    latent: NDArray[np.float32]
    """(T, N) of the frames before the steps."""
    surprise: NDArray[np.float32]
    """(T,) nats."""
    action: NDArray[np.float32]
    """(T, A) effective, executed."""
    reward: NDArray[np.float32]
    """(T,)"""
    cost: NDArray[np.float32]
    """(T,)"""
    allowed: float
    """Risk threshold of the filter that drove; 1 where there was none."""
    own: bool
    """The running policy drove, not a demonstrator or an operator."""
    terminated: bool
    """The task itself ended the episode: nothing more would have been earned."""


def hear(store: Path, bundle: Bundle, lanes: int = 16) -> list[Heard]:
    """All episodes of the store through `bundle`'s encoder.

    Raises StoreError where there is no usable episode, BundleMismatchError on other cameras or another robot.
    """
    reader = EpisodeReader(store)
    manifest = bundle.manifest
    if set(manifest.image.cameras) - set(reader.manifest.cameras):
        raise BundleMismatchError(
            f"the held-out episodes in {store} lack cameras of {bundle.version}: record them with "
            f"{', '.join(manifest.image.cameras)}"
        )
    heard: list[Heard] = []
    block: list[Episode] = []
    for episode in reader:
        block.append(episode)
        if len(block) == lanes:
            heard += _through(block, bundle)
            block = []
    heard += _through(block, bundle) if block else []
    if not heard:
        raise StoreError(f"{store} holds no usable held-out episode: record some with the robot")
    return heard


def _through(episodes: Sequence[Episode], bundle: Bundle) -> list[Heard]:
    manifest, network = bundle.manifest, bundle.networks[ENCODER]
    spec, adapter = manifest.image, manifest.adapter
    actions = [adapter.effective(e.actions) for e in episodes]
    longest = max(len(e) for e in episodes)
    state = np.zeros((len(episodes), manifest.latent.state_size), np.float32)
    latent = [np.zeros((len(e), manifest.latent.size), np.float32) for e in episodes]
    surprise = [np.zeros(len(e), np.float32) for e in episodes]
    for t in range(longest):
        alive = [k for k, e in enumerate(episodes) if t < len(e)]
        frames = [
            stack({c: f[t] for c, f in episodes[k].images.items()}, spec.cameras, spec.height, spec.width)
            for k in alive
        ]
        out = network.run(
            {
                "image": np.stack(frames),
                "action": np.stack([actions[k][max(t - 1, 0)] for k in alive]),
                "state": state[alive],
                "is_first": np.full((len(alive), 1), float(t == 0), np.float32),
            }
        )
        for row, k in enumerate(alive):
            latent[k][t], surprise[k][t] = out["latent"][row], out["surprise"][row, 0]
        state[alive] = out["next_state"]
    return [
        Heard(
            latent[k],
            surprise[k],
            actions[k],
            e.rewards,
            e.costs,
            float(e.metadata.get(ALLOWED, 1.0)),
            e.metadata.get(DRIVER) == "own",
            e.terminated,
        )
        for k, e in enumerate(episodes)
    ]
