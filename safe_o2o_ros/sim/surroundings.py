"""What lies around the robot, recorded for training: what a percept should know, never its input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SECTORS = 16
"""Directions of the ring; sector k is centred 2 pi k / SECTORS rad to the left of straight ahead."""
FAR_M = 3.0
"""What an empty sector says."""
_CORNER = 1.2
"""Radius of the disc that stands for a square, in half sides: between the inner and the outer circle."""


def ring(state: Any) -> NDArray[np.float32]:
    """Metres from the robot's centre to the nearest thing to keep away from, per sector, (SECTORS,) float32.

    Hazards, vases, wrong buttons, gremlins and pillars, taken as discs; 0 inside one. `state`: a
    PrivilegedState.
    """
    centres, radii = _things(state)
    nearest = np.full(SECTORS, FAR_M)
    if len(centres):
        offset = centres - np.asarray(state.position)
        distance = np.hypot(offset[:, 0], offset[:, 1])
        bearing = np.arctan2(offset[:, 1], offset[:, 0]) - state.yaw
        half_angle = np.arcsin(np.clip(radii / np.maximum(distance, 1e-6), 0.0, 1.0))
        half_angle[distance <= radii] = np.pi
        aim = np.arange(SECTORS) * (2.0 * np.pi / SECTORS)
        apart = np.abs((bearing[:, None] - aim + np.pi) % (2.0 * np.pi) - np.pi)
        covers = apart <= half_angle[:, None] + np.pi / SECTORS
        gaps = np.maximum(distance - radii, 0.0)[:, None]
        nearest = np.minimum(nearest, np.where(covers, gaps, FAR_M).min(axis=0))
    return nearest.astype(np.float32)


def landmarks(state: Any) -> NDArray[np.float32]:
    """Where goal and box are in base_link, metres: (x, y) of the goal, (x, y) of the box; NaN where none is.

    (4,) float32.
    """
    out = np.full((2, 2), np.nan, np.float32)
    turn = np.array([[np.cos(state.yaw), np.sin(state.yaw)], [-np.sin(state.yaw), np.cos(state.yaw)]])
    out[0] = turn @ (np.asarray(state.goal) - state.position)
    if len(state.box):
        out[1] = turn @ (np.asarray(state.box[0]) - state.position)
    return out.reshape(-1)


def _things(state: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (n, 2) and radii (n,), metres, world frame."""
    half = state.hazard_half_m
    wrong = [b for i, b in enumerate(state.buttons) if i != state.goal_button]
    groups = (
        (state.hazards, _CORNER * half if half else state.hazard_radius),
        (state.vases, _CORNER * state.vase_half_m),
        (np.reshape(wrong, (-1, 2)), state.button_radius),
        (state.gremlins, _CORNER * state.gremlin_half_m),
        (state.pillars, state.pillar_radius),
    )
    centres = [np.reshape(np.asarray(c, np.float64), (-1, 2)) for c, _ in groups]
    radii = [np.full(len(c), r) for c, (_, r) in zip(centres, groups, strict=True)]
    return np.concatenate(centres), np.concatenate(radii)
