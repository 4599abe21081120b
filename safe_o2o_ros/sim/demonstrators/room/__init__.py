"""Demonstrators of RoomNav: they look for the goal as a robot with cameras must, then drive there.

RoomState ──► search.Search      floor seen so far; where to look next
          ──► grid.RoomMap       clearance and the cheapest way on a grid
          ──► steering           a velocity towards a point of that way, and a check that it can still stop
demonstrator.py: the driver made of them; straight.py: the reference that heads for the goal itself
"""

from safe_o2o_ros.sim.demonstrators.room.demonstrator import CARELESS, SAFE, WIDE, RoomDemonstrator
from safe_o2o_ros.sim.demonstrators.room.straight import StraightDemonstrator

__all__ = ["CARELESS", "SAFE", "WIDE", "RoomDemonstrator", "StraightDemonstrator"]
