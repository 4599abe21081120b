"""PointButton1: presses, wrong presses, grace and gremlins, against numbers worked out by hand."""

import itertools
import math

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.errors import LayoutError
from safe_o2o_ros.sim.layout import make_layout
from safe_o2o_ros.sim.tasks import task_spec

TASK = task_spec("PointButton1")
IDLE = np.zeros(2, np.float32)
FORWARD = np.array([1, 0], np.float32)
KEEPOUTS = {"buttons": 0.2, "hazards": 0.18, "gremlins": 0.4}
FAR = [[30.0, 30.0], [-30.0, 30.0], [-30.0, -30.0], [30.0, -30.0]]
BARE = {"agent": [0, 0, 0], "buttons": FAR, "goal_buttons": [0], "hazards": [], "gremlins": []}


def make(layout, cameras=()):
    env = gymnasium.make("safe_o2o/PointButton1-v0", action_repeat=1, cameras=cameras)
    observation, info = env.reset(
        seed=0, options={"layout": {**BARE, **layout}} if layout is not None else None
    )
    return env, observation, info


def drive(env, action, steps):
    return [env.step(action) for _ in range(steps)]


@pytest.mark.parametrize("seed", range(10))
def test_drawn_layouts_keep_extents_and_keepouts(seed):
    layout = make_layout(TASK, None, np.random.default_rng(seed))
    assert layout.counts() == {"buttons": 4, "hazards": 4, "gremlins": 4}
    placed = [(layout.agent[:2], 0.4)]
    placed += [(p, keepout) for key, keepout in KEEPOUTS.items() for p in layout.objects[key]]
    for (x, y), keepout in placed:
        assert max(abs(x), abs(y)) <= 1.5 - keepout
    for (a, ka), (b, kb) in itertools.combinations(placed, 2):
        assert math.dist(a, b) >= ka + kb
    assert layout.goals == (layout.objects["buttons"][layout.goal_buttons[0]],)


def test_reward_is_distance_gained_to_the_goal_button_in_the_plane():
    env, _, info = make({"buttons": [[1.0, 0.0], *FAR[1:]]})
    assert info["goal"] == [1.0, 0.0]
    before = env.unwrapped.privileged_state().position
    reward = env.step(FORWARD)[1]
    after = env.unwrapped.privileged_state().position
    assert reward == pytest.approx(math.dist(before, (1, 0)) - math.dist(after, (1, 0)), abs=1e-12)
    assert reward > 5e-4


def test_touching_the_goal_button_adds_one_and_the_layouts_next_button_is_the_goal():
    # The Point's arrow ends 0.15 m ahead, the button's ball begins 0.1 m before its centre.
    env, _, _ = make({"buttons": [[0.255, 0.0], *FAR[1:]], "goal_buttons": [0, 2, 1]})
    outcomes = drive(env, FORWARD, 12)
    rewards = [o[1] for o in outcomes]
    pressed = next(i for i, reward in enumerate(rewards) if reward > 0.5)
    assert rewards[pressed] == pytest.approx(1.0, abs=0.01)
    assert sum(reward > 0.5 for reward in rewards) == 1
    assert [o[4]["goals"] for o in outcomes[pressed - 1 : pressed + 1]] == [0, 1]
    assert outcomes[pressed][4]["goal"] == FAR[2]
    # The next reward is measured to the new goal, without a jump.
    assert abs(rewards[pressed + 1]) < 0.05


def test_a_used_up_list_goes_on_with_any_of_the_buttons_and_is_listed():
    env, _, _ = make({"buttons": [[0.19, 0.0], *FAR[1:]]})
    drawn = set()
    for seed in range(12):
        layout = {**BARE, "buttons": [[0.19, 0.0], *FAR[1:]]}
        env.reset(seed=seed, options={"layout": layout})
        info = env.step(FORWARD)[4]
        assert info["goals"] == 1
        drawn.add(info["layout"]["goal_buttons"][1])
    assert drawn == {0, 1, 2, 3}


def test_a_wrong_press_costs_from_the_eleventh_control_step_on():
    # Pushing against a wrong button from the first step on.
    env, _, info = make({"buttons": [FAR[0], [0.24, 0.0], *FAR[2:]]})
    assert info["cost"] == 0.0
    costs, graces, touching = [], [], []
    for _ in range(40):
        graces.append(env.unwrapped.privileged_state().grace_steps)
        costs.append(env.step(FORWARD)[4]["cost"])
        touching.append(1 in env.unwrapped._scene.touched("buttons"))
    assert graces[:12] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert any(touching[:10]) and sum(touching[10:]) > 5
    assert costs == [0.0] * 10 + [float(touch) for touch in touching[10:]]


def test_a_press_starts_the_grace_again():
    env, _, _ = make({"agent": [-0.4, 0, 0], "buttons": [[0.0, 0.0], *FAR[1:]], "goal_buttons": [0, 2]})
    while env.step(FORWARD)[4]["goals"] == 0:
        assert env.unwrapped.privileged_state().grace_steps <= 9
    assert env.unwrapped.privileged_state().grace_steps == 10
    assert env.unwrapped.privileged_state().goal_button == 2
    assert [env.step(FORWARD)[4]["cost"] for _ in range(10)] == [0.0] * 10


def test_the_goal_button_itself_never_costs():
    env, _, _ = make({"buttons": [[0.24, 0.0], *FAR[1:]], "goal_buttons": [0] * 100})
    assert sum(o[4]["cost"] for o in drive(env, FORWARD, 40)) == 0.0


