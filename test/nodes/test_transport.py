import os
import subprocess
import sys

import pytest

from safe_o2o_ros.nodes.transport import PROFILE_VARIABLES, RANGE_VARIABLE, choose_transport
from safe_o2o_ros.resources import share_path

FAST_DDS = "rmw_fastrtps_cpp"
NETWORK = str(share_path("config", "fastdds.xml"))
LOCALHOST = str(share_path("config", "fastdds_localhost.xml"))

NODE = """
import rclpy
from safe_o2o_ros.nodes.runner import ThinNode, run

class Mapped(ThinNode):
    def __init__(self):
        super().__init__("mapped", ())
    def work(self):
        with open("/proc/self/maps") as maps:
            print(sum("/dev/shm/fast" in line for line in maps))
        self.finished = True

raise SystemExit(run(Mapped, ["mapped"]))
"""


def chosen(rmw=FAST_DDS, **environment):
    choose_transport(environment, rmw)
    return environment


def test_the_profile_is_given_to_fast_dds_of_every_age():
    assert chosen() == dict.fromkeys(PROFILE_VARIABLES, NETWORK)
    assert chosen(**{RANGE_VARIABLE: "SUBNET"})[RANGE_VARIABLE] == "SUBNET"


@pytest.mark.parametrize("given", [{RANGE_VARIABLE: "LOCALHOST"}, {"ROS_LOCALHOST_ONLY": "1"}])
def test_localhost_becomes_the_profile_that_reaches_no_further(given):
    expected = dict.fromkeys(PROFILE_VARIABLES, LOCALHOST)
    assert chosen(**given) == {**expected, RANGE_VARIABLE: "SYSTEM_DEFAULT"}


@pytest.mark.parametrize(
    "given",
    [
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/etc/mine.xml"},
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/etc/mine.xml", RANGE_VARIABLE: "LOCALHOST"},
        {"ROS_STATIC_PEERS": "10.0.0.2", RANGE_VARIABLE: "LOCALHOST"},
    ],
)
def test_what_the_user_chose_is_left_alone(given):
    assert chosen(**given) == given


def test_other_middleware_is_left_alone():
    assert chosen("rmw_cyclonedds_cpp", **{RANGE_VARIABLE: "LOCALHOST"}) == {RANGE_VARIABLE: "LOCALHOST"}


@pytest.mark.parametrize("reach", ["LOCALHOST", "SUBNET"])
def test_a_node_shares_no_memory_with_other_processes(reach):
    environment = {**os.environ, RANGE_VARIABLE: reach}
    done = subprocess.run(
        [sys.executable, "-c", NODE], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0"], done.stderr
