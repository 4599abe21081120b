"""Furniture and finishes of a room: what they are as JSON, and the solids they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.room.state import Obstacle

RGB = tuple[float, float, float]
PieceKind = Literal["boxes", "cylinders", "tables"]

PIECE_KINDS: dict[PieceKind, tuple[str, ...]] = {
    "boxes": ("half_x", "half_y", "height"),
    "cylinders": ("radius", "height"),
    "tables": ("half_x", "half_y", "height"),
}
"""Key in a layout's furniture -> what its entries `size` hold, m."""

LEG_HALF_M = 0.025
"""Half the width of a table's square leg."""
_LEG_INSET_M = 0.01
_TOP_THICKNESS_M = 0.04
LOWEST_M = 0.2
"""Boxes and cylinders end above the robot's widest place, so that it touches their upright sides."""
LOWEST_TABLE_M = 0.45
"""Under table tops the robot passes with its camera."""

PATTERNS = ("plain", "checker", "stripes", "gradient")
"""Textures of walls and floor."""


@dataclass(frozen=True)
class Piece:
    """One piece of furniture as a layout lists it. World frame, metres and radians."""

    kind: PieceKind
    x: float
    y: float
    yaw: float
    size: tuple[float, ...]
    """See PIECE_KINDS."""
    rgb: RGB

    def outline(self) -> Obstacle:
        """The whole piece as one shape, a table with all that is under it."""
        kind: Literal["box", "cylinder"] = "cylinder" if self.kind == "cylinders" else "box"
        half_y = self.size[0] if self.kind == "cylinders" else self.size[1]
        return Obstacle(kind, self.x, self.y, self.yaw, self.size[0], half_y, self.size[-1])

    def solids(self) -> tuple[Obstacle, ...]:
        """The shapes it is made of: itself, or the four legs and the top of a table."""
        if self.kind != "tables":
            return (self.outline(),)
        half_x, half_y, height = self.size
        under = height - _TOP_THICKNESS_M
        cos, sin = float(np.cos(self.yaw)), float(np.sin(self.yaw))
        inset = LEG_HALF_M + _LEG_INSET_M
        parts = []
        for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
            dx, dy = sx * (half_x - inset), sy * (half_y - inset)
            x, y = self.x + dx * cos - dy * sin, self.y + dx * sin + dy * cos
            parts.append(Obstacle("box", x, y, self.yaw, LEG_HALF_M, LEG_HALF_M, under))
        top = Obstacle("box", self.x, self.y, self.yaw, half_x, half_y, height, solid=False, bottom_m=under)
        return (*parts, top)

    def to_json(self) -> dict[str, Any]:
        """Its entry in a layout."""
        entry: dict[str, Any] = {"position": [self.x, self.y]}
        if self.kind != "cylinders":
            entry["yaw"] = self.yaw
        return entry | {"size": list(self.size), "rgb": list(self.rgb)}


@dataclass(frozen=True)
class Finish:
    """How the walls or the floor look."""

    pattern: str
    """One of PATTERNS."""
    rgb1: RGB
    rgb2: RGB

    def to_json(self) -> dict[str, Any]:
        """Its entry in a layout."""
        return {"pattern": self.pattern, "rgb1": list(self.rgb1), "rgb2": list(self.rgb2)}


def read_furniture(given: Any) -> tuple[Piece, ...]:
    """The pieces of a layout's furniture. Raises LayoutError naming the entry that cannot be used."""
    kinds = _entries(given, "furniture", (), tuple(PIECE_KINDS))
    pieces = []
    for kind, names in PIECE_KINDS.items():
        listed = kinds.get(kind, [])
        if not isinstance(listed, list | tuple):
            raise LayoutError(f"Layout entry furniture.{kind} must be a list of pieces; got {listed!r}.")
        for index, entry in enumerate(listed):
            pieces.append(_read_piece(kind, names, entry, f"furniture.{kind}[{index}]"))
    return tuple(pieces)


def read_finish(given: Any, name: str) -> Finish:
    """Walls or floor of a layout. Raises LayoutError naming the entry that cannot be used."""
    entry = _entries(given, name, ("pattern", "rgb1", "rgb2"), ("pattern", "rgb1", "rgb2"))
    if entry["pattern"] not in PATTERNS:
        raise LayoutError(
            f"Layout entry {name}.pattern is {entry['pattern']!r}; use one of: {', '.join(PATTERNS)}."
        )
    return Finish(entry["pattern"], _rgb(entry["rgb1"], f"{name}.rgb1"), _rgb(entry["rgb2"], f"{name}.rgb2"))


def numbers(value: Any, count: int, name: str) -> tuple[float, ...]:
    """`count` finite numbers, as Python floats. Raises LayoutError naming the entry."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise LayoutError(f"Layout entry {name} must be {count} finite numbers; got {value!r}.")
    return tuple(float(v) for v in array)


def furniture_json(pieces: tuple[Piece, ...]) -> dict[str, Any]:
    """The pieces as a layout's furniture."""
    return {kind: [p.to_json() for p in pieces if p.kind == kind] for kind in PIECE_KINDS}


def _read_piece(kind: PieceKind, size_names: tuple[str, ...], given: Any, name: str) -> Piece:
    turned = ("yaw",) if kind != "cylinders" else ()
    entry = _entries(given, name, ("position", "size", "rgb"), ("position", *turned, "size", "rgb"))
    x, y = numbers(entry["position"], 2, f"{name}.position")
    size = numbers(entry["size"], len(size_names), f"{name}.size ({', '.join(size_names)})")
    lowest = LOWEST_TABLE_M if kind == "tables" else LOWEST_M
    leg = 2 * (LEG_HALF_M + _LEG_INSET_M) if kind == "tables" else 0.0
    if min(size[:-1]) <= leg or size[-1] < lowest:
        raise LayoutError(
            f"Layout entry {name}.size is {list(size)}; use sizes above {leg:g} and a height of at least "
            f"{lowest:g} m."
        )
    (yaw,) = numbers([entry.get("yaw", 0.0)], 1, f"{name}.yaw")
    return Piece(kind, x, y, yaw, size, _rgb(entry["rgb"], f"{name}.rgb"))


def _rgb(value: Any, name: str) -> RGB:
    r, g, b = numbers(value, 3, name)
    if not all(0.0 <= v <= 1.0 for v in (r, g, b)):
        raise LayoutError(f"Layout entry {name} is {value!r}; use three numbers from 0 to 1.")
    return r, g, b


def _entries(given: Any, name: str, needed: tuple[str, ...], known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise LayoutError(f"Layout entry {name} must be a dictionary; got {given!r}.")
    unknown = sorted(str(key) for key in set(given) - set(known))
    missing = [key for key in needed if key not in given]
    if unknown or missing:
        wrong = f"has unknown keys {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise LayoutError(f"Layout entry {name} {wrong}; use: {', '.join(known)}.")
    return given