def test_gremlins_start_at_their_places_and_follow_their_circles():
    places = [[0.0, 1.0], [1.0, -1.0]]
    env, _, _ = make({"gremlins": places, "gremlins_yaw": [0.3, 2.0]})
    state = env.unwrapped.privileged_state()
    assert state.gremlins == pytest.approx(np.array(places))
    for step in range(1, 301):
        env.step(IDLE)
        if step in (100, 200, 300):
            # The weld trails by 0.09 s.
            t = step * 0.02
            circle = 0.35 * np.array([math.sin(t - 0.09), math.cos(t - 0.09)])
            state = env.unwrapped.privileged_state()
            assert state.time_s == pytest.approx(t)
            assert state.gremlins == pytest.approx(np.array(places) + circle, abs=0.002)
            assert state.gremlin_places == pytest.approx(np.array(places))


def test_the_weld_holds_gremlins_a_little_above_the_floor():
    env, _, _ = make({"gremlins": [[0.0, 1.0]]})
    drive(env, IDLE, 100)
    assert env.unwrapped._scene.positions("gremlins")[0, 2] == pytest.approx(0.2, abs=0.005)


def test_touching_a_gremlin_costs_and_passing_it_does_not():
    # It comes to (0.35, 0) of its place at t = pi / 2, where the robot waits.
    hit, _, _ = make({"agent": [0.35, 0, 0], "gremlins": [[0.0, 0.0]]})
    costs = [o[4]["cost"] for o in drive(hit, IDLE, 90)]
    assert sum(costs[:30]) == 0.0
    assert sum(costs[50:80]) > 0
    passed, _, _ = make({"agent": [0.7, 0, 0], "gremlins": [[0.0, 0.0]]})
    assert sum(o[4]["cost"] for o in drive(passed, IDLE, 90)) == 0.0


def test_hazards_cost_as_ever():
    env, _, _ = make({"hazards": [[0.0, 0.199]]})
    assert env.step(IDLE)[4]["cost"] == 1.0


def test_a_layout_given_back_replays_the_episode():
    first = gymnasium.make("safe_o2o/PointButton1-v0", cameras=())
    first.reset(seed=3)
    actions = np.random.default_rng(1).uniform(-1, 1, (100, 2)).astype(np.float32)
    run = [first.step(a) for a in actions]
    second = gymnasium.make("safe_o2o/PointButton1-v0", cameras=())
    second.reset(seed=8, options={"layout": run[-1][4]["layout"]})
    again = [second.step(a) for a in actions]
    assert [(s[1], s[4]["cost"], s[4]["goal"]) for s in run] == [
        (s[1], s[4]["cost"], s[4]["goal"]) for s in again
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"goals": [[0, 0]]}, "goals.*use: agent, goal_buttons"),
        ({"goal_buttons": [4]}, "indices from 0 to 3"),
        ({"goal_buttons": [0.5]}, "indices from 0 to 3"),
        ({"goal_buttons": ["first"]}, "goal_buttons"),
        ({"buttons": []}, "at least one button"),
        ({"gremlins": [[0, 0]], "gremlins_yaw": [0, 1]}, "1 gremlins but 2 yaws"),
    ],
)
def test_bad_layouts_are_refused_by_name(given, says):
    with pytest.raises(LayoutError, match=says):
        make_layout(TASK, {**BARE, **given}, np.random.default_rng(0))


def share(image, mask):
    return float(mask(*(image[..., c].astype(int) for c in range(3))).mean())


def orange(r, g, b):
    return (r > 150) & (g > 0.35 * r) & (g < 0.65 * r) & (b < 40)


def green(r, g, b):
    return (g > 90) & (r < 40) & (b < 40)


def violet(r, g, b):
    return (b > r + 30) & (r > g + 15)


def test_the_marker_hides_the_goal_button_and_the_others_are_orange():
    ahead = [0.6, 0.0]
    goal = make({"buttons": [ahead, *FAR[1:]]}, ("front",))[1]["front"]
    other = make({"buttons": [FAR[0], ahead, *FAR[2:]]}, ("front",))[1]["front"]
    assert share(goal, green) > 0.02 and share(goal, orange) == 0.0
    assert share(other, orange) > 0.01 and share(other, green) == 0.0


def test_the_marker_moves_with_the_goal():
    env, _, _ = make(
        {"agent": [0, 0, 0], "buttons": [[0.19, 0.0], [-0.9, 0.0], *FAR[2:]], "goal_buttons": [0, 1]}
    )
    camera, _, _ = make({"buttons": [[0.19, 0.0], [-0.9, 0.0], *FAR[2:]], "goal_buttons": [0, 1]}, ("back",))
    back = camera.step(IDLE)[0]["back"]
    assert env.step(IDLE)[4]["goal"] == [-0.9, 0.0]
    assert share(back, green) > 0.02


def test_gremlins_are_violet_and_their_leaders_shades_almost_clear():
    # At the reset the shade stands where its place comes to when turned about the origin by the yaw.
    solid = make({"gremlins": [[0.8, 0.0]], "gremlins_yaw": [math.pi]}, ("front", "back"))[1]
    assert share(solid["front"], violet) > 0.01
    assert share(solid["back"], violet) == 0.0
    plain = make({}, ("back",))[1]["back"].astype(int)
    changed = np.abs(solid["back"].astype(int) - plain).max(axis=2)
    assert 0.01 < (changed > 5).mean() < 0.3
    assert changed.max() < 60
