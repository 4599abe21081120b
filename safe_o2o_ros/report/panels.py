"""The panels of a video frame. Each draws one thing of one tick of an episode at a fixed place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report import canvas, style
from safe_o2o_ros.report.canvas import Picture
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.scene import SceneView

NOMINAL: style.RGB = (168, 178, 189)
"""Colour of the command the policy asked for."""
CAMERA_PX = 320
"""Side of a camera's picture."""


def caption(picture: Picture, words: str, left: int, top: int) -> None:
    """A small label on a picture."""
    canvas.box(picture, left, top, canvas.text_width(words, 13) + 16, 24, style.WHITE, 5)
    canvas.text(picture, words, (left + 8, top + 12), 13, style.INK)


class ValueBar:
    """The safety value on its scale, with the threshold."""

    WIDTH, HEIGHT = 452, 84

    def __init__(self, log: EpisodeLog) -> None:
        self._log = log
        ramp = style.value_colours(np.linspace(0.0, 1.0, self.WIDTH))
        self._ramp = np.broadcast_to(ramp, (16, self.WIDTH, 3))

    def draw(self, picture: Picture, tick: int, left: int, top: int) -> None:
        """The bar, its needle and the number."""
        value, threshold = float(self._log.value[tick]), float(self._log.threshold[tick])
        canvas.text(picture, "safety value", (left, top + 12), 15, style.MUTED)
        bar = top + 40
        if not math.isfinite(value):
            picture[bar : bar + 16, left : left + self.WIDTH] = style.FAINT
            end = (left + self.WIDTH, top + 12)
            canvas.text(picture, "not computed", end, 15, style.MUTED, align="right")
            return
        picture[bar : bar + 16, left : left + self.WIDTH] = self._ramp
        low = math.isfinite(threshold) and value < threshold
        colour = style.COST if low else style.INK
        canvas.text(picture, f"{value:.2f}", (left + self.WIDTH, top + 11), 22, colour, True, "right")
        if math.isfinite(threshold):
            x = left + round(min(max(threshold, 0.0), 1.0) * (self.WIDTH - 1))
            canvas.box(picture, x - 1, bar - 5, 3, 26, style.INK)
            label = f"threshold {threshold:.2f}"
            half = canvas.text_width(label, 13) // 2
            place = min(max(x, left + half), left + self.WIDTH - half)
            canvas.text(picture, label, (place, bar + 34), 13, style.MUTED, align="centre")
        needle = left + min(max(value, 0.0), 1.0) * (self.WIDTH - 1)
        for size, ink in ((11.0, style.WHITE), (8.5, style.INK)):
            tip, rise = bar + size - 4.5, 1.7 * size
            shape = np.array([(needle, tip), (needle - size, tip - rise), (needle + size, tip - rise)])
            canvas.polygon(picture, shape, ink)


class Commands:
    """Nominal and executed command as arrows: up = forward, left = turn to the left."""

    SIZE = 176

    def __init__(self, log: EpisodeLog, view: SceneView) -> None:
        scale = np.ones(log.nominal.shape[1], np.float32)
        if len(view.saturation) == len(scale):
            scale = view.saturation
        self._nominal, self._executed = (np.clip(a / scale, -1.0, 1.0) for a in (log.nominal, log.executed))
        if view.wheels:
            self._nominal, self._executed = (_mixed(a) for a in (self._nominal, self._executed))
        self._bands = [style.band_of(reason) for reason in log.reason]

    def background(self, picture: Picture, left: int, top: int) -> None:
        """What does not change."""
        half = self.SIZE // 2
        canvas.box(picture, left, top, self.SIZE, self.SIZE, style.PAPER, 8)
        canvas.box(picture, left + half, top + 8, 1, self.SIZE - 16, style.FAINT)
        canvas.box(picture, left + 8, top + half, self.SIZE - 16, 1, style.FAINT)
        canvas.text(picture, "forward", (left + half + 6, top + 12), 11, style.MUTED)
        canvas.text(picture, "left", (left + 8, top + half + 10), 11, style.MUTED)
        bottom, right = top + self.SIZE - 12, left + self.SIZE - 8
        canvas.box(picture, left + 8, bottom - 4, 14, 8, NOMINAL)
        canvas.text(picture, "nominal", (left + 26, bottom), 11, style.MUTED)
        canvas.text(picture, "executed", (right, bottom), 11, style.MUTED, align="right")
        canvas.box(picture, right - canvas.text_width("executed", 11) - 18, bottom - 2, 14, 4, style.INK)

    def draw(self, picture: Picture, tick: int, left: int, top: int) -> None:
        """Both arrows; the executed one has the colour of the filter's answer."""
        centre = np.array([left + self.SIZE / 2, top + self.SIZE / 2])
        wanted, told = self._arrow(self._nominal[tick]), self._arrow(self._executed[tick])
        canvas.arrow(picture, centre, centre + wanted, NOMINAL, 8)
        band = self._bands[tick]
        # The pale grey of "no filter" would vanish on the nominal arrow.
        colour = style.INK if band is style.LIMITS_ONLY else band.colour
        canvas.arrow(picture, centre, centre + told, colour, 4)

    def _arrow(self, action: NDArray[np.float32]) -> NDArray[np.float64]:
        # REP-103: a positive turn is to the left.
        forward, turn = (float(action[0]), float(action[1])) if len(action) > 1 else (float(action[0]), 0.0)
        return (self.SIZE / 2 - 28) * np.array([-turn, -forward])


