"""What a variant makes of a task before an episode: its table entry, and the look of its compiled model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.objects import HAZARD, ObjectKind
from safe_o2o_ros.sim.robots import CameraPose
from safe_o2o_ros.sim.tasks import ObjectGroup, TaskSpec
from safe_o2o_ros.sim.variants import Carpet, Light, Mount, Variant

SAME_AREA = float(np.sqrt(np.pi) / 2.0)
"""Half the side of a square as a multiple of the radius of the disc with its area."""
_CARPET_SPECKLES = 8
"""Along and across, until the pattern repeats."""


def varied_task(task: TaskSpec, variant: Variant) -> TaskSpec:
    """The task as the variant has it; the very same object where the variant leaves it alone."""
    changes: dict[str, Any] = {}
    groups = tuple(_varied_group(group, task.name, variant) for group in task.groups)
    if groups != task.groups:
        changes["groups"] = groups
    goal = _coloured(squared(task.goal) if variant.square_goal else task.goal, variant)
    if goal != task.goal:
        changes["goal"] = goal
    if variant.mount is not None:
        cameras = {name: _moved(pose, variant.mount) for name, pose in task.robot.cameras.items()}
        changes["robot"] = replace(task.robot, cameras=cameras)
    return replace(task, **changes) if changes else task


def squared(kind: ObjectKind) -> ObjectKind:
    """An upright cylinder as a box of its area and height."""
    radius, half_height = kind.size
    half = radius * SAME_AREA
    return replace(kind, shape="box", size=(half, half, half_height))


def paint(model: Any, variant: Variant) -> None:
    """Change light and floor of a compiled model, before a renderer loads its textures."""
    if variant.light is not None:
        _light(model, variant.light)
    if variant.carpet is not None:
        _lay(model, variant.carpet)


def _varied_group(group: ObjectGroup, task: str, variant: Variant) -> ObjectGroup:
    kind, count = group.kind, group.count
    if kind.key == HAZARD.key:
        kind = squared(kind) if variant.squares else kind
        count = dict(variant.counts.hazards)[task] if variant.counts is not None else count
    return replace(group, kind=_coloured(kind, variant), count=count)


def _coloured(kind: ObjectKind, variant: Variant) -> ObjectKind:
    # Every goal has the key "goals", also the marker of a button.
    rgb = dict(variant.colours).get(kind.key)
    return kind if rgb is None else replace(kind, rgba=(*rgb, kind.rgba[3]))


def _moved(pose: CameraPose, mount: Mount) -> CameraPose:
    angle = np.radians(mount.turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    axes = np.reshape(pose.xyaxes, (2, 3)) @ turn.T
    x, y, z = (p + s for p, s in zip(pose.position, mount.shift_m, strict=True))
    a, b, c, d, e, f = (float(v) for v in axes.ravel())
    return replace(pose, position=(x, y, z), xyaxes=(a, b, c, d, e, f))


def _light(model: Any, light: Light) -> None:
    model.light_dir[:] = light.direction
    model.light_diffuse[:] *= light.strength
    head = model.vis.headlight
    head.ambient[:] *= light.strength
    head.diffuse[:] *= light.strength


def _lay(model: Any, carpet: Carpet) -> None:
    """Overwrite the floor's texture, whatever its size, and let it repeat at the carpet's scale."""
    texture, floor = model.texture("floor").id, model.geom("floor")
    height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
    pixels = carpet_pixels(carpet, height, width)
    start = int(model.tex_adr[texture])
    model.tex_data[start : start + pixels.size] = pixels.ravel()
    tile = carpet.speckle_m * _CARPET_SPECKLES
    model.mat_texrepeat[model.material("floor").id] = 2.0 * floor.size[:2] / tile


def carpet_pixels(carpet: Carpet, height: int, width: int) -> NDArray[np.uint8]:
    """One tile of the carpet, (height, width, 3) uint8 RGB; always the same pattern."""
    pattern = np.random.default_rng(0).integers(0, 2, (_CARPET_SPECKLES, _CARPET_SPECKLES))
    rows, columns = (np.arange(n) * _CARPET_SPECKLES // n for n in (height, width))
    colours = np.round(255.0 * np.array([carpet.rgb1, carpet.rgb2])).astype(np.uint8)
    return np.asarray(colours[pattern[np.ix_(rows, columns)]])
