"""What trained networks say of held-out recordings: the driver's actions, his mishaps, the next frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safe_o2o_ros.learning.behaviour_cloning import CloneNetwork
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.pretrain import Run
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.rssm import RSSMState
from safe_o2o_ros.world_model.vision import normalise

_DRAWS = 8
"""Futures that a predicted picture is the mean of: the error that counts is squared."""
_BLOCK = 256


@dataclass(frozen=True)
class Prediction:
    """Squared errors of pictures some steps ahead, mean over pixels, on the scale of 1 = black to white."""

    model: NDArray[np.float64]
    """(M,) of the world model alone."""
    carried: NDArray[np.float64]
    """(M,) of the world model with a share of the last frame's remainder."""
    copy: NDArray[np.float64]
    """(M,) of taking the last frame for the next."""
    episode: NDArray[np.int64]
    """(M,) index of the episode of each."""


def part(dataset: Dataset, episodes: Sequence[int]) -> Dataset:
    """Some episodes of a data set, in the order given."""
    lengths = dataset.length[list(episodes)]
    rows = np.concatenate([dataset.start[e] + np.arange(dataset.length[e] + 1) for e in episodes])
    columns = ("image", "action", "reward", "cost", "cont", "imitate", "margin", "ring", "landmarks")
    return dataclasses.replace(
        dataset,
        **{name: getattr(dataset, name)[rows] for name in columns},
        start=np.concatenate([[0], np.cumsum(lengths + 1)[:-1]]).astype(np.int64),
        length=lengths,
        metadata=[dataset.metadata[e] for e in episodes],
    )


@torch.no_grad()
def actions(run: Run, dataset: Dataset) -> NDArray[np.float32]:
    """(N, A) effective actions of a run's policy at every row, along the recorded drive."""
    feature = _features(run, dataset)
    policy = run.graphs.policy
    found = [policy(feature[i : i + _BLOCK])[0][:, 0] for i in range(0, len(feature), _BLOCK)]
    return torch.cat(found).numpy()


@torch.no_grad()
def percepts(model: WorldModel, dataset: Dataset) -> NDArray[np.float32]:
    """(N, P) percept of every row: from the pictures alone, no action enters."""
    return cache_latents(model, dataset, "cpu").feature[:, model.config.dynamics :].numpy()


@torch.no_grad()
def predictions(
    model: WorldModel, dataset: Dataset, horizon: int, carry: float, stride: int = 1
) -> Prediction:
    """The frame `horizon` steps ahead of every `stride`-th row, given the actions driven in between.

    `carry`: share of what the model could not draw of the last frame that is carried over (`carried_share`).
    """
    rows = _rows(dataset, horizon)[::stride]
    errors = np.zeros((3, len(rows)))
    for block, truth, last, drawn, dreamt in _dreamt(model, dataset, rows, horizon):
        said = (dreamt, dreamt + carry * (last - drawn), last)
        errors[:, block] = [(picture - truth).square().mean((1, 2, 3)).numpy() for picture in said]
    episode = np.searchsorted(dataset.start, rows, "right") - 1
    return Prediction(errors[0], errors[1], errors[2], episode)


@torch.no_grad()
def carried_share(model: WorldModel, dataset: Dataset, horizon: int, stride: int = 8) -> float:
    """How much of the last frame that the model did not draw is still there `horizon` steps later: 0 to 1.

    Fine texture is too much for a latent. Least squares over training drives.
    """
    both = own = 0.0
    for _, truth, last, drawn, dreamt in _dreamt(model, dataset, _rows(dataset, horizon)[::stride], horizon):
        rest = last - drawn
        both += float((rest * (truth - dreamt)).sum())
        own += float(rest.square().sum())
    return float(np.clip(both / max(own, 1e-9), 0.0, 1.0))


