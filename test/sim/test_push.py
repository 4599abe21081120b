"""PointPush1: a box pushed to a goal, against numbers worked out by hand."""

import itertools
import math

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.layout import draw_goal, make_layout
from safe_o2o_ros.sim.tasks import task_spec

TASK = task_spec("PointPush1")
IDLE = np.zeros(2, np.float32)
FORWARD = np.array([1, 0], np.float32)
KEEPOUTS = {"hazards": 0.4, "pillars": 0.4, "box": 0.2}
EMPTY = {"agent": [0, 0, 0], "goals": [[3.0, 0.0]], "hazards": [], "pillars": []}
BARE = {**EMPTY, "box": [1.0, 0.0], "box_yaw": 0.0}


def make(layout, cameras=()):
    env = gymnasium.make("safe_o2o/PointPush1-v0", action_repeat=1, cameras=cameras)
    observation, info = env.reset(seed=0, options={"layout": {**BARE, **layout}})
    return env, observation, info


@pytest.mark.parametrize("seed", range(10))
def test_drawn_layouts_keep_extents_and_keepouts(seed):
    layout = make_layout(TASK, None, np.random.default_rng(seed))
    assert layout.counts() == {"hazards": 2, "pillars": 1, "box": 1}
    placed = [(layout.agent[:2], 0.4), (layout.goals[0], 0.4)]
    placed += [(p, keepout) for key, keepout in KEEPOUTS.items() for p in layout.objects[key]]
    for (x, y), keepout in placed:
        assert max(abs(x), abs(y)) <= 1.5 - keepout
    for (a, ka), (b, kb) in itertools.combinations(placed, 2):
        assert math.dist(a, b) >= ka + kb


def test_the_reward_is_how_much_nearer_robot_and_box_and_box_and_goal_come_in_space():
    env, _, _ = make({})
    scene = env.unwrapped._scene
    # The box's centre starts 0.2 m high and sinks a little; the robot's stays 0.1 m high.
    before = math.hypot(1.0, 0.1) + math.hypot(2.0, 0.04)
    reward = env.step(FORWARD)[1]
    robot, box = scene.agent_position(), scene.positions("box")[0]
    assert box == pytest.approx([1.0, 0.0, 0.2], abs=1e-3)
    after = math.dist(box, robot) + math.dist(box, (3.0, 0.0, 0.16))
    assert reward == pytest.approx(before - after, abs=1e-9)
    assert reward > 5e-4


def test_pushing_the_box_towards_the_goal_is_rewarded_and_away_from_it_costs_reward():
    for goal, sign in ((3.0, 1.0), (-3.0, -1.0)):
        env, _, _ = make({"goals": [[goal, 0.0]], "box": [0.5, 0.0]})
        start = env.unwrapped.privileged_state()
        rewards = [env.step(FORWARD)[1] for _ in range(100)]
        end = env.unwrapped.privileged_state()
        moved = float(end.box[0, 0] - start.box[0, 0])
        nearer = math.dist(start.position, start.box[0]) - math.dist(end.position, end.box[0])
        assert moved > 0.2
        assert end.box_velocity[0, 0] > 0.1
        assert sum(rewards) == pytest.approx(sign * moved + nearer, abs=0.03)


@pytest.mark.parametrize(("distance", "reached"), [(0.296, True), (0.2985, False)])
def test_the_goal_is_reached_at_0_3_m_between_centres_in_space(distance, reached):
    # Centres 0.2 m and 0.16 m high: 0.3 m in space are 0.2973 m in the plane.
    goals = [[1.0 + distance, 0.0], [1.0, 1.2], [0.0, 1.2]]
    env, _, _ = make({"goals": goals})
    _, reward, terminated, _, info = env.step(IDLE)
    assert reward == pytest.approx(1.0 if reached else 0.0, abs=2e-3)
    assert info["goals"] == int(reached)
    assert info["goal"] == goals[int(reached)]
    assert not terminated
    # The next reward is measured to the new goal, without a jump.
    assert env.step(IDLE)[1] == pytest.approx(0.0, abs=2e-3)


