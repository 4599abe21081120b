"""The random part of a room: which furniture stands where, and the colours of everything."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.sim.room.geometry import Shapes
from safe_o2o_ros.sim.room.pieces import PATTERNS, PIECE_KINDS, RGB, Finish, Piece, PieceKind
from safe_o2o_ros.sim.room.state import FloatArray

_KINDS: tuple[tuple[PieceKind, float], ...] = (("boxes", 0.45), ("cylinders", 0.3), ("tables", 0.25))
_GAP_M = 0.06
"""Smallest distance between two pieces, and from a piece to a wall."""
_AT_A_WALL = 0.4
"""Share of the boxes and tables that stand with their back to a wall."""
_TRIES = 60
_HUES = (0.0, 0.68)
"""Of furniture, walls and floor, as shares of the colour circle: reds to blues; the goal's is 0.83."""


@dataclass(frozen=True)
class Furnishing:
    """What is drawn for a room."""

    fewest: int = 6
    most: int = 10
    """Pieces of furniture."""
    only: PieceKind | None = None
    """The one kind that is drawn; None = all kinds."""


USUAL = Furnishing()


def draw_furniture(
    rng: np.random.Generator, half_size: FloatArray, furnishing: Furnishing = USUAL
) -> tuple[Piece, ...]:
    """Pieces that do not touch each other, fewer than drawn where there is no room for more."""
    pieces: list[Piece] = []
    for _ in range(int(rng.integers(furnishing.fewest, furnishing.most + 1))):
        shapes = Shapes([p.outline() for p in pieces])
        for _ in range(_TRIES):
            piece = _draw_piece(rng, half_size, furnishing.only)
            rim = _rim(piece)
            if (half_size - np.abs(rim)).min() < _GAP_M / 2 or shapes.distance(rim).min() < _GAP_M:
                continue
            # A small piece may stand between the rim's points of a large one.
            others = [_rim(p) for p in pieces]
            if not others or Shapes([piece.outline()]).distance(np.concatenate(others)).min() >= _GAP_M:
                pieces.append(piece)
                break
    # In the order in which a layout lists them: read back, the scene is the same bit for bit.
    return tuple(p for kind in PIECE_KINDS for p in pieces if p.kind == kind)


def draw_finish(rng: np.random.Generator, bright: bool) -> Finish:
    """A pattern in two shades of one pale colour."""
    hue, saturation = rng.uniform(*_HUES), rng.uniform(0.0, 0.35)
    value = rng.uniform(0.65, 0.95) if bright else rng.uniform(0.35, 0.7)
    pattern = str(rng.choice(PATTERNS))
    other = value * rng.uniform(0.7, 0.92)
    return Finish(pattern, _rgb(hue, saturation, value), _rgb(hue, saturation, other))


def _draw_piece(rng: np.random.Generator, half_size: FloatArray, only: PieceKind | None) -> Piece:
    names, shares = zip(*_KINDS, strict=True)
    kind: PieceKind = only or names[int(rng.choice(len(names), p=shares))]
    size: tuple[float, ...]
    if kind == "boxes":
        size = (rng.uniform(0.12, 0.4), rng.uniform(0.1, 0.25), rng.uniform(0.25, 0.9))
    elif kind == "cylinders":
        size = (rng.uniform(0.08, 0.22), rng.uniform(0.25, 0.9))
    else:
        size = (rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.4), rng.uniform(0.5, 0.75))
    size = tuple(float(v) for v in size)
    x, y = (float(v) for v in rng.uniform(-half_size, half_size))
    yaw = float(rng.uniform(-np.pi, np.pi)) if kind != "cylinders" else 0.0
    if kind != "cylinders" and rng.random() < _AT_A_WALL:
        x, y, yaw = _against_a_wall(rng, half_size, size[1])
    rgb = _rgb(rng.uniform(*_HUES), rng.uniform(0.1, 0.75), rng.uniform(0.25, 0.9))
    return Piece(kind, x, y, yaw, size, rgb)


def _against_a_wall(
    rng: np.random.Generator, half_size: FloatArray, half_y: float
) -> tuple[float, float, float]:
    """x, y, yaw of a box whose local y axis points at a wall, `_GAP_M` away."""
    wall, along = int(rng.integers(4)), float(rng.uniform(-1, 1))
    sign = 1.0 if wall % 2 else -1.0
    if wall < 2:
        return sign * (float(half_size[0]) - half_y - _GAP_M), along * float(half_size[1]), sign * -np.pi / 2
    return along * float(half_size[0]), sign * (float(half_size[1]) - half_y - _GAP_M), (1 - sign) * np.pi / 2


def _rim(piece: Piece) -> FloatArray:
    """32 points on a piece's outline, shape (32, 2), m."""
    outline = piece.outline()
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    local = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if outline.kind == "box":
        # The square of half-width 1 around the circle; every fourth of the 32 is a corner or a middle.
        local = local / np.abs(local).max(axis=1, keepdims=True)
    local = local * (outline.half_x, outline.half_y)
    cos, sin = np.cos(outline.yaw), np.sin(outline.yaw)
    turned = local @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(turned + (outline.x, outline.y))


def _rgb(hue: float, saturation: float, value: float) -> RGB:
    r, g, b = colorsys.hsv_to_rgb(float(hue), float(saturation), float(value))
    return r, g, b
