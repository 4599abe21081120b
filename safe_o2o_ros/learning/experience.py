"""Transitions as the frozen encoder sees them: recorded ones and, growing beside them, the robot's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safe_o2o_ros.bundle import ENCODER, POLICY, Bundle
from safe_o2o_ros.data import Episode
from safe_o2o_ros.learning.dataset import MARGINS
from safe_o2o_ros.perception.preprocess import stack

LANES = 16
"""Episodes that go through the encoder side by side."""


@dataclass(frozen=True)
class Seen:
    """One episode of T steps, or a piece of one."""

    feature: Tensor
    """(T + 1, F) float32."""
    scrambled: Tensor
    """(T + 1, F): the same with a wrong previous action, or `feature` itself where no actor looks at it."""
    offline: Tensor
    """(T + 1, A) effective action of the frozen offline actor."""
    action: Tensor
    """(T, A) effective, executed."""
    reward: Tensor
    """(T,)"""
    cost: Tensor
    cont: Tensor
    """(T,) 0 where the step terminated the episode."""
    margin: Tensor
    """(T + 1,) metres from what costs; NaN where nobody measured it."""


class EpisodeEncoder:
    """Episodes through a bundle's encoder.onnx and its offline actor, exactly as the graph runs them."""

    def __init__(self, bundle: Bundle, feature: int, scramble: bool, seed: int = 0) -> None:
        """`bundle` must have been loaded with encoder and policy; `feature`: width of what critics see.

        `scramble`: also compute latents with wrong previous actions.
        """
        self.bundle, self._feature, self._scramble = bundle, feature, scramble
        self._rng = np.random.default_rng((seed, 5))

    def encode(self, episodes: Iterable[Episode]) -> Iterator[Seen]:
        """In the same order; LANES episodes are in memory at a time."""
        block: list[Episode] = []
        for episode in episodes:
            block.append(episode)
            if len(block) == LANES:
                yield from self._block(block)
                block = []
        if block:
            yield from self._block(block)

    def latents(self, images: Sequence[NDArray[np.uint8]], actions: Sequence[NDArray[np.float32]]) -> _Lanes:
        """Latents of lanes with frames (T + 1, H, W, C) and effective actions (T, A)."""
        network, manifest = self.bundle.networks[ENCODER], self.bundle.manifest
        count, longest = len(images), max(len(i) for i in images)
        state = np.zeros((count, manifest.latent.state_size), np.float32)
        latent = [np.zeros((len(i), manifest.latent.size), np.float32) for i in images]
        wrong = [np.zeros_like(x) for x in latent] if self._scramble else latent
        pool = np.concatenate(actions)
        for t in range(longest):
            alive = [k for k in range(count) if t < len(images[k])]
            inputs = {
                "image": np.stack([images[k][t] for k in alive]),
                "action": np.stack([actions[k][max(t - 1, 0)] for k in alive]),
                "state": state[alive],
                "is_first": np.full((len(alive), 1), float(t == 0), np.float32),
            }
            out = network.run(inputs)
            if self._scramble:
                others = {**inputs, "action": pool[self._rng.integers(len(pool), size=len(alive))]}
                scrambled = network.run(others)["latent"]
            for row, k in enumerate(alive):
                latent[k][t] = out["latent"][row]
                if self._scramble:
                    wrong[k][t] = scrambled[row]
            state[alive] = out["next_state"]
        return _Lanes(latent, wrong)

    def _block(self, episodes: Sequence[Episode]) -> Iterator[Seen]:
        manifest = self.bundle.manifest
        spec, adapter = manifest.image, manifest.adapter
        actions = [adapter.effective(e.actions) for e in episodes]
        images = [
            np.stack(
                [
                    stack({c: f[t] for c, f in e.images.items()}, spec.cameras, spec.height, spec.width)
                    for t in range(len(e) + 1)
                ]
            )
            for e in episodes
        ]
        lanes = self.latents(images, actions)
        for k, episode in enumerate(episodes):
            offline = self.bundle.networks[POLICY].run({"latent": lanes.latent[k]})["actions"][:, 0]
            cont = np.ones(len(episode), np.float32)
            cont[-1] = 0.0 if episode.terminated else 1.0
            margin = np.full(len(episode) + 1, np.nan, np.float32)
            for column in MARGINS:
                if column in episode.extras:
                    margin = np.asarray(episode.extras[column], np.float32)
            feature = torch.from_numpy(lanes.latent[k][:, : self._feature].copy())
            yield Seen(
                feature,
                torch.from_numpy(lanes.scrambled[k][:, : self._feature].copy())
                if self._scramble
                else feature,
                torch.from_numpy(offline.copy()),
                torch.from_numpy(actions[k]),
                torch.from_numpy(episode.rewards),
                torch.from_numpy(episode.costs),
                torch.from_numpy(cont),
                torch.from_numpy(margin),
            )


@dataclass(frozen=True)
class _Lanes:
    latent: list[NDArray[np.float32]]
    scrambled: list[NDArray[np.float32]]


class Pool:
    """Episodes end to end, the oldest dropped when there are too many steps."""

    def __init__(self, most_steps: int = 200_000) -> None:
        self._episodes: list[Seen] = []
        self._most = most_steps
        self.steps = 0
        self._flat: dict[str, Tensor] = {}

    def add(self, episode: Seen) -> None:
        """Take one in."""
        self._episodes.append(episode)
        self.steps += len(episode.action)
        while self.steps > self._most and len(self._episodes) > 1:
            self.steps -= len(self._episodes.pop(0).action)
        self._flat = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._episodes, self.steps, self._flat = [], 0, {}

    def draw(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Transitions by number, 0 .. steps - 1; names as `Transitions.draw` has them, and `offline_next`."""
        flat = self._flat or self._flatten()
        index = torch.from_numpy(rows)
        here, after = flat["row"][index], flat["row"][index] + 1
        return {
            "feature": flat["feature"][here],
            "scrambled": flat["scrambled"][here],
            "action": flat["action"][index],
            "reward": flat["reward"][index],
            "cost": flat["cost"][index],
            "cont": flat["cont"][index],
            "margin": flat["margin"][after],
            "margin_here": flat["margin"][here],
            "next": flat["feature"][after],
            "offline_next": flat["offline"][after],
        }

    def _flatten(self) -> dict[str, Tensor]:
        frames = ("feature", "scrambled", "offline", "margin")
        names = (*frames, "action", "reward", "cost", "cont")
        flat = {n: torch.cat([getattr(e, n) for e in self._episodes]) for n in names}
        rows, first = [], 0
        for episode in self._episodes:
            rows.append(torch.arange(first, first + len(episode.action)))
            first += len(episode.action) + 1
        self._flat = {**flat, "row": torch.cat(rows)}
        return self._flat


class Replay:
    """Batches of recorded and of the robot's own transitions, mixed."""

    def __init__(self, recorded: Pool, own: Pool, share: float) -> None:
        """`share`: of a batch that is the robot's own, once there is any."""
        self.recorded, self.own, self.share = recorded, own, share

    def draw(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> dict[str, Tensor]:
        """A batch; all of one kind while there is none of the other."""
        mine = round(batch * self.share) if self.own.steps else 0
        mine = batch if not self.recorded.steps else mine
        parts = [
            pool.draw(rng.integers(pool.steps, size=count))
            for pool, count in ((self.recorded, batch - mine), (self.own, mine))
            if count
        ]
        return {name: torch.cat([p[name] for p in parts])[part] for name in parts[0]}
