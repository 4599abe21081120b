"""What can be drawn, in the terms of RViz but without its messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

RGBA = tuple[float, float, float, float]


class Kind(Enum):
    """How the points of a shape are joined."""

    LINE_STRIP = "line_strip"
    LINE_LIST = "line_list"
    TRIANGLES = "triangles"
    DOTS = "dots"
    BOX = "box"
    TEXT = "text"


@dataclass(frozen=True)
class Shape:
    """One thing to draw. `name` tells it from the others and from its former self."""

    name: str
    kind: Kind
    points: NDArray[np.float64]
    """(N, 3) m, in the frame of the picture; (1, 3), the centre, for BOX and TEXT."""
    scale: tuple[float, float, float]
    """m: width of a line, diameter of dots, edges of a box, height of a letter (last)."""
    colours: NDArray[np.float64]
    """(N, 4) or (1, 4) RGBA in [0, 1]."""
    text: str = ""

    @property
    def finite(self) -> bool:
        """Every number in it can be drawn."""
        arrays = (self.points, self.colours, np.asarray(self.scale))
        return all(bool(np.isfinite(a).all()) for a in arrays)


def shape(
    name: str,
    kind: Kind,
    points: NDArray[np.float64],
    scale: tuple[float, float, float],
    colour: RGBA | NDArray[np.float64],
    text: str = "",
) -> Shape:
    """A shape from one point (3,) or more (N, 3) and one colour or one per point."""
    return Shape(name, kind, np.atleast_2d(points), scale, np.atleast_2d(np.asarray(colour)), text)


def drawable(shapes: Iterable[Shape]) -> tuple[list[Shape], int]:
    """Those without NaN or infinity, which a viewer must never get, and the number dropped."""
    everything = list(shapes)
    kept = [s for s in everything if s.finite]
    return kept, len(everything) - len(kept)
