"""The loop every phase shares: resume, update, log, checkpoint, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from safe_o2o_ros.errors import NonFiniteError
from safe_o2o_ros.learning import checkpoint, distributed

Log = Callable[[str, int, dict[str, float]], None]
"""log(phase, step, scalars)."""
Progress = Callable[[str, int, int, dict[str, float]], None]
"""progress(phase, done, total, scalars)."""


class Phase(Protocol):
    """One phase of training: modules and optimisers to save, and one update."""

    name: str

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Everything with a state."""
        ...

    def update(self, step: int) -> dict[str, Tensor]:
        """One update; returns scalars to log. All randomness comes from (seed, step)."""
        ...


@dataclass
class Clock:
    """Processor time a phase has used, over all its resumed runs."""

    cpu_s: float = 0.0
    wall_s: float = 0.0


def run_phase(
    phase: Phase,
    steps: int,
    seed: int,
    path: Path,
    checkpoint_every: int,
    log: Log,
    progress: Progress,
    budget_s: float = math.inf,
) -> Clock:
    """Train up to `steps` updates, or until `budget_s` seconds of processor time are used.

    Continues from `path` if it exists: exactly, since an update depends on the saved state and
    (seed, step) alone. Raises NonFiniteError when a loss is not finite; the last checkpoint stays.
    """
    clock, first = Clock(), 0
    state = checkpoint.restore(path, phase.modules())
    if state is not None:
        first = int(state["step"])
        clock = Clock(float(state["cpu_s"]), float(state["wall_s"]))
    for step in range(first, steps):
        if distributed.decided(clock.cpu_s >= budget_s):
            break
        cpu, wall = time.process_time(), time.monotonic()
        torch.manual_seed((seed << 32) + (distributed.rank() << 26) + step)
        scalars = phase.update(step)
        clock.cpu_s += time.process_time() - cpu
        clock.wall_s += time.monotonic() - wall
        done = step + 1
        shown, saved = done % 20 == 0 or done == steps, done % checkpoint_every == 0 or done == steps
        if shown or saved:
            values = distributed.mean({k: float(v) for k, v in scalars.items()})
            bad = [k for k, v in values.items() if not math.isfinite(v)]
            if bad:
                raise NonFiniteError(
                    f"{phase.name}: {bad[0]} is not finite at update {done}: lower the learning rate and "
                    "start again from the last checkpoint"
                )
        if shown and distributed.rank() == 0:
            log(phase.name, done, values)
            progress(phase.name, done, steps, values)
        if saved and distributed.rank() == 0:
            _save(path, phase, done, clock)
    return clock


def _save(path: Path, phase: Phase, step: int, clock: Clock) -> None:
    progress = {"step": step, "cpu_s": clock.cpu_s, "wall_s": clock.wall_s}
    checkpoint.store(path, phase.modules(), progress)


def cosine(step: int, steps: int, warmup: int, high: float, low: float) -> float:
    """Learning rate: linear warm-up to `high`, then half a cosine down to `low`."""
    if step < warmup:
        return high * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return low + 0.5 * (high - low) * (1.0 + math.cos(math.pi * share))
