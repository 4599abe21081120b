"""What stands on a floor plan: the objects of a layout in their shapes and sizes, world frame, metres."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report import style


@dataclass(frozen=True)
class Outline:
    """The floor plan of one kind of object."""

    half: tuple[float, float]
    """Half the sides of a box; the radius of a disc, twice."""
    box: bool = False
    track_m: float = 0.0
    """Radius of the circle on which the objects go round their places; 0 = they stand until pushed."""
    track_start: float | None = None
    """Where on the circle they start, rad; None = at their yaws."""
    post_m: float = 0.0
    """Half the width of square posts on the corners of a box; 0 = none."""


@dataclass(frozen=True)
class Thing:
    """One object on the floor plan, where it is at the start."""

    label: str
    x: float
    y: float
    yaw: float
    colour: style.RGB
    half: tuple[float, float]
    """Half the sides of a box along its own x and y; the radius of a disc, twice."""
    box: bool = False
    above: bool = False
    """Stands on legs, which are things of their own: the robot passes under it."""
    track: tuple[float, float, float] | None = None
    """Centre x, y and radius of the circle on which it goes round; None = it stands."""

    def corners(self) -> NDArray[np.float64]:
        """(4, 2) of a box."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        local = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * self.half
        return local @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)


PUBLISHED: Mapping[str, Outline] = {"hazards": Outline((0.2, 0.2)), "vases": Outline((0.1, 0.1), box=True)}
"""Key in a layout -> outline, where the simulator is not there to tell."""
_UNKNOWN = Outline((0.1, 0.1))

_LOOKS: dict[str, tuple[str, style.RGB]] = {
    "hazards": ("hazard", style.HAZARD),
    "vases": ("vase", style.VASE),
    "buttons": ("button", style.BUTTON),
    "gremlins": ("gremlin", style.GREMLIN),
    "pillars": ("pillar", style.PILLAR),
    "box": ("box", style.BOX),
}
"""Key in a layout -> label and colour. A kind keeps its colour in all variants, so that plans compare."""

_LEG_HALF_M, _LEG_INSET_M = 0.025, 0.035
"""Half the width of a table's leg, and its centre's distance from the top's edges, as in sim/room/."""


def things(layout: dict[str, Any], outlines: Mapping[str, Outline] = PUBLISHED) -> Iterator[Thing]:
    """Everything in a layout but agent and goals; `outlines`: by key of the layout."""
    yield from _furniture(layout.get("furniture", {}))
    for key, value in layout.items():
        if key in ("agent", "goals") or key.endswith("_yaw") or not isinstance(value, list):
            continue
        points = np.asarray(value, np.float64)
        if points.ndim not in (1, 2) or points.shape[-1:] != (2,):
            continue  # not places, such as the order of buttons
        places = points.reshape(-1, 2)
        yaws = np.broadcast_to(np.asarray(layout.get(f"{key}_yaw", 0.0), np.float64), len(places))
        label, colour = _LOOKS.get(key, (key.rstrip("s"), style.OTHER))
        outline = outlines.get(key, _UNKNOWN)
        for (x, y), yaw in zip(places.tolist(), yaws.tolist(), strict=True):
            track = (x, y, outline.track_m) if outline.track_m > 0.0 else None
            start = yaw if outline.track_start is None else outline.track_start
            at = (x + outline.track_m * math.cos(start), y + outline.track_m * math.sin(start))
            thing = Thing(label, at[0], at[1], yaw, colour, outline.half, outline.box, track=track)
            yield thing
            if outline.post_m > 0.0:
                post = (outline.post_m, outline.post_m)
                for post_x, post_y in thing.corners().tolist():
                    yield Thing(label, post_x, post_y, yaw, colour, post, box=True)


def goal_places(layout: dict[str, Any]) -> list[tuple[float, float]]:
    """Centres of the goals in the order in which they were due, m; buttons may come more than once."""
    if "goal_buttons" in layout:
        return [(float(x), float(y)) for x, y in (layout["buttons"][i] for i in layout["goal_buttons"])]
    return [(float(x), float(y)) for x, y in layout.get("goals", [])]


def _furniture(kinds: dict[str, list[dict[str, Any]]]) -> Iterator[Thing]:
    """A room's pieces: a table is its top, which is above the robot, and its legs."""
    for kind, pieces in kinds.items():
        for piece in pieces:
            (x, y), yaw, size = piece["position"], float(piece.get("yaw", 0.0)), piece["size"]
            if kind == "cylinders":
                yield Thing("furniture", x, y, 0.0, style.FURNITURE, (size[0], size[0]))
                continue
            table = kind == "tables"
            label = "table top" if table else "furniture"
            whole = Thing(label, x, y, yaw, style.FURNITURE, (size[0], size[1]), True, table)
            yield whole
            if table:
                inner = (size[0] - _LEG_INSET_M, size[1] - _LEG_INSET_M)
                feet = Thing("", x, y, yaw, style.FURNITURE, inner, True).corners()
                leg = (_LEG_HALF_M, _LEG_HALF_M)
                for foot_x, foot_y in feet.tolist():
                    yield Thing("furniture", foot_x, foot_y, yaw, style.FURNITURE, leg, True)
