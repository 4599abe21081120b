"""Variants change what they say and nothing else."""

import math
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.faults import blurred
from safe_o2o_ros.sim.tasks import TASKS, env_id, task_spec
from safe_o2o_ros.sim.variant_run import VariantRun
from safe_o2o_ros.sim.variant_scene import varied_task
from safe_o2o_ros.sim.variants import VARIANTS, variant_spec, variants_of
from safe_o2o_ros.sim.variants_page import page

IDLE = np.zeros(2)
BENCHMARK = [name for name in TASKS if name != "RoomNav"]
BARE = {"agent": [0, 0, 0], "goals": [[50.0, 50.0]], "hazards": [], "vases": []}
PLAIN = {"pattern": "plain", "rgb1": [0.5, 0.5, 0.5], "rgb2": [0.5, 0.5, 0.5]}
ROOM = {
    "agent": [-1.5, 1.5, 0],
    "goals": [[0.0, 0.0]],
    "furniture": {"boxes": [{"position": [1.5, 1.0], "size": [0.3, 0.3, 0.5], "rgb": [0.8, 0.6, 0.2]}]},
    "walls": PLAIN,
    "floor": PLAIN,
}
# Half the side of a square of the disc's area.
HALF = 0.2 * math.sqrt(math.pi) / 2
MORE_HAZARDS = {"PointGoal1": 12, "PointButton1": 5, "PointPush1": 3, "PointGoal2": 15, "CarGoal2": 15}


@pytest.fixture
def make():
    """A function that makes environments, without cameras unless told; they are closed afterwards."""
    made = []

    def one(variant, task="PointGoal1", cameras=(), **kwargs):
        env = gymnasium.make(env_id(task), variant=variant, cameras=cameras, **kwargs).unwrapped
        made.append(env)
        return env

    yield one
    for env in made:
        env.close()


def start(env, layout, seed=0):
    return env.reset(seed=seed, options={"layout": layout})


def pixel(env, x, y, half=2.0, size=200):
    """Colour at a place on the floor in the view from above, which shows 2 * half metres; ints (3,)."""
    image = env.render_top(size).astype(int)
    return image[int(size / 2 * (1 - y / half)), int(size / 2 * (1 + x / half))]


def is_green(rgb):
    return rgb[1] > max(rgb[0], rgb[2]) + 60


def is_blue(rgb):
    return rgb[2] > max(rgb[0], rgb[1]) + 60


def is_magenta(rgb):
    return min(rgb[0], rgb[2]) > rgb[1] + 60


# What there is


def test_an_unknown_variant_is_refused_with_the_names_of_all():
    with pytest.raises(UsageError, match="Variant 'night' is unknown; use one of: default, obstacle_shape, "):
        variant_spec("night")


def test_a_variant_a_task_does_not_have_is_refused_with_the_names_of_those_it_has(make):
    with pytest.raises(
        UsageError, match="'moving_hazards' cannot be applied to RoomNav; use one of: "
    ) as error:
        make("moving_hazards", "RoomNav")
    assert str(error.value).count("moving_hazards") == 1
    assert "obstacle_count" in str(error.value)


def test_no_variant_and_default_are_the_task_itself():
    assert variant_spec(None) is variant_spec("default")
    for name in TASKS:
        assert varied_task(task_spec(name), VARIANTS["default"]) is task_spec(name)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs_with_every_variant_it_has(make, task):
    names = variants_of(task)
    assert len(names) >= 14
    for name in names:
        env = make(name, task)
        env.reset(seed=0)
        _, reward, terminated, truncated, info = env.step(IDLE)
        assert math.isfinite(reward)
        assert not terminated
        assert not truncated
        # Given back, the layout makes the same scene.
        assert start(env, info["layout"])[1]["layout"] == info["layout"]


