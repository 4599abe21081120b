"""How fast a camera turns, from its pictures alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HORIZON = 0.25
"""Upper part of the picture that is left out: ceilings and lamps far away hardly move."""


def sideways_flow(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(T + 1, h, w, 3) frames to (T,) mean sideways motion of the picture, pixels to the right per step."""
    import cv2

    cv2.setNumThreads(1)
    top = int(_HORIZON * frames.shape[1])
    grey = [cv2.cvtColor(np.ascontiguousarray(f[top:]), cv2.COLOR_RGB2GRAY) for f in frames]
    flow = np.zeros(len(frames) - 1, np.float64)
    for t, (before, after) in enumerate(zip(grey[:-1], grey[1:], strict=True)):
        field = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 9, 2, 5, 1.1, 0)
        flow[t] = float(np.asarray(field)[..., 0].mean())
    return flow