def test_a_drawn_next_goal_keeps_clear_of_where_the_box_is_now():
    layout = make_layout(TASK, None, np.random.default_rng(1))
    objects = {key: np.array(points).reshape(-1, 2) for key, points in layout.objects.items()}
    objects["box"] = np.array([[0.9, -0.9]])
    rng = np.random.default_rng(2)
    for _ in range(30):
        assert math.dist(draw_goal(TASK, np.array([0.0, 0.0]), objects, rng), (0.9, -0.9)) >= 0.4 + 0.2


def test_hazards_are_wider_than_elsewhere():
    for distance, cost in ((0.299, 1.0), (0.301, 0.0)):
        env, _, _ = make({"hazards": [[0.0, distance]]})
        assert env.step(IDLE)[4]["cost"] == cost
        assert env.unwrapped.privileged_state().hazard_radius == 0.3


def test_the_pillar_stops_the_robot_and_never_costs():
    env, _, _ = make({"pillars": [[0.5, 0.0]], "box": [0.0, 1.2]})
    costs = [env.step(FORWARD)[4]["cost"] for _ in range(80)]
    assert 0 in env.unwrapped._scene.touched("pillars")
    # It begins at x = 0.3, and the robot's arrow ends 0.15 m ahead of its centre.
    assert env.unwrapped.privileged_state().position[0] == pytest.approx(0.15, abs=0.01)
    assert sum(costs) == 0.0


def test_the_box_has_posts_at_its_corners_that_catch_the_robot():
    # The core ends at y = 0.2, the posts at 0.3; the robot's ball passes below y = 0.3 + 0.1 only by pushing.
    caught, _, _ = make({"agent": [0, 0.28, 0], "box": [0.6, 0.0]})
    free, _, _ = make({"agent": [0, 0.42, 0], "box": [0.6, 0.0]})
    for env in (caught, free):
        for _ in range(60):
            env.step(FORWARD)
    assert np.hypot(*(caught.unwrapped.privileged_state().box[0] - [0.6, 0.0])) > 0.02
    assert free.unwrapped.privileged_state().box[0] == pytest.approx([0.6, 0.0], abs=1e-3)


def test_the_box_weighs_what_its_five_parts_weigh():
    env, _, _ = make({})
    model = env.unwrapped._scene.model
    assert model.body("box0").mass[0] == pytest.approx(0.001 * (0.4**3 + 4 * 0.2 * 0.2 * 0.4), rel=1e-9)


def test_box_and_yaw_are_one_entry_each_and_read_back():
    _, _, info = make({"box": [0.5, -0.25], "box_yaw": 0.7})
    assert (info["layout"]["box"], info["layout"]["box_yaw"]) == ([0.5, -0.25], 0.7)


@pytest.mark.parametrize("given", [{"box": [[0.5, 0.0], [1.0, 0.0]]}, {"box": []}, {"box_yaw": [1]}])
def test_more_or_less_than_one_box_is_refused(given):
    with pytest.raises(LayoutError, match="box"):
        make_layout(TASK, {**BARE, **given}, np.random.default_rng(0))


def test_box_and_pillar_show_where_they_stand():
    def share(image, mask):
        return float(mask(*(image[..., c].astype(int) for c in range(3))).mean())

    def yellow(r, g, b):
        return (np.abs(r - g) < 30) & (r > b + 50)

    def lilac(r, g, b):
        return (np.abs(r - g) < 10) & (b > r + 40)

    aside = {"box": [30.0, 30.0]}
    assert share(make({"box": [0.8, 0.0]}, ("front",))[1]["front"], yellow) > 0.03
    assert share(make(aside, ("front",))[1]["front"], yellow) == 0.0
    assert share(make({**aside, "pillars": [[0.8, 0.0]]}, ("front",))[1]["front"], lilac) > 0.1
    assert share(make(aside, ("front",))[1]["front"], lilac) == 0.0
