"""Scripted drivers that see the simulator's state and record the data policies are trained on.

state ──► base.Demonstrator.act ──► raw action
          ├─ planner.PlanningDemonstrator   Point: safe, bold, careless: one planner, three hazard weights
          ├─ car_planner.CarPlanner         Car: the same planner on its own model, around vases too
          ├─ room.RoomDemonstrator          RoomNav: looks for the goal, then drives there; safe or careless
          ├─ room.StraightDemonstrator      RoomNav: a reference, straight at the goal
          ├─ scripted.RandomDemonstrator    actions held for several steps
          └─ wrappers: scripted.Noisy, scripted.Bursts
mix.py: the named kinds of each robot, the default mixes and which episode gets which kind
"""

from safe_o2o_ros.sim.demonstrators.base import Demonstrator
from safe_o2o_ros.sim.demonstrators.mix import (
    KINDS,
    Kind,
    default_mix,
    kind_of,
    kinds_of,
    make_demonstrator,
    parse_mix,
)

__all__ = [
    "KINDS",
    "Demonstrator",
    "Kind",
    "default_mix",
    "kind_of",
    "kinds_of",
    "make_demonstrator",
    "parse_mix",
]
