"""Reading the true state of a running episode."""

from __future__ import annotations

import numpy as np

from safe_o2o_ros.sim.objects import BOX, BUTTON, GREMLIN, HAZARD, PILLAR, VASE
from safe_o2o_ros.sim.rules import Rule
from safe_o2o_ros.sim.scene import Scene
from safe_o2o_ros.sim.shapes import outer_radius
from safe_o2o_ros.sim.state import PrivilegedState


def true_state(scene: Scene, rule: Rule) -> PrivilegedState:
    """The true state at this moment."""
    task = scene.task
    velocity, yaw_rate = scene.agent_velocity()
    group = task.group(HAZARD.key)
    hazard = group.kind if group else HAZARD
    box_yaws = scene.yaws(BOX.key)
    return PrivilegedState(
        position=scene.agent_xy(),
        yaw=scene.agent_yaw(),
        velocity=velocity,
        yaw_rate=yaw_rate,
        goal=scene.goal_xy(),
        goal_radius=task.goal_radius,
        hazards=scene.objects_xy(HAZARD.key),
        hazard_radius=outer_radius(hazard),
        vases=scene.objects_xy(VASE.key),
        control_step_s=task.robot.control_step_s,
        hazards_yaw=scene.yaws(HAZARD.key),
        hazard_half_m=hazard.size[0] if hazard.shape == "box" else 0.0,
        hazards_velocity=np.zeros_like(scene.objects_xy(HAZARD.key)),
        vases_yaw=scene.yaws(VASE.key),
        vase_half_m=VASE.size[0],
        vases_cost=VASE.key in task.cost_terms,
        buttons=scene.objects_xy(BUTTON.key),
        button_radius=BUTTON.size[0],
        goal_button=rule.goal_button,
        grace_steps=rule.grace_steps,
        gremlins=scene.objects_xy(GREMLIN.key),
        gremlins_yaw=scene.yaws(GREMLIN.key),
        gremlin_places=scene.centres(GREMLIN.key),
        gremlin_travel=GREMLIN.travel,
        gremlin_half_m=GREMLIN.size[0],
        pillars=scene.objects_xy(PILLAR.key),
        pillar_radius=PILLAR.size[0],
        box=scene.objects_xy(BOX.key),
        box_yaw=float(box_yaws[0]) if len(box_yaws) else 0.0,
        box_velocity=scene.velocities(BOX.key)[:, :2],
        box_half_m=BOX.size[0],
        box_corner_m=BOX.corner,
        hull=task.robot.hull,
        time_s=scene.time_s(),
    )
