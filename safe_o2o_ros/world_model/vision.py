"""Convolutional encoder and decoder for stacked camera images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.config import ModelConfig


def normalise(image: Tensor) -> Tensor:
    """uint8 (..., H, W, C) to float32 on the scale [-0.5, 0.5]."""
    # In place: of a whole batch each copy is 50 MB.
    return image.to(torch.float32).mul_(1.0 / 255.0).sub_(0.5)


def _channels_last(layers: list[nn.Module]) -> nn.Sequential:
    """The layers in sequence, in the memory layout in which convolutions are fastest on CPUs."""
    net = nn.Sequential(*layers)
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


_STRIDE, _PADDING, _DILATION, _NO_PADDING = [2, 2], [1, 1], [1, 1], [0, 0]


class _Transposed(torch.autograd.Function):
    """Transposed convolution, kernel 4, stride 2, padding 1, whose bias gradient is a plain sum.

    oneDNN needs longer for that sum than for the gradients of the input and the weight together.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return nn.functional.conv_transpose2d(x, weight, bias, _STRIDE, _PADDING)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        given = gradients[0].contiguous(memory_format=torch.channels_last)
        to_x, to_weight, _ = torch.ops.aten.convolution_backward(
            given, x, weight, None, _STRIDE, _PADDING, _DILATION, True, _NO_PADDING, 1, [True, True, False]
        )
        return to_x, to_weight, given.sum((0, 2, 3))


class _Deconvolution(nn.ConvTranspose2d):
    """(B, C, H, W) -> (B, C', 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """See the class."""
        assert output_size is None and self.bias is not None
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        return _Transposed.apply(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype))  # type: ignore[no-untyped-call]


class _SquaredError(torch.autograd.Function):
    """Sum of (prediction - target)^2 in float32; no gradient for the target.

    As one step: apart, every pass over a batch of images in float32 moves 100 MB.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor) -> Tensor:
        error = prediction.to(torch.float32, copy=True).sub_(target)
        ctx.save_for_backward(error.to(prediction.dtype))
        return torch.dot(error.flatten(), error.flatten())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (error,) = ctx.saved_tensors
        return error * (2.0 * gradients[0].to(error.dtype)), None


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum of squared differences, float32, of a prediction in any precision and a float32 target."""
    return _SquaredError.apply(prediction, target)  # type: ignore[no-untyped-call]


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
            layers += [nn.SiLU(), _Deconvolution(width, outputs)]
            width = outputs
        layers += [nn.SiLU(), _Deconvolution(width, config.channels)]
        self.net = _channels_last(layers)

    def forward(self, feature: Tensor) -> Tensor:
        """Reconstruction (B, H, W, C)."""
        x = self.project(feature).view(-1, self.depth, self.side, self.side)
        x = x.contiguous(memory_format=torch.channels_last)
        return self.net(x).permute(0, 2, 3, 1)


@contextlib.contextmanager
def compiled_convolutions(model: nn.Module) -> Iterator[None]:
    """Run the encoders and decoders in `model` through torch.compile for the time of the block.

    Names and values of the weights stay. Afterwards they run as before, since what is exported is traced.
    """
    parts = [part for part in model.modules() if isinstance(part, ImageEncoder | ImageDecoder)]
    for part in parts:
        part.compile()
    try:
        yield
    finally:
        for part in parts:
            part._compiled_call_impl = None
