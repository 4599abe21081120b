"""Linear maps inside a recurrence, with the gradient of their weights computed once for all steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class StepLinear:
    """x (B, I) -> x W^T (+ b) (B, O), made once per pass over a sequence and called at every step.

    Autograd alone would form the weight's gradient at every step from the few rows of a batch and add up
    one full-size matrix per step: more memory traffic than arithmetic. Here the steps only pass on the
    gradient of x, and one product over the rows of all steps forms the weight's.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """`weight` (O, I), `bias` (O,); computed in the autocast type where autocast is on."""
        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        self.weight = weight.detach().to(dtype).contiguous()
        self.bias = bias
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self._token = _Gather.apply(weight, self)  # type: ignore[no-untyped-call]

    def __call__(self, x: Tensor) -> Tensor:
        """One step."""
        y = _Step.apply(x, self._token, self)  # type: ignore[no-untyped-call]
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Gather(torch.autograd.Function):
    """Its output is an input of every step, so its backward runs after all of theirs."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: StepLinear) -> Tensor:
        ctx.steps, ctx.dtype = steps, weight.dtype
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        steps = ctx.steps
        gradient = torch.cat(steps.gradients).t() @ torch.cat(steps.inputs)
        steps.inputs, steps.gradients = [], []
        return gradient.to(ctx.dtype), None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, token: Tensor, steps: StepLinear) -> Tensor:
        x = x.to(steps.weight.dtype)
        ctx.save_for_backward(x)
        ctx.steps, ctx.token = steps, token
        return nn.functional.linear(x, steps.weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (x,) = ctx.saved_tensors
        if ctx.needs_input_grad[1]:  # else the weight is frozen
            ctx.steps.inputs.append(x)
            ctx.steps.gradients.append(gradients[0])
        return gradients[0] @ ctx.steps.weight, torch.zeros_like(ctx.token), None


def gru_states(cell: nn.GRUCell, inputs: Tensor, is_first: Tensor) -> Tensor:
    """States (B, T, H), float32, of a GRU over sequences, from zero; forgets where `is_first` (B, T) is 1.

    inputs (B, T, I).
    """
    keep = 1.0 - is_first.unsqueeze(-1)
    seen = nn.functional.linear(inputs, cell.weight_ih, cell.bias_ih)
    recur = StepLinear(cell.weight_hh, cell.bias_hh)
    state = torch.zeros(len(inputs), cell.hidden_size, device=inputs.device)
    states = []
    for seen_t, keep_t in zip(seen.unbind(1), keep.unbind(1), strict=True):
        state = state * keep_t
        reset, update, candidate = seen_t.float().chunk(3, -1)
        own_reset, own_update, own_candidate = recur(state).float().chunk(3, -1)
        candidate = torch.tanh(candidate + torch.sigmoid(reset + own_reset) * own_candidate)
        state = candidate + torch.sigmoid(update + own_update) * (state - candidate)
        states.append(state)
    return torch.stack(states, 1)
