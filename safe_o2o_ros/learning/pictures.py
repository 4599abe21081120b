"""Pictures of what the world model sees and expects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.rssm import RSSMState


@torch.no_grad()
def save_reconstructions(
    model: WorldModel, dataset: Dataset, path: Path, columns: int = 8, seed: int = 0
) -> None:
    """PNG with three rows per camera: recorded, reconstructed, predicted open loop from the first third."""
    import cv2

    rng = np.random.default_rng(seed)
    episode = int(rng.integers(len(dataset.start)))
    count = min(24, int(dataset.length[episode]))
    rows = dataset.start[episode] + np.arange(count)
    seen = count // 3
    state = torch.zeros(1, model.config.state)
    rebuilt, predicted = [], []
    dream: RSSMState | None = None
    for t, row in enumerate(rows):
        action = torch.from_numpy(dataset.action[max(row - 1, 0)])[None]
        image = torch.from_numpy(dataset.image[row : row + 1])
        feature, state, _ = model.step(image, action, state, torch.full((1, 1), float(t == 0)))
        rebuilt.append(model.decode(feature)[0].numpy())
        if t < seen:
            deter, stoch, _ = state.split(model.config.parts, -1)
            dream = RSSMState(deter, stoch)
            predicted.append(rebuilt[-1])
        else:
            assert dream is not None
            deter = model.rssm.recur(dream, action)
            dream = RSSMState(deter, model.rssm.mode(model.rssm.prior(deter)))
            predicted.append(model.decode(torch.cat([dream.deter, dream.stoch], -1))[0].numpy())
    picked = np.linspace(0, count - 1, columns).astype(int)
    lines = []
    for camera in range(model.config.channels // 3):
        part = slice(3 * camera, 3 * camera + 3)
        for source in (dataset.image[rows], np.stack(rebuilt), np.stack(predicted)):
            lines.append(np.concatenate([source[i][..., part] for i in picked], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.concatenate(lines, axis=0)[..., ::-1]
    cv2.imwrite(str(path), np.repeat(np.repeat(sheet, 2, 0), 2, 1))