def _dreamt(
    model: WorldModel, dataset: Dataset, rows: NDArray[np.int64], horizon: int
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
    """Blocks of rows: their place, and pictures (B, H, W, C): true, last, last as drawn, predicted."""
    feature, action = cache_latents(model, dataset, "cpu").feature, torch.from_numpy(dataset.action)
    before = torch.random.get_rng_state()
    torch.manual_seed(0)
    for first in range(0, len(rows), _BLOCK):
        part = rows[first : first + _BLOCK]
        truth = normalise(torch.from_numpy(dataset.image[part + horizon]))
        last = normalise(torch.from_numpy(dataset.image[part]))
        drawn = model.decoder(feature[part][:, : model.config.dynamics]).float()
        yield (
            slice(first, first + len(part)),
            truth,
            last,
            drawn,
            _dream(model, feature[part], action, part, horizon),
        )
    torch.random.set_rng_state(before)


@torch.no_grad()
def dreams(
    model: WorldModel, dataset: Dataset, horizon: int, count: int = 8
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Last frames, the frames `horizon` steps later, and what was predicted of them, each (K, H, W, C).

    Spread over the rows in order of how much the picture changed: from the middle to the most.
    """
    found = predictions(model, dataset, horizon, 0.0)
    order = np.argsort(found.copy, kind="stable")
    chosen = order[np.linspace(len(order) // 2, len(order) - 1, min(count, len(order))).astype(int)]
    rows = _rows(dataset, horizon)[chosen]
    feature = cache_latents(model, dataset, "cpu").feature[rows]
    dreamt = _dream(model, feature, torch.from_numpy(dataset.action), rows, horizon)
    pixels = ((dreamt + 0.5) * 255.0).round().to(torch.uint8).numpy()
    return dataset.image[rows], dataset.image[rows + horizon], pixels


def _rows(dataset: Dataset, horizon: int) -> NDArray[np.int64]:
    """Rows after which `horizon` steps of the same episode follow."""
    parts = zip(dataset.start, dataset.length, strict=True)
    return np.concatenate([np.arange(s, s + n - horizon + 1) for s, n in parts]).astype(np.int64)


def _dream(
    model: WorldModel, feature: Tensor, action: Tensor, rows: NDArray[np.int64], horizon: int
) -> Tensor:
    """(B, H, W, C) mean picture on the scale of `normalise` after `horizon` steps from features (B, F)."""
    deter, probs, _ = feature.split(model.config.parts, -1)
    shape = (model.config.groups, model.config.classes)
    logits = torch.log(probs.unflatten(-1, shape))
    total = torch.zeros(())
    for _ in range(_DRAWS):
        state = RSSMState(deter, model.rssm.sample(logits))
        for step in range(horizon):
            state, _ = model.rssm.imagine(state, action[torch.from_numpy(rows + step)])
        total = total + model.decoder(torch.cat([state.deter, state.stoch], -1)).float().clamp(-0.5, 0.5)
    return total / _DRAWS


def _features(run: Run, dataset: Dataset) -> Tensor:
    """(N, F) latents of a run's encoder along the recorded drive."""
    encoder: object = run.graphs.encoder
    if isinstance(encoder, WorldModel):
        return cache_latents(encoder, dataset, "cpu").feature
    assert isinstance(encoder, CloneNetwork)
    blocks = [
        encoder.encoder(normalise(torch.from_numpy(dataset.image[i : i + _BLOCK])))
        for i in range(0, len(dataset.image), _BLOCK)
    ]
    embedding = torch.cat(blocks)
    feature = torch.zeros(len(embedding), encoder.config.deter)
    nothing = torch.zeros(1, encoder.config.action_dim)
    for start, length in zip(dataset.start, dataset.length, strict=True):
        state = torch.zeros(1, encoder.config.deter)
        for row in range(int(start), int(start + length) + 1):
            first = torch.full((1, 1), float(row == start))
            feature[row : row + 1], state, _ = encoder.step_embedded(
                embedding[row : row + 1], nothing, state, first
            )
    return feature
