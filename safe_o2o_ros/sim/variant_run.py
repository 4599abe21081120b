"""What a variant does while an episode runs: late actions and faulty pictures."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.faults import CameraFaults, Faults, Pixels, Shot
from safe_o2o_ros.sim.variants import Frames, Variant

FloatArray = NDArray[np.float64]


class VariantRun:
    """The running part of a variant in one environment; `begin` first, once an episode."""

    def __init__(self, variant: Variant) -> None:
        """Prepare for episodes under the variant."""
        self._variant = variant
        self._waiting: deque[FloatArray] = deque()
        self._faults: CameraFaults | None = None
        self._seen: dict[str, Pixels] = {}

    def begin(self, rng: np.random.Generator) -> None:
        """Start an episode. Takes no number from `rng`: layouts are drawn as in the published task."""
        self._waiting.clear()
        self._seen.clear()
        if self._variant.frames is not None:
            self._faults = CameraFaults(int(rng.spawn(1)[0].integers(2**31)))

    def delayed(self, action: FloatArray) -> FloatArray:
        """The action that acts in the period that begins, raw (A,); before the first has arrived, zeros."""
        if self._variant.latency_periods == 0:
            return action
        self._waiting.append(action)
        late = len(self._waiting) > self._variant.latency_periods
        return self._waiting.popleft() if late else np.zeros_like(action)

    def picture(self, camera: str, image: Pixels, time_s: float) -> Pixels:
        """What is seen of the camera's image (H, W, 3) uint8, taken at `time_s` since the start."""
        frames = self._variant.frames
        if frames is None or self._faults is None:
            return image
        faults = Faults(
            camera_blur=frames.blur_px,
            # Something has to be seen at the start.
            camera_drop=frames.drop if camera in self._seen else 0.0,
            camera_freeze="pixels" if _stuck(frames, time_s) else "",
        )
        shot = self._faults.apply(camera, Shot(round(time_s * 1e9), image), faults)
        if shot is not None:
            self._seen[camera] = shot.pixels
        return self._seen[camera].copy()


def _stuck(frames: Frames, time_s: float) -> bool:
    """Whether the cameras repeat themselves at that time. In whole microseconds: times are sums of steps."""
    if frames.freeze_every_s <= 0.0:
        return False
    now, every, long = (round(1e6 * value) for value in (time_s, frames.freeze_every_s, frames.freeze_for_s))
    return now % every >= every - long
