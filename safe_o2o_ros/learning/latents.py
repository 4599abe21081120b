"""The data set seen through the deployed recurrence: latents cached once, no convolutions after."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.vision import normalise


@torch.no_grad()
def cache_latents(
    model: WorldModel, dataset: Dataset, device: str, block: int = 256
) -> tuple[Tensor, Tensor]:
    """Features (N, F) and surprise (N,), float32, one row per row of the data set.

    All episodes advance side by side, so that critics and actor train on exactly what the encoder
    node will publish.
    """
    embeddings = torch.empty(len(dataset.image), model.encoder.size)
    for first in range(0, len(dataset.image), block):
        images = torch.from_numpy(dataset.image[first : first + block]).to(device)
        embeddings[first : first + block] = model.encoder(normalise(images)).cpu()
    episodes, longest = len(dataset.start), int(dataset.length.max()) + 1
    features = torch.zeros(len(dataset.image), model.config.feature)
    surprises = torch.zeros(len(dataset.image))
    state = torch.zeros(episodes, model.config.state, device=device)
    for t in range(longest):
        alive = np.flatnonzero(dataset.length + 1 > t)
        rows = torch.from_numpy(dataset.start[alive] + t)
        action = torch.from_numpy(dataset.action)[torch.clamp(rows - 1, min=0)].to(device)
        first_step = torch.full((len(alive), 1), float(t == 0), device=device)
        chosen = torch.from_numpy(alive).to(device)
        feature, following, surprise = model.step_embedded(
            embeddings[rows].to(device), action, state[chosen], first_step
        )
        state[chosen] = following
        features[rows], surprises[rows] = feature.cpu(), surprise.squeeze(-1).cpu()
    return features, surprises