@pytest.mark.parametrize("task", ["PointGoal1", "PointButton1", "RoomNav"])
def test_the_same_seed_draws_the_same_layout_where_obstacles_stay_as_many_and_of_their_kinds(make, task):
    redrawn = {"obstacle_count"} | ({"obstacle_shape"} if task == "RoomNav" else set())
    published = make(None, task).reset(seed=5)[1]["layout"]
    for name in variants_of(task):
        layout = make(name, task).reset(seed=5)[1]["layout"]
        assert (layout == published) == (name not in redrawn)


def test_variants_that_do_not_touch_actions_leave_the_motion_and_the_reward_bit_for_bit(make):
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 2))
    published = make(None)
    layout = published.reset(seed=1)[1]["layout"]
    rewards = [published.step(a)[1] for a in actions]
    for name in variants_of("PointGoal1"):
        if name.startswith("action_latency"):
            continue
        env = make(name)
        start(env, layout)
        assert [env.step(a)[1] for a in actions] == rewards
        position = env.privileged_state().position
        assert (position == published.privileged_state().position).all()


def test_the_page_is_in_step_with_the_table():
    written = Path(__file__).parents[2].joinpath("docs/variants.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m safe_o2o_ros.sim.variants_page docs/variants.md"
    for name in VARIANTS:
        assert f"| `{name}`" in written


# Shapes and numbers


@pytest.mark.parametrize(
    ("place", "yaw", "costs"),
    [
        ((HALF - 1e-3, 0.0), 0.0, 1.0),
        ((HALF + 1e-3, 0.0), 0.0, 0.0),  # inside the disc
        ((0.0, -(HALF - 1e-3)), 0.0, 1.0),
        ((0.17, -0.17), 0.0, 1.0),  # 0.24 m away, outside the disc
        ((0.17, -0.17), math.pi / 4, 0.0),
        ((0.25, 0.0), math.pi / 4, 1.0),  # within half a diagonal, 0.2507 m
        ((0.252, 0.0), math.pi / 4, 0.0),
    ],
)
def test_square_hazards_cost_inside_the_turned_square(make, place, yaw, costs):
    env = make("obstacle_shape", action_repeat=1)
    start(env, {**BARE, "hazards": [place], "hazards_yaw": [yaw]})
    assert env.step(IDLE)[4]["cost"] == costs


def test_the_true_state_tells_squares_from_discs(make):
    layout = {**BARE, "hazards": [[1.0, 0.0]], "hazards_yaw": [0.3]}
    env = make("obstacle_shape")
    start(env, layout)
    state = env.privileged_state()
    assert state.hazard_half_m == pytest.approx(HALF)
    assert state.hazard_radius == pytest.approx(HALF * math.sqrt(2))
    assert state.hazards_yaw == pytest.approx([0.3])
    env = make(None)
    start(env, layout)
    state = env.privileged_state()
    assert (state.hazard_half_m, state.hazard_radius) == (0.0, 0.2)


def test_squares_have_the_area_of_the_tasks_own_discs():
    push = varied_task(task_spec("PointPush1"), VARIANTS["obstacle_shape"]).group("hazards").kind
    assert (2 * push.size[0]) ** 2 == pytest.approx(math.pi * 0.3**2)


@pytest.mark.parametrize(("variant", "corner"), [(None, False), ("obstacle_shape", True)])
def test_square_hazards_are_drawn_as_squares(make, variant, corner):
    env = make(variant)
    start(env, {**BARE, "hazards": [[1.0, 0.0]], "hazards_yaw": [0.0]})
    assert is_blue(pixel(env, 1.0, 0.0))
    assert is_blue(pixel(env, 1.16, 0.16)) == corner
    assert not is_blue(pixel(env, 1.0, 0.23))


@pytest.mark.parametrize(("variant", "corner"), [(None, False), ("goal_shape", True)])
def test_a_box_is_drawn_for_the_goal(make, variant, corner):
    env = make(variant)
    start(env, {**BARE, "agent": [-1.5, -1.5, 0], "goals": [[0.0, 0.0]]})
    assert is_green(pixel(env, 0.0, 0.0))
    # Its top is nearer to the camera: 0.234 m there, 0.33 m from the axis, 0.3 m radius.
    assert is_green(pixel(env, 0.25, 0.25)) == corner


def test_a_goal_drawn_as_a_box_is_reached_at_the_published_distance(make):
    # In the corner of the box, but 0.31 m away; then 0.299 m away, outside its side.
    for goal, reached in (([0.2192, 0.2192], 0), ([0.299, 0.0], 1)):
        env = make("goal_shape", action_repeat=1)
        start(env, {**BARE, "goals": [goal]})
        assert env.step(IDLE)[4]["goals"] == reached


def test_a_button_is_pressed_as_before_under_its_box(make):
    # The Point's ball touches the button's at 0.2 m; the marker's corner would begin at 0.25 m.
    for x, pressed in ((0.21, 0), (0.199, 1)):
        env = make("goal_shape", "PointButton1", action_repeat=1)
        layout = {"agent": [0, 0, math.pi], "buttons": [[x, 0.0]], "goal_buttons": [0]}
        start(env, {**layout, "hazards": [], "gremlins": []})
        assert env.step(IDLE)[4]["goals"] == pressed


@pytest.mark.parametrize("task", BENCHMARK)
def test_there_are_more_hazards_at_the_published_distances(make, task):
    env = make("obstacle_count", task)
    for seed in range(2):
        hazards = np.array(env.reset(seed=seed)[1]["layout"]["hazards"])
        assert len(hazards) == len(env.privileged_state().hazards) == MORE_HAZARDS[task]
        apart = np.linalg.norm(hazards[:, None] - hazards, axis=-1) + 10 * np.eye(len(hazards))
        assert apart.min() >= 2 * task_spec(task).group("hazards").keepout


def test_a_given_number_of_hazards_is_kept(make):
    env = make("obstacle_count")
    assert len(start(env, {"hazards": [[1.0, 1.0]]})[1]["layout"]["hazards"]) == 1


def furniture(info):
    return {kind: len(pieces) for kind, pieces in info["layout"]["furniture"].items()}


def test_rooms_get_more_furniture(make):
    env = make("obstacle_count", "RoomNav")
    counts = [sum(furniture(env.reset(seed=seed)[1]).values()) for seed in range(6)]
    assert min(counts) >= 11
    assert max(counts) <= 14
    assert len(set(counts)) > 1


def test_rooms_get_tables_only_but_keep_what_is_given(make):
    env = make("obstacle_shape", "RoomNav")
    for seed in range(3):
        drawn = furniture(env.reset(seed=seed)[1])
        assert drawn["boxes"] == drawn["cylinders"] == 0
        assert drawn["tables"] >= 4
    assert furniture(start(env, ROOM)[1]) == {"boxes": 1, "cylinders": 0, "tables": 0}


@pytest.mark.parametrize(("variant", "corner"), [(None, False), ("goal_shape", True)])
def test_a_rooms_goal_is_drawn_as_a_box(make, variant, corner):
    env = make(variant, "RoomNav")
    start(env, ROOM)
    # The top at 0.5 m, 1.07 times as large from 7.2 m: half a side 0.133, radius 0.15 m.
    assert is_magenta(pixel(env, 0.0, 0.0, half=3.0, size=300))
    assert is_magenta(pixel(env, 0.13, 0.13, half=3.0, size=300)) == corner


# Moving hazards


def test_hazards_go_round_their_places_by_the_formula(make):
    env = make("moving_hazards", action_repeat=1)
    places, yaws = np.array([[1.0, 1.0], [-1.0, 0.5]]), np.array([0.0, math.pi / 2])
    info = start(env, {**BARE, "hazards": places.tolist(), "hazards_yaw": yaws.tolist()})[1]
    state = env.privileged_state()
    assert state.hazards == pytest.approx(np.array([[1.2, 1.0], [-1.0, 0.7]]))
    assert state.hazards_velocity == pytest.approx(np.array([[0.0, 0.3], [-0.3, 0.0]]))
    assert state.hazards_turn_rate == pytest.approx(1.5)
    for _ in range(50):
        info = env.step(IDLE)[4]
    # After 1 s they are 1.5 rad further.
    state, angles = env.privileged_state(), yaws + 1.5
    round_it = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert state.hazards == pytest.approx(places + 0.2 * round_it)
    assert state.hazards_velocity == pytest.approx(0.3 * round_it[:, ::-1] * [-1, 1])
    # The layout lists the places, so it makes the same episode again.
    assert info["layout"]["hazards"] == places.tolist()
    start(env, info["layout"])
    assert env.privileged_state().hazards == pytest.approx(np.array([[1.2, 1.0], [-1.0, 0.7]]))


def test_a_hazard_costs_a_standing_robot_while_it_passes_over(make):
    # Place 0.3 m ahead, start beyond it. Distance^2 = 0.13 + 0.12 cos(1.5 t) < 0.04 from 138.59 to 221.41
    # degrees: 1.6126 s to 2.5762 s, the control steps 81 to 128 of 0.02 s.
    env = make("moving_hazards", action_repeat=1)
    start(env, {**BARE, "hazards": [[0.3, 0.0]], "hazards_yaw": [0.0]})
    costs = [env.step(IDLE)[4]["cost"] for _ in range(140)]
    assert [i + 1 for i, c in enumerate(costs) if c] == list(range(81, 129))


def test_moving_hazards_are_drawn_where_they_are(make):
    env = make("moving_hazards", action_repeat=1)
    start(env, {**BARE, "hazards": [[1.0, 0.0]], "hazards_yaw": [0.0]})
    assert is_blue(pixel(env, 1.35, 0.0))
    assert not is_blue(pixel(env, 0.9, 0.0))
    for _ in range(105):  # 3.15 rad: half a turn
        env.step(IDLE)
    assert not is_blue(pixel(env, 1.35, 0.0))
    assert is_blue(pixel(env, 0.65, 0.0))


def test_standing_hazards_have_no_velocity(make):
    env = make(None)
    start(env, {**BARE, "hazards": [[1.0, 0.0]]})
    state = env.privileged_state()
    assert state.hazards_velocity.tolist() == [[0.0, 0.0]]
    assert state.hazards_turn_rate == 0.0


# Looks


def test_hazards_goals_and_vases_change_their_colours_and_not_their_transparency(make):
    env = make("swapped_colours")
    layout = {**BARE, "agent": [1.5, 1.5, 0], "goals": [[0.0, 0.0]]}
    start(env, {**layout, "hazards": [[1.0, 0.0]], "vases": [[-1.0, 0.0]]})
    assert is_blue(pixel(env, 0.0, 0.0))
    assert is_green(pixel(env, 1.0, 0.0))
    assert is_magenta(pixel(env, -1.0, 0.0))
    for name in BENCHMARK:
        task = task_spec(name)
        varied = varied_task(task, VARIANTS["swapped_colours"])
        for old, new in zip(task.groups, varied.groups, strict=True):
            assert new.kind.rgba[3] == old.kind.rgba[3]
        assert varied.goal.rgba == (0.0, 0.0, 1.0, task.goal.rgba[3])


def test_a_rooms_furniture_takes_the_goals_colour(make):
    env = make("swapped_colours", "RoomNav")
    start(env, ROOM)
    assert is_magenta(pixel(env, 1.5, 1.0, half=3.0, size=300))
    assert is_blue(pixel(env, 0.0, 0.0, half=3.0, size=300))


@pytest.mark.parametrize(("task", "layout"), [("PointGoal1", BARE), ("RoomNav", ROOM)])
def test_it_gets_darker(make, task, layout):
    floor = {}
    for name in (None, "light"):
        env = make(name, task)
        start(env, layout)
        floor[name] = pixel(env, 1.0, -1.0).mean()
    # At 0.4 of the strength, and falling at 45 degrees.
    assert 0.1 * floor[None] < floor["light"] < 0.6 * floor[None]


@pytest.mark.parametrize(("task", "layout"), [("PointGoal1", BARE), ("RoomNav", ROOM)])
def test_the_floor_is_a_carpet_of_two_browns_in_squares_of_an_eighth_of_a_metre(make, task, layout):
    env = make("texture", task)
    start(env, layout)
    half = 2.0 if task == "PointGoal1" else 3.0
    size = int(160 * half)  # 80 pixels a metre, 10 a speckle
    # Rows through the middles of the eight speckles between y = -0.5 and -1.5 m, from x = 0.5 to 1.5 m.
    x, first = round(80 * (half + 0.5)), round(80 * (half + 0.5)) + 5
    rows = env.render_top(size)[first : first + 80 : 10, x : x + 80].astype(int)
    assert (rows[..., 0] > rows[..., 2] + 8).all()
    dark = rows[..., 0] < (rows[..., 0].min() + rows[..., 0].max()) / 2
    edges = [np.flatnonzero(row[1:] != row[:-1]) + 1 for row in dark]
    assert all(min(e % 10, -e % 10) <= 1 for row in edges for e in row)
    widths = np.concatenate([np.diff(row) for row in edges])
    assert 9 <= widths.min() <= 11


def test_a_vase_looks_the_same_on_the_carpet(make):
    seen = {}
    for name in (None, "texture"):
        env = make(name)
        start(env, {**BARE, "vases": [[1.0, 0.0]], "vases_yaw": [0.0]})
        seen[name] = pixel(env, 1.0, 0.0).tolist()
    assert seen[None] == seen["texture"]


# Cameras


def middle_of_the_vase(image):
    """Column of the middle of what is cyan."""
    r, g, b = (image[..., i].astype(int) for i in range(3))
    return np.nonzero((np.abs(g - b) < 20) & (g > r + 60))[1].mean()


def test_cameras_are_turned_and_moved_to_the_left(make):
    layout = {**BARE, "vases": [[-1.0, 0.0]], "vases_yaw": [0.0]}
    columns = {}
    for name in (None, "camera_offset"):
        env = make(name, cameras=("back",))
        columns[name] = middle_of_the_vase(start(env, layout)[0]["back"])
    # The vase's face is 0.9 m behind the body. Seen from 0.03 m to its left and 8 degrees askew: depth
    # 0.9 cos 8 + 0.03 sin 8 = 0.8954 m, across 0.9 sin 8 - 0.03 cos 8 = 0.0955 m; 32 pixels are 45 degrees.
    assert columns["camera_offset"] - columns[None] == pytest.approx(32 * 0.0955 / 0.8954, abs=0.6)
    moved = env.task.robot.cameras["front"]
    assert moved.position == pytest.approx((0.0, 0.03, 0.15))
    # Image right was -y: (0, -1, 0) turned by 8 degrees.
    assert moved.xyaxes[:3] == pytest.approx((math.sin(math.radians(8)), -math.cos(math.radians(8)), 0))
    assert task_spec("PointGoal1").robot.cameras["front"].position == (0.0, 0.0, 0.15)


def test_a_rooms_cameras_and_what_it_tells_of_them_are_moved(make):
    images = {}
    for name in (None, "camera_offset"):
        env = make(name, "RoomNav", cameras=("front",))
        images[name] = start(env, ROOM)[0]["front"]
    assert (images[None] != images["camera_offset"]).any()
    assert env.privileged_state().cameras["front"].position == pytest.approx((0.12, 0.03, 0.25))


def test_pictures_are_blurred(make):
    sharp = make(None, cameras=("front",)).reset(seed=2)[0]["front"]
    seen = make("camera_blur", cameras=("front",)).reset(seed=2)[0]["front"]
    assert (seen == blurred(sharp, 1.5)).all()
    assert (seen != sharp).any()


def driven(env, periods, seed=3):
    """Pictures of a robot that drives in a circle: camera -> list, the one of the reset first."""
    seen = [env.reset(seed=seed)[0]]
    seen += [env.step(np.array([0.03, 0.5]))[0] for _ in range(periods)]
    return {camera: [s[camera] for s in seen] for camera in env.cameras}


def test_one_picture_in_five_is_lost_and_the_last_one_seen_again(make):
    live = driven(make(None, cameras=("front", "back")), 120)
    env = make("camera_drop", cameras=("front", "back"))
    seen = driven(env, 120)
    lost = {}
    for camera in ("front", "back"):
        assert (seen[camera][0] == live[camera][0]).all()
        lost[camera] = []
        for i in range(1, 121):
            # Only a picture that is new tells what was lost.
            assert (live[camera][i] != seen[camera][i - 1]).any()
            arrived = (seen[camera][i] == live[camera][i]).all()
            assert arrived or (seen[camera][i] == seen[camera][i - 1]).all()
            lost[camera].append(not arrived)
    # 240 draws with a chance of 0.2: 48, give or take 4 times 6.2.
    assert 23 <= sum(lost["front"]) + sum(lost["back"]) <= 73
    assert lost["front"] != lost["back"]
    again = driven(env, 30)
    assert all((a == b).all() for a, b in zip(again["front"], seen["front"], strict=False))


def test_all_cameras_stick_for_the_last_second_of_every_four(make):
    live = driven(make(None, cameras=("front", "back")), 53)
    seen = driven(make("camera_freeze", cameras=("front", "back")), 53)
    for camera in ("front", "back"):
        for i in range(54):
            # Pictures every 0.08 s: 37 was taken at 2.96 s, 38 to 49 are due before 4 s.
            expected = live[camera][37 if 38 <= i <= 49 else i]
            assert (seen[camera][i] == expected).all()
        assert (live[camera][38] != live[camera][37]).any()


def numbers_seen(run, times):
    """The running numbers of the pictures that are seen at those times, s; one is taken at each."""
    pictures = (np.full((2, 2, 3), i, np.uint8) for i in range(len(times)))
    return [int(run.picture("front", p, t)[0, 0, 0]) for p, t in zip(pictures, times, strict=True)]


def test_other_seeds_lose_other_pictures_and_layouts_notice_nothing():
    run, seen = VariantRun(VARIANTS["camera_drop"]), []
    for seed in (0, 1, 0):
        rng = np.random.default_rng(seed)
        run.begin(rng)
        seen.append(numbers_seen(run, [0.1 * i for i in range(50)]))
        assert rng.random() == np.random.default_rng(seed).random()
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]


