"""Base files: what they may hold, and what is said of a wrong one."""

import math

import pytest
import yaml

from safe_o2o_ros.base import adapter_for, read_base
from safe_o2o_ros.errors import BaseFileError
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.robot import POINT, ROOM_BASE

OWN = {
    "name": "my_robot",
    "action_names": ["linear.x", "angular.z"],
    "action_units": ["m/s", "rad/s"],
    "scale": [1, 2.0],
    "saturation": [1.0, 1.0],
    "brake": "velocity",
    "top_speed": [1.0, 2.0],
    "time_constant_s": [0.0, 0.0],
    "max_accel": [1.0, math.inf],
    "max_decel": [1.0, 2.0],
}


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "base.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return str(path)

    return write


@pytest.mark.parametrize("path", sorted(share_path("config", "bases").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_base_can_be_read_by_its_name(path):
    base = read_base(path.stem)
    assert base.path == path
    assert base.adapter is not None


def test_a_turtlebot_is_limited_as_its_maker_says():
    base = read_base("turtlebot4")
    assert base.adapter is ROOM_BASE
    assert base.max_velocity == (0.46, 0.0, 1.9)
    assert base.max_decel == (-0.9, 0.0, -3.0)
    assert base.limits["min_velocity"] == [-0.46, 0.0, -1.9]


def test_what_a_file_leaves_out_is_left_alone(file):
    base = read_base(file({"base_frame_id": "base_footprint"}))
    assert (base.adapter, base.limits, base.remaps) == (None, {}, ())
    assert base.enable_stamped_cmd_vel is None
    assert base.base_frame_id == "base_footprint"


def test_only_topics_of_other_names_are_remapped(file):
    base = read_base(file({"topics": {"cmd_vel": "/diffbot/cmd_vel", "odom": "odom"}}))
    assert base.remaps == (("cmd_vel", "/diffbot/cmd_vel"),)


def test_a_file_may_define_an_adapter_of_its_own(file):
    path = file({"adapter": OWN})
    adapter = adapter_for(path)
    assert adapter.scale == (1.0, 2.0)
    assert adapter.max_accel == (1.0, math.inf)
    assert read_base(path).adapter == adapter


def test_an_adapter_is_found_by_name_or_file():
    assert adapter_for("point") is POINT
    with pytest.raises(BaseFileError, match="no adapter .hovercraft.: choose among point, room_base"):
        adapter_for("hovercraft")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "must be a mapping"),
        ("a: [", "cannot be read"),
        ({"max_speed": 1.0}, "unknown key 'max_speed', choose among adapter, max_velocity"),
        ({"max_velocity": [1.0, 2.0]}, "max_velocity must be three numbers"),
        ({"max_velocity": [1.0, 0.0, math.nan]}, "max_velocity must be three numbers"),
        ({"max_velocity": [1.0, 0.0, True]}, "max_velocity must be three numbers"),
        ({"max_velocity": [-1.0, 0.0, 1.0]}, "max_velocity must be 0 or more"),
        ({"min_velocity": [0.1, 0.0, 0.0]}, "min_velocity must be 0 or less"),
        ({"max_decel": [1.0, 0.0, 1.0]}, "max_decel must be 0 or less in each entry, as in Nav2"),
        ({"enable_stamped_cmd_vel": "yes please"}, "must be true or false"),
        ({"base_frame_id": ""}, "base_frame_id must be the name of a frame"),
        ({"topics": ["cmd_vel"]}, "topics must be a mapping"),
        ({"topics": {"scan": "scan"}}, "unknown key 'scan'"),
        ({"topics": {"cmd_vel": "two words"}}, "must be the name of a topic, not 'two words'"),
        ({"adapter": "hovercraft"}, "unknown adapter 'hovercraft'"),
        ({"adapter": {"name": "mine"}}, "exactly the keys name, action_names"),
        ({"adapter": OWN | {"name": 3}}, "name must be text"),
        ({"adapter": OWN | {"scale": ["a", "b"]}}, "scale must be a list of numbers"),
        ({"adapter": OWN | {"scale": [1.0]}}, "one entry per action channel"),
        ({"adapter": OWN | {"scale": [0.0, 1.0]}}, "scale must be finite and not 0"),
        ({"adapter": OWN | {"brake": "anchor"}}, "brake must be one of"),
        ({"adapter": OWN | {"action_names": ["linear.x", "linear.q"]}}, "different ones of linear.x"),
        ({"adapter": OWN | {"action_names": ["linear.x", "linear.x"]}}, "different ones of linear.x"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_key(file, data, words):
    path = file(data)
    with pytest.raises(BaseFileError) as refused:
        read_base(path)
    assert words in str(refused.value)
    assert path in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_file_without_adapter_are_named(file):
    with pytest.raises(BaseFileError, match="'/nowhere.yaml' does not exist"):
        read_base("/nowhere.yaml")
    with pytest.raises(BaseFileError, match="has no adapter"):
        adapter_for(file({"base_frame_id": "base_link"}))
