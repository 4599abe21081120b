"""Checkpoints that survive kill -9: written to a temporary file, fsynced, renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

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
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise StoreError(f"checkpoint {path} cannot be read ({error}): delete it to start again") from error
    if not isinstance(state, dict):
        raise StoreError(f"checkpoint {path} is not a training state: delete it to start again")
    return state
