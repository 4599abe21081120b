"""Checks that all simulated tasks share: arguments, reset options, actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import NonFiniteError, UsageError
from safe_o2o_ros.sim.tasks import TaskSpec

IMAGE_SIZE = 64
"""Width and height of every observed image, pixels."""


def checked_arguments(
    task: TaskSpec, cameras: Sequence[str], action_repeat: int, render_mode: str | None
) -> tuple[str, ...]:
    """The cameras; raises UsageError on an unknown or repeated one, a bad repeat or render mode."""
    known = task.robot.cameras
    unknown = [name for name in cameras if name not in known]
    if isinstance(cameras, str) or unknown or len(set(cameras)) != len(cameras):
        raise UsageError(f"Cameras {cameras!r} cannot be used; give distinct names from: {', '.join(known)}.")
    if action_repeat < 1:
        raise UsageError(f"action_repeat is {action_repeat}; use 1 or more.")
    if render_mode not in (None, "rgb_array"):
        raise UsageError(f"render_mode {render_mode!r} is unknown; use 'rgb_array' or None.")
    return tuple(cameras)


def checked_options(options: dict[str, Any] | None) -> Any:
    """The layout in the options of a reset, or None; raises UsageError on anything else in them."""
    options = options or {}
    unknown = sorted(set(options) - {"layout"})
    if unknown:
        raise UsageError(f"Reset options {', '.join(unknown)} are unknown; use: layout.")
    return options.get("layout")


def checked_action(action: NDArray[np.float32], channels: int) -> NDArray[np.float64]:
    """The action clipped to [-1, 1], shape (channels,); raises UsageError on its shape, NonFiniteError."""
    # Not rounded to float32: the Point's turn servo amplifies a rounding into another path.
    values = np.asarray(action, np.float64)
    if values.shape != (channels,):
        raise UsageError(f"Action has shape {values.shape}; give {(channels,)}.")
    if not np.isfinite(values).all():
        raise NonFiniteError(f"Action {values.tolist()} is not finite; send numbers in [-1, 1].")
    return np.clip(values, -1.0, 1.0)
