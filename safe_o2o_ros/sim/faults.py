"""Faults of cameras and links, as robots have them. Pure: pixels and times in, pixels and times out."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class Faults:
    """What is wrong at the moment; the default is nothing."""

    camera: str = ""
    """Name of the camera that has the faults; "" = every camera."""
    camera_drop: float = 0.0
    """Share of frames that are lost, in [0, 1]."""
    camera_freeze: str = ""
    """"pixels": a stuck sensor, the last picture under new stamps. "message": a driver that repeats itself,
    stamp included. "": none."""
    camera_blur: float = 0.0
    """Standard deviation of a Gaussian blur, pixels; 0 = none."""
    camera_offset: int = 0
    """Pixels by which the picture is shifted to the right; 0 = none."""
    camera_latency: float = 0.0
    """Time by which frames come late, under the stamp of their capture, seconds."""
    odom_freeze: bool = False
    """The odometry repeats its last values under new stamps."""
    action_latency: float = 0.0
    """Time by which the base gets commands late, seconds."""
    base_held: bool = False
    """Something holds the base: it brakes and stands, whatever it is told."""

    def hits(self, camera: str) -> bool:
        """Whether this camera has the faults of cameras."""
        return self.camera in ("", camera)

    def active(self) -> tuple[str, ...]:
        """Names of the faults that are on; `camera` is none by itself."""
        off = Faults()
        names = (n for n in self.__dataclass_fields__ if n != "camera")
        return tuple(n for n in names if getattr(self, n) != getattr(off, n))


NONE = Faults()
TIMING = ("camera_drop", "camera_latency", "action_latency", "base_held")
"""Faults that take frames or commands away or move them in time."""


@dataclass(frozen=True)
class Shot:
    """One frame of one camera."""

    stamp_ns: int
    """Time of capture."""
    pixels: Pixels
    """(H, W, 3) uint8 RGB."""


class CameraFaults:
    """What becomes of the frames of all cameras before they leave; repeatable for one seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._last: dict[str, Shot] = {}

    def apply(self, camera: str, shot: Shot, faults: Faults) -> Shot | None:
        """The frame that leaves in place of `shot`; None if it is lost. Lateness is a `DelayLine`'s."""
        if not faults.hits(camera):
            self._last[camera] = shot
            return shot
        if faults.camera_freeze:
            # The first frame of all freezes where there is none before it.
            kept = self._last.setdefault(camera, shot)
            shot = kept if faults.camera_freeze == "message" else Shot(shot.stamp_ns, kept.pixels)
        else:
            self._last[camera] = shot
        if faults.camera_drop > 0.0 and self._random.random() < faults.camera_drop:
            return None
        pixels = shifted(blurred(shot.pixels, faults.camera_blur), faults.camera_offset)
        return Shot(shot.stamp_ns, pixels)


class DelayLine(Generic[T]):
    """Hands on in order what it is given, `delay_s` later; a smaller delay lets the waiting go at once."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, T]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, item: T, now_s: float) -> None:
        """Take an item at time `now_s`."""
        self._waiting.append((now_s, item))

    def due(self, now_s: float, delay_s: float) -> list[tuple[float, T]]:
        """Take out all that has waited `delay_s`, oldest first, each with the time it was given at."""
        out = []
        while self._waiting and now_s - self._waiting[0][0] >= delay_s:
            out.append(self._waiting.popleft())
        return out

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    """Gaussian blur of (H, W, 3) uint8 pixels; edges are repeated; 0 = unchanged."""
    if sigma_px <= 0.0:
        return pixels
    reach = math.ceil(3.0 * sigma_px)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2).astype(np.float32)
    weights /= weights.sum()
    picture = pixels.astype(np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (reach, reach)
        wide, size = np.pad(picture, pad, mode="edge"), pixels.shape[axis]
        parts = (w * np.take(wide, range(i, i + size), axis) for i, w in enumerate(weights))
        picture = np.asarray(sum(parts), np.float32)
    return picture.round().clip(0, 255).astype(np.uint8)


def shifted(pixels: Pixels, right_px: int) -> Pixels:
    """(H, W, 3) pixels moved to the right (negative: left); the column at the edge is repeated."""
    if right_px == 0:
        return pixels
    width = pixels.shape[1]
    return pixels[:, np.clip(np.arange(width) - right_px, 0, width - 1)]
