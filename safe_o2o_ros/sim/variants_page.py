"""Writes docs/variants.md from the table of variants."""

from __future__ import annotations

import sys
from pathlib import Path

from safe_o2o_ros.sim.variants import DEFAULT_VARIANT, VARIANTS, Variant

PAGE = """\
# Variants of the simulated tasks

A variant is a named change to a task: what a policy meets that its training data did not hold. One at a
time, wherever an environment is made:

    gymnasium.make("safe_o2o/PointGoal1-v0", variant="moving_hazards")
    safe-o2o evaluate --task PointGoal1 --variant obstacle_shape --bundle models/point_goal1
    ros2 launch safe_o2o_ros deploy.launch.py sim:=true variant:=light

A variant that a task does not have is refused, with the names of those it has. This page is written from
the table in `safe_o2o_ros/sim/variants.py`; after a change there run `python -m
safe_o2o_ros.sim.variants_page docs/variants.md`.

| `variant=` | what changes | tasks |
| --- | --- | --- |
{rows}

**Nothing else changes.** `default` is the task bit for bit. In the others the same seed draws the same
layout and, but for late actions, the same actions make the same motion, so that a variant and its task can
be compared scene by scene. (`obstacle_count`, and `obstacle_shape` in RoomNav, must draw other layouts.) A
layout given to `reset` is kept as it is, also the number of its obstacles and the kinds of its furniture.

**Costs and the true state follow the geometry.** Square hazards cost while the robot's centre is inside the
square. Half its side is 0.886 (√π/2) of the disc's radius: 0.177 m, in PointPush1 0.266 m.
`privileged_state()` gives `hazards_yaw`, `hazard_half_m` (0 = discs) and in `hazard_radius` the disc around
the square: what keeps clear of such discs keeps clear of the squares. A goal drawn as a box is reached at
the same distance between centres, a button pressed at the same contact.

**Moving hazards.** `hazards` in a layout are the middles of the circles. At the time *t* a centre is at
middle + {radius} m (cos φ, sin φ), φ = yaw + {rate} rad/s · *t*, with its yaw from `hazards_yaw`.
`privileged_state()` gives the present centres, `hazards_velocity` (n, 2) and `hazards_turn_rate`; together
they tell where the hazards will be. A new goal keeps its distance from where they are when it is drawn, and
they may pass over it.

**Colours.** Every object keeps its transparency. In RoomNav all furniture gets the goal's magenta, and the
goal a blue that no furniture has; `rgb` in the layout stays what it was before.

**Cameras.** `camera_offset` moves the mounts themselves: the poses in `env.unwrapped.task.robot.cameras`,
in sim_node's transforms and in the data that `collect` writes are the moved ones. Which pictures are lost
depends on the seed alone, when the cameras freeze on the time alone. With these two a policy sees an old
picture at the usual time; on a robot nothing new would arrive, for which sim_node has its `fault.`
parameters. Views from above have no such faults.

**Late actions.** A period is one call of `step`. Until the first action acts, zeros do.
"""


def row(variant: Variant) -> str:
    """The variant's line in the page's table."""
    lacking = "all" if not variant.not_for else "all but " + ", ".join(variant.not_for)
    name = f"`{variant.name}`" + (" or none" if variant.name == DEFAULT_VARIANT else "")
    return f"| {name} | {variant.description} | {lacking} |"


def page() -> str:
    """The whole page."""
    circle = VARIANTS["moving_hazards"].circle
    assert circle is not None
    rows = "\n".join(row(variant) for variant in VARIANTS.values())
    return PAGE.format(rows=rows, radius=circle.radius_m, rate=f"{circle.turn_rate:g}")


def main() -> int:
    """Write the page to the file that the first argument names."""
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
