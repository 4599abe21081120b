"""Checkpoints that survive kill -9: written to a temporary file, fsynced, renamed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from safe_o2o_ros.errors import StoreError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.rename(path)


def load(path: Path) -> dict[str, Any] | None:
    """The last state written, or None if there is none. Raises StoreError when it is unreadable."""
    if not path.exists():
        return None
    try:
        # weights_only: a checkpoint is data, never code.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise StoreError(
            f"checkpoint {path} cannot be read ({_reason(error)}): delete it to start again"
        ) from error
    if not isinstance(state, dict):
        raise StoreError(f"checkpoint {path} is not a training state: delete it to start again")
    return state


def store(
    path: Path, modules: Mapping[str, nn.Module | torch.optim.Optimizer], progress: Mapping[str, Any]
) -> None:
    """Write the states of `modules` by name and `progress` beside them, atomically: what `restore` reads."""
    save(path, {**{name: module.state_dict() for name, module in modules.items()}, **progress})


def restore(path: Path, modules: Mapping[str, nn.Module | torch.optim.Optimizer]) -> dict[str, Any] | None:
    """Load the state at `path` into `modules` by name and return it; None if there is none.

    Raises StoreError when it is unreadable or of other networks.
    """
    state = load(path)
    if state is None:
        return None
    try:
        for name, module in modules.items():
            module.load_state_dict(state[name])
    except (KeyError, ValueError, RuntimeError) as error:
        raise StoreError(
            f"checkpoint {path} is of other networks ({_reason(error)}): delete it to start again"
        ) from error
    return state


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
