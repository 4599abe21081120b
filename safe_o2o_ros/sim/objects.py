"""The objects that tasks are made of: geometry, colour and contact of each kind.

Numbers are those of the published benchmark (Safety-Gymnasium 1.0). Lengths in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    def body(self, index: int) -> str:
        """MuJoCo body name of the index-th object of this kind."""
        return f"{self.name}{index}"


GOAL = ObjectKind("goals", "goal", "cylinder", (0.3, 0.15), 0.16, (0, 1, 0, 0.25), collides=False, free=False)
HAZARD = ObjectKind(
    "hazards", "hazard", "cylinder", (0.2, 0.01), 0.02, (0, 0, 1, 0.25), collides=False, free=False
)
# 4e-5 m below touching: about where MuJoCo's soft contact holds a vase, so it does not move when placed.
VASE = ObjectKind(
    "vases", "vase", "box", (0.1, 0.1, 0.1), 0.1 - 4e-5, (0, 1, 1, 1), collides=True, free=True, density=0.001
)

KINDS: dict[str, ObjectKind] = {kind.key: kind for kind in (GOAL, HAZARD, VASE)}
