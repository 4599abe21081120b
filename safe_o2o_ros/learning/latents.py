"""The data set seen through the deployed recurrence: latents cached once, no convolutions after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.vision import normalise


@dataclass(frozen=True)
class Latents:
    """What the encoder would have published for every row of a data set."""

    feature: Tensor
    """(N, F) float32."""
    scrambled: Tensor
    """(N, F) float32: the same step computed with the previous action of a random other row."""
    surprise: Tensor
    """(N,) float32, nats."""


@torch.no_grad()
def cache_latents(
    model: WorldModel, dataset: Dataset, device: str, seed: int = 0, block: int = 256
) -> Latents:
    """Latents of all rows; all episodes advance side by side.

    Critics and actor so train on exactly what the encoder node will publish.
    """
    embeddings = torch.empty(len(dataset.image), model.encoder.size)
    for first in range(0, len(dataset.image), block):
        images = torch.from_numpy(dataset.image[first : first + block]).to(device)
        embeddings[first : first + block] = model.encoder(normalise(images)).cpu()
    rng = np.random.default_rng(seed)
    actions = torch.from_numpy(dataset.action)
    others = torch.from_numpy(rng.choice(dataset.transitions, len(dataset.image)))
    episodes, longest = len(dataset.start), int(dataset.length.max()) + 1
    features = torch.zeros(len(dataset.image), model.config.feature)
    scrambled, surprises = torch.zeros_like(features), torch.zeros(len(features))
    state = torch.zeros(episodes, model.config.state, device=device)
    for t in range(longest):
        alive = np.flatnonzero(dataset.length + 1 > t)
        rows = torch.from_numpy(dataset.start[alive] + t)
        first_step = torch.full((len(alive), 1), float(t == 0), device=device)
        chosen = torch.from_numpy(alive).to(device)
        embedding, before = embeddings[rows].to(device), state[chosen]
        executed = actions[torch.clamp(rows - 1, min=0)].to(device)
        other = actions[others[rows]].to(device)
        scrambled[rows] = model.step_embedded(embedding, other, before, first_step)[0].cpu()
        feature, following, surprise = model.step_embedded(embedding, executed, before, first_step)
        state[chosen] = following
        features[rows], surprises[rows] = feature.cpu(), surprise.squeeze(-1).cpu()
    return Latents(features, scrambled, surprises)