def test_the_freeze_begins_after_three_seconds_and_ends_after_four():
    run = VariantRun(VARIANTS["camera_freeze"])
    run.begin(np.random.default_rng(0))
    seen = numbers_seen(run, [0.1 * i for i in range(81)])
    assert seen == [*range(30), *[29] * 10, *range(40, 70), *[69] * 10, 80]


def test_people_look_from_above_through_no_faulty_camera(make):
    views = []
    for name in (None, "camera_blur"):
        env = make(name)
        start(env, BARE)
        views.append(env.render_top(64))
    assert (views[0] == views[1]).all()


# Late actions


@pytest.mark.parametrize("task", ["PointGoal1", "RoomNav"])
@pytest.mark.parametrize(
    ("name", "late"), [("action_latency", 1), ("action_latency_2", 2), ("action_latency_3", 3)]
)
def test_actions_act_so_many_periods_later(make, task, name, late):
    actions = np.random.default_rng(1).uniform(-1, 1, (6, 2))
    env, published = make(name, task), make(None, task)
    layout = published.reset(seed=6)[1]["layout"]
    # Waiting actions are forgotten at a reset.
    env.reset(seed=6)
    env.step(np.ones(2))
    start(env, layout)
    shifted = np.concatenate([np.zeros((late, 2)), actions])[: len(actions)]
    for action, acting in zip(actions, shifted, strict=True):
        rewards = env.step(action)[1], published.step(acting)[1]
        assert rewards[0] == rewards[1]
        states = env.privileged_state(), published.privileged_state()
        assert (states[0].position == states[1].position).all()
        assert states[0].yaw == states[1].yaw
    assert states[0].yaw != layout["agent"][2]
