"""How a node's messages travel: UDP only, so that a process killed beside it cannot make it wait.

Fast DDS's shared memory keeps its locks in memory that all processes share; one killed with a lock in
its hands blocked the safety filter's publish() for seconds. See docs/benchmarks.md, stop times.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from safe_o2o_ros.resources import share_path

PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS 2 (Humble, Jazzy) and Fast DDS 3 (Kilted and later) look."""
RANGE_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_OLD_RANGE_VARIABLE = "ROS_LOCALHOST_ONLY"
_FAST_DDS = "rmw_fastrtps"


def choose_transport(environment: MutableMapping[str, str], rmw: str) -> None:
    """Set the shipped profile in `environment`; call before rclpy is initialised.

    `rmw`: the middleware in use. Other middleware, a profile of the user's, and static peers within
    LOCALHOST are left alone. Raises ResourceError when the profile is not installed.
    """
    if not rmw.startswith(_FAST_DDS) or any(environment.get(name) for name in PROFILE_VARIABLES):
        return
    reach = environment.get(RANGE_VARIABLE, "")
    local = reach.upper() == "LOCALHOST" or environment.get(_OLD_RANGE_VARIABLE) == "1"
    if local and environment.get("ROS_STATIC_PEERS"):
        return
    profile = str(share_path("config", "fastdds_localhost.xml" if local else "fastdds.xml"))
    for name in PROFILE_VARIABLES:
        environment[name] = profile
    if local:
        # rmw_fastrtps answers LOCALHOST with shared memory, whatever the profile says.
        environment.pop(_OLD_RANGE_VARIABLE, None)
        environment[RANGE_VARIABLE] = "SYSTEM_DEFAULT"
