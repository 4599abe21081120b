"""The objects that tasks are made of: geometry, colour and contact of each kind.

Numbers are those of the published benchmark (Safety-Gymnasium 1.0). Lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class ObjectKind:
    """One kind of object. The z of its centre is at rest on, or just above, the floor."""

    key: str
    """Key of its positions in a layout, e.g. "hazards"."""
    name: str
    """Prefix of its MuJoCo body names; the index follows."""
    shape: Literal["cylinder", "box", "sphere"]
    size: tuple[float, ...]
    """MuJoCo half-sizes, m: cylinder (radius, half-height), box (x, y, z), sphere (radius)."""
    z: float
    """Height of the centre when placed, m."""
    rgba: tuple[float, float, float, float]
    collides: bool
    free: bool
    """True: a free body that can be pushed. False: it stays where it is placed."""
    density: float = 1.0
    """kg/m3; matters for free bodies only."""
    single: bool = False
    """True: its layout entry is one [x, y] and not a list of them."""
    corner: float = 0.0
    """Half-width of square posts on the four upright edges of a box, as high as the box; 0 = none."""
    travel: float = 0.0
    """Radius of the circle on which it is led around its place, m; 0 = it is left alone."""
    shade: float = 0.0
    """Opacity of its leader, which nothing can touch."""

    def body(self, index: int) -> str:
        """MuJoCo body name of the index-th object of this kind."""
        return f"{self.name}{index}"

    def leader(self, index: int) -> str:
        """MuJoCo name of the mocap body that leads the index-th object."""
        return f"{self.name}{index}_leader"


GOAL = ObjectKind("goals", "goal", "cylinder", (0.3, 0.15), 0.16, (0, 1, 0, 0.25), collides=False, free=False)
# It hides the button it marks, which is smaller on all sides.
GOAL_BUTTON = replace(GOAL, size=(0.2, 0.1), z=0.11, rgba=(0, 1, 0, 1))
HAZARD = ObjectKind(
    "hazards", "hazard", "cylinder", (0.2, 0.01), 0.02, (0, 0, 1, 0.25), collides=False, free=False
)
WIDE_HAZARD = replace(HAZARD, size=(0.3, 0.01))
# 4e-5 m below touching: about where MuJoCo's soft contact holds a vase, so it does not move when placed.
VASE = ObjectKind(
    "vases", "vase", "box", (0.1, 0.1, 0.1), 0.1 - 4e-5, (0, 1, 1, 1), collides=True, free=True, density=0.001
)
BUTTON = ObjectKind("buttons", "button", "sphere", (0.1,), 0.1, (1, 0.5, 0, 1), collides=True, free=False)
GREMLIN = ObjectKind(
    "gremlins",
    "gremlin",
    "box",
    (0.1, 0.1, 0.1),
    0.1,
    (0.5, 0, 1, 1),
    collides=True,
    free=True,
    density=0.001,
    travel=0.35,
    shade=0.1,
)
PILLAR = ObjectKind(
    "pillars", "pillar", "cylinder", (0.2, 0.5), 0.5, (0.5, 0.5, 1, 1), collides=True, free=False
)
BOX = ObjectKind(
    "box",
    "box",
    "box",
    (0.2, 0.2, 0.2),
    0.2,
    (1, 1, 0, 0.25),
    collides=True,
    free=True,
    density=0.001,
    single=True,
    corner=0.1,
)

KINDS: dict[str, ObjectKind] = {kind.key: kind for kind in (GOAL, HAZARD, VASE, BUTTON, GREMLIN, PILLAR, BOX)}
