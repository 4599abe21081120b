"""Small building blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLP(nn.Sequential):
    """Linear - LayerNorm - SiLU blocks and a linear output.

    `zero_output` starts the output at zero, so that an untrained head predicts its prior.
    """

    def __init__(self, inputs: int, outputs: int, units: int, layers: int, zero_output: bool = False) -> None:
        blocks: list[nn.Module] = []
        for _ in range(layers):
            blocks += [nn.Linear(inputs, units), nn.LayerNorm(units), nn.SiLU()]
            inputs = units
        last = nn.Linear(inputs, outputs)
        if zero_output:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        super().__init__(*blocks, last)


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|) (DreamerV3)."""
    return torch.sign(x) * torch.log1p(torch.abs(x))


def symexp(x: Tensor) -> Tensor:
    """Inverse of `symlog`."""
    return torch.sign(x) * torch.expm1(torch.abs(x))
