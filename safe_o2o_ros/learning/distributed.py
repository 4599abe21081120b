"""Several processes that train one model, started by torchrun; each takes its share of every batch.

A config's batch is what all of them see together: a run means the same whatever number it is spread over.
Alone, nothing here does anything. Gradients are averaged; what is a ratio of sums over the batch (the share
of imitated actions, the actor's scale of advantages) is taken per process.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from safe_o2o_ros.errors import UsageError


@contextlib.contextmanager
def ranks(device: str) -> Iterator[str]:
    """Join the processes that torchrun started with this one, for the time of the block.

    Yields this process's device: `device`, or its own of several GPUs.
    """
    if not dist.is_torchelastic_launched():
        yield device
        return
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process; 0 logs, saves and exports."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def part(batch: int) -> slice:
    """Which rows of a batch are this process's. Raises UsageError where they cannot be shared evenly."""
    if batch % world():
        raise UsageError(f"a batch of {batch} cannot be shared among {world()} processes: change one of them")
    return slice(rank(), None, world())


def averaged(
    parts: Sequence[nn.Module], loss: Callable[..., Any], some_unused: bool = False
) -> Callable[..., Any]:
    """`loss`, but its backward pass averages the gradients of `parts` over all processes.

    Weights of `parts` become those of process 0. `some_unused`: not every loss depends on all of them.
    """
    if world() == 1:
        return loss
    return DistributedDataParallel(_Objective(parts, loss), find_unused_parameters=some_unused)


class _Objective(nn.Module):
    """A loss as the forward pass of the modules it trains: what DistributedDataParallel can wrap."""

    def __init__(self, parts: Sequence[nn.Module], loss: Callable[..., Any]) -> None:
        super().__init__()
        self.parts, self.loss = nn.ModuleList(parts), loss

    def forward(self, *arguments: Any) -> Any:
        return self.loss(*arguments)


def mean(scalars: dict[str, float]) -> dict[str, float]:
    """Means over all processes, which must call this together."""
    if world() == 1:
        return scalars
    values = _tensor(list(scalars.values()))
    dist.all_reduce(values)
    return dict(zip(scalars, (values / world()).tolist(), strict=True))


def decided(yes: bool) -> bool:
    """What process 0 says, so that all stop at the same update; all must call this together."""
    if world() == 1:
        return yes
    answer = _tensor([float(yes)])
    dist.broadcast(answer, 0)
    return bool(answer.item())


def _tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, device="cuda" if dist.get_backend() == "nccl" else "cpu", dtype=torch.float64)
