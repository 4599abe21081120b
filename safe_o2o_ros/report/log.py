"""One driven episode, tick by tick: written by the graph and by the evaluator, read by the report."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import StoreError

_META = "meta"
_IMAGE = "image/"
_SCALARS = (
    "seed",
    "period_s",
    "goals",
    "control_steps",
    "success",
    "layout",
    "reason",
    "would",
    "terminated",
)


@dataclass(frozen=True)
class EpisodeLog:
    """One episode of T control periods; row k is the frame of the k-th decision and what followed."""

    seed: int
    period_s: float
    """Control period, seconds."""
    goals: int
    """Goals reached in the episode."""
    control_steps: int
    """Control steps driven (periods * action repeat, less if the last period was cut short)."""
    success: bool | None
    """None where the task knows no success."""
    layout: dict[str, Any]
    """The scene at the start with every goal that followed, as the last `info["layout"]`, m and rad."""
    time_s: NDArray[np.float64]
    """(T,) time of the frame since the start of the episode, seconds."""
    reward: NDArray[np.float64]
    """(T,) reward of the period that follows the frame."""
    cost: NDArray[np.float64]
    """(T,) cost of the period that follows the frame."""
    value: NDArray[np.float64]
    """(T,) safety value in [0, 1], 1 = safe; NaN where the filter computed none."""
    threshold: NDArray[np.float64]
    """(T,) value below which a command is not certified; NaN where there is none."""
    surprise: NDArray[np.float64]
    """(T,) KL(posterior || prior), nats."""
    nominal: NDArray[np.float32]
    """(T, A) raw action the policy asked for, in [-1, 1]."""
    executed: NDArray[np.float32]
    """(T, A) raw action the base was told, in [-1, 1]."""
    changed: NDArray[np.bool_]
    """(T,) the filter (not a limit) replaced the command: a filter_override."""
    reason: list[str]
    """(T,) the filter's reason, values of `types.Reason`."""
    position: NDArray[np.float64]
    """(T, 2) robot in the world frame at the frame, metres."""
    yaw: NDArray[np.float64]
    """(T,) heading in the world frame, radians."""
    images: dict[str, NDArray[np.uint8]]
    """Camera name -> (T, H, W, 3) uint8 RGB."""
    top: NDArray[np.uint8] | None
    """(T, H, W, 3) uint8 RGB view from above, or None."""
    would: list[str] = field(default_factory=list)
    """(T,) in mode shadow the reason that mode filter would have given, else ""; empty in old logs."""
    terminated: bool = False
    """The task itself ended the episode, and not the time; False in old logs."""

    def save(self, path: Path) -> None:
        """Write one .npz file without pickled objects. Raises StoreError."""
        meta = {name: getattr(self, name) for name in _SCALARS}
        arrays: dict[str, NDArray[Any]] = {
            part.name: getattr(self, part.name)
            for part in fields(self)
            if part.name not in (*_SCALARS, "images", "top")
        }
        arrays |= {_IMAGE + camera: images for camera, images in self.images.items()}
        if self.top is not None:
            arrays["top"] = self.top
        arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        try:
            with path.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
        except OSError as error:
            raise StoreError(f"the episode log {path} cannot be written: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> EpisodeLog:
        """Read what `save` wrote. Raises StoreError."""
        try:
            with np.load(path, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            meta = json.loads(arrays.pop(_META).tobytes())
            images = {n.removeprefix(_IMAGE): arrays.pop(n) for n in list(arrays) if n.startswith(_IMAGE)}
            return cls(**meta, top=arrays.pop("top", None), images=images, **arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"{path} is not an episode log ({error}): drive the episode again") from error
