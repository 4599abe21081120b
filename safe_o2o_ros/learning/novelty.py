"""What is ordinary: fitted to the training pictures, and asked of others for calibration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.novelty import Novelty
from safe_o2o_ros.world_model.vision import normalise

MOST_PICTURES = 12_000
"""As many say what is ordinary; more change nothing and cost time."""
_BLOCK = 256


@torch.no_grad()
def fit_novelty(model: WorldModel, dataset: Dataset, seed: int) -> Novelty:
    """Fitted to pictures drawn from all episodes; `model` is as it will be deployed, its weights rounded."""
    inputs = model.percept.inputs[0]
    novelty = Novelty(model.config.channels, inputs, model.config.units)
    rows = np.arange(len(dataset.image))
    if len(rows) > MOST_PICTURES:
        rows = np.sort(np.random.default_rng((seed, 6)).choice(rows, MOST_PICTURES, replace=False))
    novelty.fit(torch.cat([novelty.look(*seen) for seen in _seen(model, dataset, rows)]))
    return novelty


@torch.no_grad()
def picture_distances(model: WorldModel, novelty: Novelty, dataset: Dataset) -> NDArray[np.float32]:
    """(N,) float32: distance of every row's picture from those of training."""
    rows = np.arange(len(dataset.image))
    return torch.cat([novelty(*seen) for seen in _seen(model, dataset, rows)])[:, 0].numpy()


def _seen(model: WorldModel, dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised pictures and their embeddings, block by block."""
    for first in range(0, len(rows), _BLOCK):
        image = normalise(torch.from_numpy(dataset.image[rows[first : first + _BLOCK]]))
        yield image, model.encoder(image)