def _mixed(wheels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Left and right wheel (T, 2) as forward and turn, mixed as RobotAdapter.to_twist does."""
    left, right = wheels[:, 0], wheels[:, 1]
    return np.stack([0.5 * (left + right), 0.5 * (left - right)], axis=1)


class Timeline:
    """Safety value (or reward, where there is none) and the filter's answers so far."""

    HEIGHT, CURVE = 92, 62
    BAND = HEIGHT - CURVE - 4

    def __init__(self, log: EpisodeLog, width: int) -> None:
        self._log = log
        ticks = len(log.reward)
        self._x = (np.arange(ticks) + 0.5) * width / ticks
        self._width = width
        self.valued = bool(np.isfinite(log.value).any())
        """The curve shows the safety value."""
        curve = np.clip(log.value, 0.0, 1.0) if self.valued else np.cumsum(log.reward)
        low, high = (0.0, 1.0) if self.valued else (float(curve.min()), float(curve.max()))
        self._y = (self.CURVE - 6) * (1.0 - (curve - low) / max(high - low, 1e-9)) + 3
        self._level = None
        known = log.threshold[np.isfinite(log.threshold)]
        if self.valued and known.size:
            self._level = round((self.CURVE - 6) * (1.0 - float(np.clip(known[-1], 0.0, 1.0))) + 3)
        self._edges = np.round(np.arange(ticks + 1) * width / ticks).astype(int)

    def background(self, picture: Picture, left: int, top: int) -> None:
        """What does not change."""
        canvas.box(picture, left, top, self._width, self.CURVE, style.PAPER)
        canvas.box(picture, left, top + self.CURVE + 4, self._width, self.BAND, style.PAPER)
        if self._level is not None:
            for x in range(0, self._width - 3, 8):
                canvas.box(picture, left + x, top + self._level, 4, 1, style.MUTED)
        words = "safety value" if self.valued else "reward so far"
        canvas.text(picture, words, (left - 10, top + self.CURVE // 2), 12, style.MUTED, align="right")
        middle = top + (self.CURVE + 4 + self.HEIGHT) // 2
        canvas.text(picture, "filter", (left - 10, middle), 12, style.MUTED, align="right")

    def draw(self, picture: Picture, tick: int, left: int, top: int) -> None:
        """Everything up to `tick`."""
        log, band_top = self._log, top + self.CURVE + 4
        for first, end, reason in style.runs(log.reason[: tick + 1]):
            a, b = int(self._edges[first]), int(self._edges[end])
            colour = style.band_of(reason).colour
            canvas.box(picture, left + a, band_top, b - a, self.BAND, colour)
        known = np.isfinite(self._y[: tick + 1])
        points = np.stack([self._x + left, self._y + top], axis=1)
        for first, end, drawable in style.runs(known.tolist()):
            if drawable:
                canvas.lines(picture, points[first:end], style.INK if self.valued else style.REWARD, 2)
        x = left + round(float(self._x[tick]))
        canvas.box(picture, x - 1, top - 3, 2, self.HEIGHT + 6, style.INK)
