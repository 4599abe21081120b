"""What a variant makes of a room: its furniture, and the look of its compiled model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from safe_o2o_ros.sim.backend import mujoco
from safe_o2o_ros.sim.room.draw import USUAL, Furnishing
from safe_o2o_ros.sim.room.layout import GOAL_HEIGHT_M, GOAL_RADIUS_M
from safe_o2o_ros.sim.variant_scene import SAME_AREA, paint
from safe_o2o_ros.sim.variants import Variant


def furnishing_of(variant: Variant) -> Furnishing:
    """What is drawn where a layout does not say."""
    out = USUAL
    if variant.counts is not None:
        fewest, most = variant.counts.furniture
        out = replace(out, fewest=fewest, most=most)
    return replace(out, only="tables") if variant.squares else out


def restyle(model: Any, variant: Variant) -> None:
    """Change the looks of a compiled room, before a renderer loads it. Nothing that is hit changes."""
    paint(model, variant)
    colours = dict(variant.colours)
    if "goals" in colours:
        model.mat_rgba[model.material("goal").id, :3] = colours["goals"]
    if "furniture" in colours:
        named = [model.geom(i) for i in range(model.ngeom)]
        for geom in named:
            if geom.name.startswith("thing"):
                geom.rgba[:3] = colours["furniture"]
    if variant.square_goal:
        _square_goal(model)


def _square_goal(model: Any) -> None:
    # An episode ends before the robot gets to the goal's corners: contacts stay as they are.
    half = np.array([GOAL_RADIUS_M * SAME_AREA, GOAL_RADIUS_M * SAME_AREA, GOAL_HEIGHT_M / 2])
    goal = model.geom("goal").id
    model.geom_type[goal] = mujoco.mjtGeom.mjGEOM_BOX
    model.geom_size[goal] = half
    # Sphere and box around it, by which views and contacts leave it out.
    model.geom_rbound[goal] = np.linalg.norm(half)
    model.geom_aabb[goal] = (0.0, 0.0, 0.0, *half)
