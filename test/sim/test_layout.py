"""Layouts: what is given is kept, what is missing is drawn by the placement rule."""

import itertools
import json
import math

import numpy as np
import pytest

from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.layout import draw_goal, make_layout
from safe_o2o_ros.sim.tasks import task_spec

TASK = task_spec("PointGoal1")
AGENT, GOAL, HAZARD, VASE = 0.4, 0.305, 0.18, 0.15


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(30))
def test_drawn_layouts_keep_extents_and_keepouts(seed):
    layout = make_layout(TASK, None, rng(seed))
    placed = [(layout.agent[:2], AGENT), (layout.goals[0], GOAL)]
    placed += [(p, HAZARD) for p in layout.objects["hazards"]]
    placed += [(p, VASE) for p in layout.objects["vases"]]
    assert len(placed) == 11
    for (x, y), keepout in placed:
        assert max(abs(x), abs(y)) <= 1.5 - keepout
    for (a, ka), (b, kb) in itertools.combinations(placed, 2):
        assert math.dist(a, b) >= ka + kb
    for yaw in (layout.agent[2], *layout.yaws["hazards"], *layout.yaws["vases"]):
        assert 0.0 <= yaw < 2 * math.pi


def test_given_entries_are_kept_and_the_rest_avoids_them():
    given = {"agent": [0.0, 0.0, 1.0], "hazards": [[0.5, 0.5]], "vases": []}
    for seed in range(20):
        layout = make_layout(TASK, given, rng(seed))
        assert layout.agent == (0.0, 0.0, 1.0)
        assert layout.objects == {"hazards": ((0.5, 0.5),), "vases": ()}
        assert math.dist(layout.goals[0], (0.0, 0.0)) >= AGENT + GOAL
        assert math.dist(layout.goals[0], (0.5, 0.5)) >= HAZARD + GOAL


def test_layout_survives_json():
    layout = make_layout(TASK, None, rng(5))
    again = make_layout(TASK, json.loads(json.dumps(layout.to_json(TASK))), rng(6))
    assert again == layout


def test_further_goals_keep_clear_of_where_robot_and_objects_are_now():
    layout = make_layout(TASK, None, rng(1))
    objects = {kind: np.array(points).reshape(-1, 2) for kind, points in layout.objects.items()}
    driven_to = np.array([0.9, -0.4])
    generator = rng(2)
    for _ in range(50):
        goal = draw_goal(TASK, driven_to, objects, generator)
        assert math.dist(goal, driven_to) >= AGENT + GOAL
        assert all(math.dist(goal, h) >= HAZARD + GOAL for h in layout.objects["hazards"])
        assert all(math.dist(goal, v) >= VASE + GOAL for v in layout.objects["vases"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"gremlins": [[0, 0]]}, "gremlins"),
        ({"hazard": [[0, 0]]}, "hazard"),
        ({"agent": [0, 0]}, "agent"),
        ({"agent": [0, 0, math.nan]}, "agent"),
        ({"goals": [[0, 0, 0]]}, "goals"),
        ({"goals": [1, 2]}, "goals"),
        ({"hazards": "here"}, "hazards"),
        ({"vases": [[0, math.inf]]}, "vases"),
        ({"hazards": [[0, 0]], "hazards_yaw": [0, 1]}, "1 hazards but 2 yaws"),
        ([1, 2], "dictionary"),
    ],
)
def test_bad_layouts_are_refused_by_name(given, says):
    with pytest.raises(LayoutError, match=says):
        make_layout(TASK, given, rng())


def test_a_full_arena_is_refused():
    grid = [[x, y] for x in np.linspace(-1.5, 1.5, 7) for y in np.linspace(-1.5, 1.5, 7)]
    with pytest.raises(LayoutError, match="No room"):
        make_layout(TASK, {"agent": [0, 0, 0], "hazards": grid, "vases": []}, rng())
