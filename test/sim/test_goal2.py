"""PointGoal2: ten hazards and ten vases that cost when touched or moving."""

import itertools
import math

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.sim.layout import make_layout
from safe_o2o_ros.sim.tasks import task_spec

IDLE = np.zeros(2, np.float32)
FORWARD = np.array([1, 0], np.float32)
BARE = {"agent": [0, 0, 0], "goals": [[30.0, 0.0]], "hazards": [], "vases": []}


def make(layout=None, task="PointGoal2"):
    env = gymnasium.make(f"safe_o2o/{task}-v0", action_repeat=1, cameras=())
    _, info = env.reset(seed=0, options={"layout": {**BARE, **layout}} if layout is not None else None)
    return env, info


def costs(env, action, steps):
    return [env.step(action)[4]["cost"] for _ in range(steps)]


@pytest.mark.parametrize("task", ["PointGoal2", "CarGoal2"])
@pytest.mark.parametrize("seed", range(5))
def test_drawn_layouts_keep_extents_and_keepouts(task, seed):
    layout = make_layout(task_spec(task), None, np.random.default_rng(seed))
    assert layout.counts() == {"hazards": 10, "vases": 10}
    placed = [(layout.agent[:2], 0.4), (layout.goals[0], 0.305)]
    placed += [(p, 0.18) for p in layout.objects["hazards"]] + [(p, 0.15) for p in layout.objects["vases"]]
    for (x, y), keepout in placed:
        assert max(abs(x), abs(y)) <= 2.0 - keepout
    for (a, ka), (b, kb) in itertools.combinations(placed, 2):
        assert math.dist(a, b) >= ka + kb


@pytest.mark.parametrize("task", ["PointGoal2", "CarGoal2"])
def test_nothing_costs_while_the_robot_stands_and_no_vase_moves(task):
    env, info = make(task=task)
    assert info["cost"] == 0.0
    for seed in range(3):
        env.reset(seed=seed)
        assert sum(costs(env, IDLE, 20)) == 0.0


def test_touching_a_vase_costs():
    # It begins at x = 0.4, and the robot's arrow ends 0.15 m ahead of its centre.
    env, _ = make({"vases": [[0.5, 0.0]], "vases_yaw": [0.0]})
    paid = []
    for _ in range(60):
        paid.append(env.step(FORWARD)[4]["cost"])
        if env.unwrapped._scene.touched("vases"):
            assert paid[-1] == 1.0
    first = paid.index(1.0)
    assert sum(paid[:first]) == 0.0
    assert env.unwrapped.privileged_state().vases[0, 0] > 0.5


def test_a_moving_vase_costs_without_being_touched_and_a_creeping_one_does_not():
    for speed, cost in ((0.05, 1.0), (0.0, 0.0)):
        env, _ = make({"vases": [[1.0, 0.0]]})
        scene = env.unwrapped._scene
        scene.data.qvel[scene.model.jnt_dofadr[scene.model.body("vase0").jntadr[0]]] = speed
        assert env.step(IDLE)[4]["cost"] == cost
        assert not scene.touched("vases")


@pytest.mark.parametrize(("speed", "cost"), [(1.01e-4, 1.0), (0.99e-4, 0.0)])
def test_the_speed_of_a_vase_counts_from_a_tenth_of_a_millimetre_a_second(speed, cost):
    from safe_o2o_ros.sim.costs import cost as cost_of
    from safe_o2o_ros.sim.rules import make_rule

    env, _ = make({"vases": [[1.0, 0.0], [0.0, 1.0]]})
    scene = env.unwrapped._scene
    start = scene.model.jnt_dofadr[scene.model.body("vase1").jntadr[0]]
    # Over all three axes: 3-4-12-13.
    scene.data.qvel[start : start + 3] = np.array([3.0, 4.0, 12.0]) / 13.0 * speed
    assert cost_of(scene, make_rule(scene, -1)) == cost


def test_several_reasons_cost_one():
    env, _ = make({"hazards": [[0.0, 0.05], [0.05, 0.0]], "vases": [[0.2, 0.0]], "vases_yaw": [0.0]})
    assert max(costs(env, FORWARD, 10)) == 1.0


def test_the_car_pays_for_vases_too():
    # Its front bumper ends 0.175 m ahead of its centre, to the body's -y.
    env, _ = make({"vases": [[0.0, -0.4]], "vases_yaw": [0.0]}, "CarGoal2")
    paid = costs(env, np.array([0.02, 0.02], np.float32), 20)
    assert paid[0] == 0.0
    assert sum(paid) > 3


def test_privileged_state_reports_the_vases():
    env, _ = make({"vases": [[1.0, 0.5], [-1.0, 0.0]], "vases_yaw": [0.3, -0.2]})
    state = env.unwrapped.privileged_state()
    assert state.vases.tolist() == [[1.0, 0.5], [-1.0, 0.0]]
    assert state.vases_yaw == pytest.approx([0.3, -0.2])
    assert (len(state.buttons), len(state.gremlins), len(state.pillars), len(state.box)) == (0, 0, 0, 0)
