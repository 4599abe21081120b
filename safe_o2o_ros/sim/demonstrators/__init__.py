"""Scripted drivers that see the simulator's state and record the data policies are trained on.

state ──► base.Demonstrator.act ──► raw action
          ├─ planner.PlanningDemonstrator   safe, bold, careless: one planner, three hazard weights
          ├─ scripted.RandomDemonstrator    actions held for several steps
          └─ wrappers: scripted.Noisy, scripted.Bursts
mix.py: the named kinds, the default mix and which episode gets which kind
"""

from safe_o2o_ros.sim.demonstrators.base import Demonstrator
from safe_o2o_ros.sim.demonstrators.mix import DEFAULT_MIX, KINDS, kind_of, make_demonstrator, parse_mix

__all__ = ["DEFAULT_MIX", "KINDS", "Demonstrator", "kind_of", "make_demonstrator", "parse_mix"]
