"""Convolutional encoder and decoder for stacked camera images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig


def normalise(image: Tensor) -> Tensor:
    """uint8 (..., H, W, C) to float32 on the scale [-0.5, 0.5]."""
    return image.to(torch.float32) * (1.0 / 255.0) - 0.5


def _channels_last(layers: list[nn.Module]) -> nn.Sequential:
    """The layers in sequence, in the memory layout in which convolutions are fastest on CPUs."""
    net = nn.Sequential(*layers)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


class ImageEncoder(nn.Module):
    """Normalised image (B, H, W, C) -> embedding (B, E)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = config.channels
        for i in range(4):
            outputs = config.depth * 2**i
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.SiLU()]
            inputs = outputs
        self.net = _channels_last(layers)
        self.size = inputs * (config.image_size // 16) ** 2

    def forward(self, image: Tensor) -> Tensor:
        """Embedding (B, E) float, of what `normalise` returns."""
        # NHWC permuted is channels_last already: no copy.
        return self.net(image.permute(0, 3, 1, 2)).flatten(1)


class ImageDecoder(nn.Module):
    """feature (B, F) -> image (B, H, W, C) float, on the scale [-0.5, 0.5]."""

    def __init__(self, config: ModelConfig, inputs: int) -> None:
        super().__init__()
        self.side = config.image_size // 16
        self.depth = config.depth * 8
        self.project = nn.Linear(inputs, self.depth * self.side**2)
        layers: list[nn.Module] = []
        width = self.depth
        for outputs in (config.depth * 4, config.depth * 2, config.depth):
            layers += [nn.SiLU(), nn.ConvTranspose2d(width, outputs, 4, stride=2, padding=1)]
            width = outputs
        layers += [nn.SiLU(), nn.ConvTranspose2d(width, config.channels, 4, stride=2, padding=1)]
        self.net = _channels_last(layers)

    def forward(self, feature: Tensor) -> Tensor:
        """Reconstruction (B, H, W, C)."""
        x = self.project(feature).view(-1, self.depth, self.side, self.side)
        x = x.contiguous(memory_format=torch.channels_last)
        return self.net(x).permute(0, 2, 3, 1)
