"""What RoomNav's cameras see, and that it is the same bits every time."""

import hashlib
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

import safe_o2o_ros.sim  # noqa: F401

BARE = {
    "agent": [0.0, 0.0, 0.0],
    "goals": [[-1.5, 0.0]],
    "furniture": {},
    "walls": {"pattern": "plain", "rgb1": [0.7, 0.7, 0.7], "rgb2": [0.7, 0.7, 0.7]},
    "floor": {"pattern": "plain", "rgb1": [0.4, 0.45, 0.4], "rgb2": [0.4, 0.45, 0.4]},
}


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make("safe_o2o/RoomNav-v0")
    yield made
    made.close()


def look(env, **layout):
    return env.reset(seed=0, options={"layout": {**BARE, **layout}})[0]


def magenta(image):
    """Pixels of the goal's colour."""
    r, g, b = (image[..., c].astype(int) for c in range(3))
    return (r > 150) & (b > 150) & (g < 90)


def test_the_goal_shows_where_it_stands_and_its_hue_is_unmistakable(env):
    ahead, behind = look(env, goals=[[1.5, 0.0]]), look(env, goals=[[-1.5, 0.0]])
    assert magenta(ahead["front"]).sum() > 20 > magenta(ahead["back"]).sum() == 0
    assert magenta(behind["back"]).sum() > 20 > magenta(behind["front"]).sum() == 0
    left = look(env, goals=[[1.5, 0.8]])["front"]
    assert magenta(left[:, :32]).sum() > 10 > magenta(left[:, 32:]).sum() == 0
    # In the back image, the robot's left (+y) is on the right.
    aside = look(env, goals=[[-1.5, 0.8]])["back"]
    assert magenta(aside[:, 32:]).sum() > 10 > magenta(aside[:, :32]).sum() == 0


def test_the_goal_has_the_size_that_its_distance_gives(env):
    seen = magenta(look(env, goals=[[-1.62, 0.0]])["back"])
    # Camera 0.12 m behind the centre: 1.5 m to the goal's axis, 1.35 m to its face; 32 px are 45 degrees.
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    assert len(columns) == pytest.approx(2 * 32 * 0.15 / 1.5, abs=1)
    # 0.25 m above and below the camera.
    assert (rows[0], rows[-1]) == (pytest.approx(31.5 - 32 * 0.25 / 1.4, abs=1.2),) + (
        pytest.approx(31.5 + 32 * 0.25 / 1.4, abs=1.2),
    )


def test_no_part_of_the_robot_is_in_a_picture(env):
    dark = [(i.astype(int).max(axis=-1) < 60).sum() for i in look(env).values()]
    assert dark == [0, 0]


def test_the_front_camera_sees_the_floor_at_its_feet(env):
    """The lowest row of a level camera at 0.25 m starts 0.25 m ahead of it; tilted by 15 degrees 0.14 m."""
    low = {"position": [0.32, 0.0], "yaw": 0.0, "size": [0.02, 0.2, 0.2], "rgb": [0.1, 0.2, 0.9]}
    front = look(env, furniture={"boxes": [low]})["front"]
    # The box starts at x = 0.30, 0.13 m beyond the hull; floor shows below it.
    blue = (front[..., 2].astype(int) > front[..., 0] + 40).any(axis=1)
    assert blue.any()
    assert not blue[-1]


def test_pressed_against_a_wall_the_camera_does_not_see_through_it(env):
    observation = look(env, agent=[2.3, 0.0, 0.0])
    for _ in range(20):
        observation = env.step(np.array([1, 0], np.float32))[0]
    front = observation["front"].astype(int)
    assert env.unwrapped.privileged_state().contact
    # Only wall: grey from edge to edge, no sky and no floor but in the lowest rows.
    assert np.abs(front[:40] - front[:40].mean(axis=-1, keepdims=True)).max() < 8
    assert front[:40].max() - front[:40].min() < 60


