"""Row 4: whether what the cameras show is still what the bundle was trained on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.types import FloatArray, Level

SIGNS = ("surprise", "pictures", "repeated")
"""The last numbers of a latent, in order: nats of KL(posterior || prior); distance of the picture from those
of training, 1 = their root mean square; 1 where a camera repeats itself although the robot was moved."""
WINDOW_S = 0.8
"""Signs are averaged over this time: one odd picture is no odd world."""
REPEATED_CAUTION, REPEATED_STOP = 0.15, 0.6
"""Shares of repeated pictures within the window. A sound camera has none, so nothing is calibrated."""
_LEAVE = 0.9
"""A level is left below this share of its threshold."""


def window_of(period_s: float) -> int:
    """Control periods that are averaged."""
    return max(1, round(WINDOW_S / period_s))


def smoothed(values: NDArray[np.floating], window: int) -> NDArray[np.float64]:
    """(T,) means of the last `window` values, of fewer at the start; as the gauge has them."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, np.float64))])
    last = np.arange(1, len(total))
    first = np.maximum(last - window, 0)
    return np.asarray((total[last] - total[first]) / (last - first))


@dataclass(frozen=True)
class NoveltyState:
    """How unusual things are."""

    level: Level = Level.OK
    """OK; WARN: caution; ERROR: stop."""
    sign: str = ""
    """Which of SIGNS says so."""

    def __str__(self) -> str:
        word = {Level.OK: "", Level.WARN: "caution", Level.ERROR: "stop"}[self.level]
        return f"{word}: {self.sign}" if word else ""


class NoveltyGauge:
    """`add` the end of every latent, read `state`."""

    def __init__(self, thresholds: Thresholds, period_s: float) -> None:
        """`thresholds` must know about pictures (see Thresholds.knows_pictures)."""
        assert thresholds.pictures_caution is not None and thresholds.pictures_stop is not None
        self._limits = np.array(
            [
                [thresholds.surprise_caution, thresholds.surprise_stop],
                [thresholds.pictures_caution, thresholds.pictures_stop],
                [REPEATED_CAUTION, REPEATED_STOP],
            ]
        )
        self._window: deque[NDArray[np.float64]] = deque(maxlen=window_of(period_s))
        self.reset()

    def reset(self) -> None:
        """An episode starts."""
        self._window.clear()
        self._over = np.zeros(self._limits.shape, bool)
        self.state = NoveltyState()

    def take_over(self, before: NoveltyGauge) -> None:
        """Go on where the gauge of another bundle was: what it saw last, and the level it had reached."""
        self._window.clear()
        self._window.extend(before._window)
        self._over, self.state = before._over.copy(), before.state

    def add(self, feature: FloatArray) -> None:
        """The newest latent (N,). Numbers that are not finite stop."""
        signs = np.asarray(feature[-len(SIGNS) :], np.float64)
        self._window.append(signs)
        mean = np.mean(np.asarray(self._window), axis=0)
        limits = np.where(self._over, _LEAVE * self._limits, self._limits)
        # Not "mean > limit": of a NaN that is false, and it would look familiar.
        self._over = ~(mean[:, None] <= limits)
        stop, caution = self._over[:, 1], self._over[:, 0]
        if stop.any():
            self.state = NoveltyState(Level.ERROR, SIGNS[int(stop.argmax())])
        elif caution.any():
            self.state = NoveltyState(Level.WARN, SIGNS[int(caution.argmax())])
        else:
            self.state = NoveltyState()
