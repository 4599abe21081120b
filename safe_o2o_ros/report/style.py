"""Colours shared by plot, video and page: told apart by lightness and pattern too, not by hue alone."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.types import BRAKE_REASONS, Reason

RGB = tuple[int, int, int]

INK: RGB = (28, 39, 51)
MUTED: RGB = (98, 112, 126)
FAINT: RGB = (221, 227, 233)
PAPER: RGB = (246, 248, 250)
WHITE: RGB = (255, 255, 255)
REWARD: RGB = (0, 114, 178)
COST: RGB = (200, 50, 30)
HAZARD: RGB = (66, 92, 214)
GOAL: RGB = (38, 166, 91)
VASE: RGB = (0, 186, 201)
OTHER: RGB = (130, 130, 140)
BUTTON: RGB = (240, 132, 20)
GREMLIN: RGB = (138, 60, 196)
PILLAR: RGB = (104, 112, 150)
BOX: RGB = (196, 160, 20)
FURNITURE: RGB = (120, 100, 84)
WALL: RGB = (92, 98, 108)
UNKNOWN_VALUE: RGB = (74, 85, 98)
"""Colour of a path where no safety value was computed."""

AXES: Any = {
    "font.size": 9.5,
    "axes.edgecolor": "#b6c0ca",
    "axes.labelcolor": "#62707e",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#62707e",
    "ytick.color": "#62707e",
    "text.color": "#1c2733",
}
"""Matplotlib's settings for every plot."""


@dataclass(frozen=True)
class Band:
    """How one kind of answer of the filter is drawn."""

    label: str
    colour: RGB
    hatch: str = ""
    """Matplotlib's hatch, so that bands differ without colour."""


BRAKE = Band("brake", (197, 27, 50), "xxx")
SUBSTITUTE = Band("substituted", (245, 158, 31))
ESCAPE = Band("escape", (222, 110, 14), "////")
PASS = Band("pass", (44, 160, 122))
SHADOW = Band("shadow: computed, not applied", (122, 140, 168), "....")
LIMITS_ONLY = Band("limits only: no filter", (190, 199, 208))

_BANDS: dict[str, Band] = {
    Reason.SUBSTITUTE.value: SUBSTITUTE,
    Reason.ESCAPE.value: ESCAPE,
    Reason.RECOVER.value: ESCAPE,
    Reason.PASS.value: PASS,
    Reason.SHADOW.value: SHADOW,
    Reason.LIMITS_ONLY.value: LIMITS_ONLY,
    **{reason.value: BRAKE for reason in BRAKE_REASONS},
}


def band_of(reason: str) -> Band:
    """The band of a filter's reason; red stops, orange changes, green passes, as Nav2 colours them."""
    return _BANDS.get(reason) or Band(reason, OTHER)


_Key = TypeVar("_Key", bound=Hashable)


def runs(keys: Sequence[_Key]) -> list[tuple[int, int, _Key]]:
    """Runs of equal neighbours as (first, one past last, key)."""
    if not keys:
        return []
    starts = [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]]
    return [(a, b, keys[a]) for a, b in zip(starts, [*starts[1:], len(keys)], strict=True)]


_ANCHORS = np.array([(249, 166, 32), (228, 90, 84), (156, 34, 139), (60, 10, 120), (16, 12, 74)], np.float64)
"""Of values 0, 1/4, .. 1: lightness falls evenly, so the order survives colour blindness and grey print."""


def value_colours(value: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Safety values (T,) in [0, 1] to RGB (T, 3): bright orange = unsafe, dark blue = safe; NaN = grey."""
    known = np.isfinite(value)
    place = np.clip(np.where(known, value, 0.0), 0.0, 1.0)
    grid = np.linspace(0.0, 1.0, len(_ANCHORS))
    channels = np.stack([np.interp(place, grid, _ANCHORS[:, c]) for c in range(3)], axis=-1)
    return np.where(known[..., None], channels, UNKNOWN_VALUE).round().astype(np.uint8)
