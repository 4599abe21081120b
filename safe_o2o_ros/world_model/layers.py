"""Small building blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


def of_each(net: nn.Sequential, shared: Tensor, each: Tensor) -> Tensor:
    """(B, K, O): an MLP's output for inputs [shared (B, S), each (B, K, E)]; S meets the first layer once.

    What is shared is most of the width: for 256 commands this is a fifth of the arithmetic.
    """
    first = net[0]
    assert isinstance(first, nn.Linear)
    width = shared.shape[-1]
    x = F.linear(shared, first.weight[:, :width], first.bias).unsqueeze(1)
    x = x + F.linear(each, first.weight[:, width:])
    for layer in list(net)[1:]:
        x = layer(x)
    return x


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|) (DreamerV3)."""
    return torch.sign(x) * torch.log1p(torch.abs(x))


def symexp(x: Tensor) -> Tensor:
    """Inverse of `symlog`."""
    return torch.sign(x) * torch.expm1(torch.abs(x))
