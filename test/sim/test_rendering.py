"""What the cameras see, and that it is the same bits every time."""

import hashlib
import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import safe_o2o_ros.sim  # noqa: F401

BARE = {"agent": [0, 0, 0], "goals": [[-50.0, 50.0]], "hazards": [], "vases": []}


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make("safe_o2o/PointGoal1-v0")
    yield made
    made.close()


def look(env, **layout):
    return env.reset(seed=0, options={"layout": {**BARE, **layout}})[0]


def share(image, mask):
    """Part of the pixels for which mask(r, g, b) holds."""
    r, g, b = (image[..., c].astype(int) for c in range(3))
    return float(mask(r, g, b).mean())


def blue(r, g, b):
    return (b > r + 50) & (b > g + 50) & (b > 150)


def green(r, g, b):
    return (g > r + 20) & (g > b + 20)


def cyan(r, g, b):
    return (np.abs(g - b) < 20) & (g > r + 60)


def test_observation_is_a_pair_of_rgb_images(env):
    observation, _ = env.reset(seed=1)
    assert list(observation) == ["front", "back"]
    assert all(i.shape == (64, 64, 3) and i.dtype == np.uint8 for i in observation.values())
    assert observation in env.observation_space


def test_passes_gymnasiums_checker():
    check_env(gymnasium.make("safe_o2o/PointGoal1-v0").unwrapped, skip_render_check=True)


def test_robot_fills_the_bottom_of_the_front_image_only(env):
    seen = look(env)
    red_ball = seen["front"][60, 32].astype(int)
    assert red_ball[0] > 100
    assert red_ball[1:].max() < 60
    arrow = seen["front"][44, 32].astype(int)
    assert arrow[2] > 80
    assert arrow[0] < 40
    assert share(seen["back"], lambda r, g, b: r > g + 80) == 0


def test_sky_is_near_black_and_floor_is_a_light_checker(env):
    back = look(env)["back"]
    assert back[:30].max() < 10
    floor = back[40:].reshape(-1, 3).astype(int)
    assert floor.min() > 150
    assert len(np.unique(floor, axis=0)) > 1


@pytest.mark.parametrize(
    ("key", "mask"), [("hazards", blue), ("vases", cyan), ("goals", green)], ids=["hazard", "vase", "goal"]
)
def test_objects_show_where_they_stand(env, key, mask):
    ahead, behind = look(env, **{key: [[0.8, 0.0]]}), look(env, **{key: [[-0.8, 0.0]]})
    assert share(ahead["front"], mask) > 0.01 > share(ahead["back"], mask) == 0
    assert share(behind["back"], mask) > 0.01 > share(behind["front"], mask) == 0
    left, right = look(env, **{key: [[0.8, 0.5]]}), look(env, **{key: [[0.8, -0.5]]})
    assert share(left["front"][:, :32], mask) > share(left["front"][:, 32:], mask)
    assert share(right["front"][:, :32], mask) < share(right["front"][:, 32:], mask)
    # In the back image, the robot's left (+y) is on the right.
    aside = look(env, **{key: [[-0.8, 0.5]]})
    assert share(aside["back"][:, :32], mask) < share(aside["back"][:, 32:], mask)


def test_goal_and_hazard_are_translucent(env):
    plain = look(env)["back"].astype(int)
    for key in ("goals", "hazards"):
        tinted = look(env, **{key: [[-0.8, 0.0]]})["back"][:, 24:40].astype(int)
        floor = plain[:, 24:40]
        mask = (np.abs(tinted - floor).sum(-1) > 30) & (floor.min(-1) > 150)
        assert mask.any()
        # alpha 0.25 keeps most of the floor's own light in the channel the object lacks.
        assert tinted[mask][:, 0].mean() > 80


def test_near_plane_is_4_cm(env):
    env.reset(seed=0)
    model = env.unwrapped._scene.model
    assert model.vis.map.znear * model.stat.extent == pytest.approx(0.0396)
    assert model.stat.meansize == 0.23


def test_what_is_left_out_of_view_changes_no_pixel(env):
    rng = np.random.default_rng(0)
    unwrapped = env.unwrapped
    for seed in range(10):
        env.reset(seed=seed)
        env.step(rng.uniform(-1, 1, 2).astype(np.float32))
        for name in ("front", "back"):
            scene, renderer = unwrapped._scene, unwrapped._renderer
            assert (renderer.image(scene.data, name) == renderer.image(scene.data, name, cull=False)).all()


def test_top_view_shows_the_arena_and_leaves_observations_alone(env):
    before = look(env, hazards=[[1.0, 1.0]])
    top = env.unwrapped.render_top(128)
    assert top.shape == (128, 128, 3)
    assert share(top[:64, 64:], blue) > 0.005
    assert share(top[72:], blue) == 0
    after = env.unwrapped._observe()
    assert all((before[k] == after[k]).all() for k in before)


def test_two_environments_in_one_process_do_not_mix(env):
    first = look(env, vases=[[0.6, 0.0]])
    other = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=("back",))
    assert list(look(other)) == ["back"]
    again = env.unwrapped._observe()
    assert all((first[k] == again[k]).all() for k in first)
    other.close()


def test_no_cameras_gives_an_empty_observation():
    blind = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=())
    assert blind.reset(seed=0)[0] == {}
    assert blind.step(np.zeros(2, np.float32))[0] == {}


def test_closing_twice_and_resetting_after_works():
    made = gymnasium.make("safe_o2o/PointGoal1-v0", cameras=("front",))
    made.reset(seed=0)
    made.close()
    made.unwrapped.close()
    assert made.reset(seed=0)[0]["front"].max() > 0
    made.close()


_EPISODE = """
import hashlib, sys
import gymnasium, numpy as np
import safe_o2o_ros.sim
assert "mujoco" not in sys.modules
env = gymnasium.make("safe_o2o/PointGoal1-v0")
digest = hashlib.sha256()
observation, info = env.reset(seed=7)
for action in np.random.default_rng(3).uniform(-1, 1, (30, 2)).astype(np.float32):
    for image in observation.values():
        digest.update(image.tobytes())
    observation, reward, _, _, info = env.step(action)
    digest.update(repr((reward, info["cost"], info["goal"])).encode())
print(digest.hexdigest())
"""


def test_an_episode_is_bit_identical_in_two_processes():
    runs = [
        subprocess.run([sys.executable, "-c", _EPISODE], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0].strip()) == hashlib.sha256().digest_size * 2


def test_missing_graphics_are_one_named_error():
    script = """
import sys
sys.modules["OpenGL.EGL"] = None  # as where libEGL cannot be loaded
import gymnasium
import safe_o2o_ros.sim
from safe_o2o_ros.errors import MissingExtraError
try:
    gymnasium.make("safe_o2o/PointGoal1-v0").reset(seed=0)
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "libegl1" in done.stdout


def test_images_come_also_where_mujoco_was_imported_first_with_another_backend() -> None:
    code = (
        "import mujoco, gymnasium, safe_o2o_ros.sim\n"
        "env = gymnasium.make('safe_o2o/PointGoal1-v0')\n"
        "print(env.reset(seed=1)[0]['front'].max())"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
