"""One episode, or one consecutive chunk of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import FrameError, NonFiniteError, StoreError


@dataclass(frozen=True)
class Episode:
    """T steps and the T + 1 frames around them.

    Step t: frames `images[...][t]` were seen, `actions[t]` was executed for one control period, and
    brought `rewards[t]`, `costs[t]` and frames t + 1. So the frame after the last action is stored too.
    """

    images: Mapping[str, NDArray[np.uint8]]
    """Camera name -> (T + 1, height, width, 3), RGB. Order = the order of channels in a network."""
    actions: NDArray[np.float32]
    """(T, A) raw actions really executed, in [-1, 1]."""
    rewards: NDArray[np.float32]
    """(T,) summed over the period."""
    costs: NDArray[np.float32]
    """(T,) summed over the period."""
    terminated: bool
    """The last step ended the task by its rules."""
    truncated: bool
    """The last step ended the task by its time limit. Both False: the chunk goes on in another record."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: task, seed, demonstrator, action_repeat, period_s (s), adapter, variant, version, ..."""
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Arrays of T or T + 1 rows for analysis, never an input of a policy, e.g. "policy" uint8 (T,)."""

    def __post_init__(self) -> None:
        steps = len(self.actions)
        if self.actions.ndim != 2 or steps == 0 or self.actions.dtype != np.float32:
            raise StoreError(f"episode actions must be float32 (T, A) with T > 0, not {_shape(self.actions)}")
        for name in ("rewards", "costs"):
            array = getattr(self, name)
            if array.shape != (steps,) or array.dtype != np.float32:
                raise StoreError(f"episode {name} must be float32 ({steps},), not {_shape(array)}")
        for name in ("actions", "rewards", "costs"):
            finite = np.isfinite(getattr(self, name)).reshape(steps, -1).all(axis=1)
            if not finite.all():
                raise NonFiniteError(
                    f"episode {name} are not finite at step {int(np.argmin(finite))}; drop the episode"
                )
        if self.costs.min() < 0.0:
            raise StoreError(
                f"episode costs are negative at step {int(np.argmax(self.costs < 0.0))}; a cost is 0 or more"
            )
        if np.abs(self.actions).max() > 1.0:
            raise StoreError(
                "episode actions must be raw actions in [-1, 1]; convert them with the robot adapter"
            )
        if not self.images:
            raise FrameError("an episode needs the frames of at least one camera")
        for camera, frames in self.images.items():
            if (
                frames.ndim != 4
                or frames.shape[0] != steps + 1
                or frames.shape[3] != 3
                or frames.dtype != np.uint8
            ):
                raise FrameError(
                    f"frames of camera {camera!r} must be uint8 ({steps + 1}, height, width, 3), "
                    f"not {_shape(frames)}"
                )
        for name, array in self.extras.items():
            if array.ndim == 0 or len(array) not in (steps, steps + 1):
                raise StoreError(f"extra {name!r} must have {steps} or {steps + 1} rows, not {_shape(array)}")

    def __len__(self) -> int:
        """Number of steps, T."""
        return len(self.actions)


def _shape(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"
