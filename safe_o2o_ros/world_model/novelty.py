"""How unlike the training pictures a picture is.

Two instruments beside the model's surprise, which a drifting latent talks itself out of:

* the Mahalanobis distance, to the frames of the training data, of plain statistics of the picture (colour,
  contrast, sharpness, hues) together with what the percept reads from it. The statistics see what
  convolutions were trained to ignore (blur, dim light), the percept sees what is in the wrong place;
* equality with the picture before: a camera that repeats itself while the robot was told to move.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

HUES = 12
"""Directions on the colour circle."""
_SHARPEN = 3
"""A colour counts for a hue with cos^(2^this) of the angle between them."""
_TINY = 1e-5
_LEAST_DEVIATION = 3e-3
"""What varied less in training is not known more exactly: rounding would look novel."""
_THUMB = 4
"""Side of the thumbnails by which two pictures are compared."""
_SAME = 1e-6
"""Blocks of pictures that differ by less are equal: runtimes round differently."""
MOVING = 0.05
"""Effective action beyond which the picture must change."""


class PictureStatistics(nn.Module):
    """Normalised picture (B, H, W, C) -> statistics (B, S) of every channel and every camera."""

    to_plane: Tensor
    axes: Tensor

    def __init__(self, channels: int) -> None:
        """`channels`: 3 for each camera."""
        super().__init__()
        self.size = 4 * channels + HUES * (channels // 3)
        # RGB to the plane of colours: what is grey lies at its origin.
        plane = [[2.0, 0.0], [-1.0, math.sqrt(3.0)], [-1.0, -math.sqrt(3.0)]]
        self.register_buffer("to_plane", torch.tensor(plane) / 3.0)
        angles = torch.arange(HUES) * (2.0 * math.pi / HUES)
        self.register_buffer("axes", torch.stack([torch.cos(angles), torch.sin(angles)]))

    def forward(self, image: Tensor) -> Tensor:
        """Means, deviations, log energies of first and second differences, log amounts of each hue."""
        b, h, w, c = image.shape
        mean = image.mean((1, 2))
        deviation = (image - mean[:, None, None]).square().mean((1, 2)).sqrt()
        across, down = image[:, :, 1:] - image[:, :, :-1], image[:, 1:] - image[:, :-1]
        first = across.square().mean((1, 2)) + down.square().mean((1, 2))
        bend, sag = across[:, :, 1:] - across[:, :, :-1], down[:, 1:] - down[:, :-1]
        second = bend.square().mean((1, 2)) + sag.square().mean((1, 2))
        plane = image.reshape(b, h * w, c // 3, 3) @ self.to_plane
        # Not sqrt(x + tiny): ONNX Runtime rewrites that, and divides grey by zero.
        chroma = plane.square().sum(-1, keepdim=True).sqrt().clamp(min=_TINY)
        near = torch.relu((plane / chroma) @ self.axes)
        for _ in range(_SHARPEN):
            near = near.square()
        hues = (chroma * near).mean(1).flatten(1)
        return torch.cat(
            [mean, deviation, torch.log(first + _TINY), torch.log(second + _TINY), torch.log(hues + 1e-3)], 1
        )


class Novelty(nn.Module):
    """(normalised picture, what the percept reads from it) -> distance to the training pictures.

    1 is the root mean square over the pictures it was fitted to.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, inputs: nn.Module, width: int) -> None:
        """`inputs`: image embedding -> (B, `width`), already trained; shared, not copied."""
        super().__init__()
        self.statistics, self.inputs = PictureStatistics(channels), inputs
        size = self.statistics.size + width
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        # A parameter, so that it is rounded and stored like the weights.
        self.whiten = nn.Parameter(torch.eye(size), requires_grad=False)

    def look(self, image: Tensor, embedding: Tensor) -> Tensor:
        """What is measured of pictures (B, H, W, C) with embeddings (B, E): (B, D)."""
        return torch.cat([self.statistics(image), self.inputs(embedding).float()], 1)

    def fit(self, looks: Tensor, ridge: float = 1e-4) -> None:
        """Take the pictures with the looks (N, D) for ordinary.

        `ridge` is added to the variance of every direction of the standardised looks, more of it where
        there are few pictures for so many directions.
        """
        looks = looks.double()
        self.mean.copy_(looks.mean(0))
        self.deviation.copy_(looks.std(0, correction=0).clamp(min=_LEAST_DEVIATION))
        scaled = (looks - self.mean.double()) / self.deviation.double()
        count, size = scaled.shape
        ridge = max(ridge, 0.1 * size / count) if count < 20 * size else ridge
        value, vector = torch.linalg.eigh(scaled.T @ scaled / count)
        self.whiten.copy_(vector / (value.clamp(min=0.0) + ridge).sqrt())

    def forward(self, image: Tensor, embedding: Tensor) -> Tensor:
        """Distances (B, 1)."""
        scaled = (self.look(image, embedding) - self.mean) / self.deviation
        return (scaled @ self.whiten).square().mean(1, keepdim=True).sqrt()


class Repeats(nn.Module):
    """Whether a camera shows the picture of the step before again, although the robot was moved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.cameras = channels // 3
        self.size = channels * _THUMB**2
        """Numbers to carry from step to step."""

    def thumbnails(self, image: Tensor) -> Tensor:
        """(B, size): block means of normalised pictures (B, H, W, C), camera by camera."""
        b, h, w, _ = image.shape
        blocks = image.reshape(b, _THUMB, h // _THUMB, _THUMB, w // _THUMB, self.cameras, 3).mean((2, 4))
        return blocks.permute(0, 3, 1, 2, 4).flatten(1)

    def forward(self, thumbnails: Tensor, before: Tensor, action: Tensor) -> Tensor:
        """(B, 1) in {0, 1}; `before`: the thumbnails of the last step, `action` (B, A) effective since."""
        apart = (thumbnails - before).abs().unflatten(1, (self.cameras, -1)).amax(-1)
        repeated = apart.amin(1, keepdim=True) <= _SAME
        moved = action.abs().amax(1, keepdim=True) > MOVING
        return (repeated & moved).to(thumbnails.dtype)