def test_hidden_starts_show_nothing_of_the_goal_and_the_others_do(env):
    from safe_o2o_ros.sim.room.layout import sees_goal

    shown = []
    for seed in range(16):
        observation, info = env.reset(seed=seed)
        state = env.unwrapped.privileged_state()
        pixels = sum(int(magenta(image).sum()) for image in observation.values())
        seen = sees_goal(state.obstacles, tuple(info["layout"]["agent"]), info["goal"])
        assert (pixels > 0) == seen
        shown.append(seen)
    assert True in shown and False in shown


def test_table_tops_hide_nothing_below_them_and_legs_are_thin(env):
    table = {"position": [1.0, 0.0], "yaw": 0.0, "size": [0.3, 0.4, 0.6], "rgb": [0.6, 0.4, 0.2]}
    seen = look(env, goals=[[1.9, 0.0]], furniture={"tables": [table]})
    assert magenta(seen["front"]).sum() > 10


def test_top_view_shows_the_room_and_leaves_observations_alone(env):
    before = look(env, goals=[[1.5, 1.0]])
    top = env.unwrapped.render_top(120)
    assert top.shape == (120, 120, 3)
    # 3 m to each side: the goal's foot is at column 90, row 40, and its top leans outwards.
    rows, columns = np.nonzero(magenta(top))
    assert 85 <= columns.mean() <= 96
    assert 32 <= rows.mean() <= 44
    again = env.unwrapped._observe()
    assert all((before[k] == again[k]).all() for k in before)


def test_patterns_and_colours_change_the_picture(env):
    plain = look(env)["back"]
    for pattern in ("checker", "stripes", "gradient"):
        walls = {"pattern": pattern, "rgb1": [0.9, 0.5, 0.4], "rgb2": [0.4, 0.3, 0.3]}
        changed = look(env, walls=walls)["back"]
        # The wall fills the upper middle of the picture; the goal is in front of it.
        assert np.abs(changed[:30].astype(int) - plain[:30]).mean() > 5
        assert len(np.unique(changed[20:28].reshape(-1, 3), axis=0)) > 1


def test_what_is_left_out_of_view_changes_no_pixel(env):
    for seed in range(5):
        env.reset(seed=seed)
        scene, renderer = env.unwrapped._scene, env.unwrapped._renderer
        for name in ("front", "back"):
            assert (renderer.image(scene.data, name) == renderer.image(scene.data, name, cull=False)).all()


def test_no_cameras_gives_an_empty_observation():
    blind = gymnasium.make("safe_o2o/RoomNav-v0", cameras=())
    assert blind.reset(seed=0)[0] == {}
    assert blind.step(np.zeros(2, np.float32))[0] == {}


def test_closing_twice_and_resetting_after_works():
    made = gymnasium.make("safe_o2o/RoomNav-v0", cameras=("front",), render_mode="rgb_array")
    made.reset(seed=0)
    assert made.render().shape == (256, 256, 3)
    made.close()
    made.unwrapped.close()
    assert made.reset(seed=0)[0]["front"].max() > 0
    made.close()


_EPISODE = """
import hashlib, sys
import gymnasium, numpy as np
import safe_o2o_ros.sim
assert "mujoco" not in sys.modules
env = gymnasium.make("safe_o2o/RoomNav-v0")
digest = hashlib.sha256()
for seed in (7, 8):
    observation, info = env.reset(seed=seed)
    for action in np.random.default_rng(3).uniform(-1, 1, (20, 2)).astype(np.float32):
        for image in observation.values():
            digest.update(image.tobytes())
        observation, reward, _, _, info = env.step(action)
        digest.update(repr((reward, info)).encode())
print(digest.hexdigest())
"""


def test_episodes_are_bit_identical_in_two_processes():
    runs = [
        subprocess.run([sys.executable, "-c", _EPISODE], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == hashlib.sha256().digest_size * 2
