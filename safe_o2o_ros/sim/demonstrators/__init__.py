"""Scripted drivers that see the simulator's state and record the data policies are trained on.

state ──► base.Demonstrator.act ──► raw action
          ├─ point.PointDemonstrator        Point: one of the next two, by whether there is a box
          ├─ planner.PlanningDemonstrator   Point: safe, bold, careless: one planner, weights of what costs
          ├─ car_planner.CarPlanner         Car: the same on its own model and a field of least times
          │     model.PointModel             where plans lead
          │     obstacles.Obstacles          how far that is from what costs or blocks, for any robot
          │     way.Way, detours.Detours     the way to the goal beyond a plan, for any robot
          ├─ push.PushDemonstrator          Point with a box: carries it to the goal in a notch of one face
          │     push_plan.Prices             what plans are worth when going to, docking at, carrying the box
          │     push_route.Routes            which face to push, and the ways there and to the goal
          │     push_field.WayField, push_box  ways over a floor with dear places; how the box follows
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
