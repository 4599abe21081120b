"""Parameters of the safety filter, and what is read from them."""

from __future__ import annotations

from safe_o2o_ros.nodes.bundles import BUNDLE_SPECS
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.base_limits import negative_entries, positive_entries, tightened
from safe_o2o_ros.safety.inbox import Timeouts
from safe_o2o_ros.safety.limits import Bounds
from safe_o2o_ros.types import Mode

_AXES = "[vx, vy, wz], m/s and rad/s"
_RATES = "[vx, vy, wz], m/s^2 and rad/s^2"
_TIGHTEN = "Empty = the bundle's; never wider than it."


def _limit(name: str, text: str, negative: bool = False) -> Spec:
    check = negative_entries if negative else positive_entries
    return Spec(name, [], f"{text} {_TIGHTEN}", element=float, length=(0, 3), check=check)


SPECS = (
    *BUNDLE_SPECS,
    Spec(
        "mode",
        "filter",
        "What to do with what is computed.",
        choices=tuple(m.value for m in Mode),
        dynamic=True,
    ),
    Spec(
        "novelty",
        "stop",
        "What out-of-distribution pictures do: brake, or only tighter limits.",
        choices=("stop", "caution"),
    ),
    Spec(
        "risk_share",
        1.0,
        "Share of the bundle's risk threshold up to which commands are certified; less is stricter.",
        0.0,
        1.0,
    ),
    Spec(
        "stuck_timeout",
        0.5,
        "Standing under the filter's hand after which a try to get around begins, seconds; 0 = never.",
        0.0,
        60.0,
    ),
    Spec("adapter", "point", "Robot assumed without a bundle: a known name, or the path of a base file."),
    Spec("start_enabled", False, "Enabled from the start, without a call of ~/enable."),
    Spec("lockstep", False, "Simulated time stands still between commands (repeatable simulation)."),
    Spec("filter_frequency", 20.0, "Rate of the deadline timer, Hz.", 1.0, 200.0),
    Spec(
        "image_timeout",
        0.5,
        "Age of latent or nominal command that brakes, seconds.",
        0.05,
        10.0,
        dynamic=True,
    ),
    Spec("teleop_timeout", 0.5, "The operator's dead-man, seconds.", 0.05, 5.0, dynamic=True),
    Spec(
        "enable_stamped_cmd_vel_teleop",
        False,
        "Expect TwistStamped on cmd_vel_teleop, else Twist; the other is taken where only it is offered.",
    ),
    Spec("use_e_stop", False, "Brake unless e_stop (Bool) says false, again and again."),
    Spec("e_stop_timeout", 0.5, "Silence of e_stop that locks, seconds.", 0.05, 10.0, dynamic=True),
    Spec(
        "use_odom",
        "auto",
        "Measured speed from odom: where it comes, never, or brake without it. Lockstep uses it of bases "
        "that obey velocities only.",
        choices=("auto", "never", "require"),
    ),
    Spec("odom_timeout", 0.5, "Age of odom beyond which it is not used, seconds.", 0.05, 10.0, dynamic=True),
    _limit("max_velocity", f"Largest speed forward and to the left, {_AXES}."),
    _limit("min_velocity", f"Largest speed backward and to the right, {_AXES}, 0 or less.", negative=True),
    _limit("max_accel", f"Largest acceleration, {_RATES}."),
    _limit("max_decel", f"Largest deceleration, {_RATES}, 0 or less as in Nav2.", negative=True),
    Spec(
        "stop_pub_timeout",
        1.0,
        "Zeros are sent this long after a stop, then nothing, seconds.",
        0.0,
        60.0,
    ),
    Spec("enable_stamped_cmd_vel", True, "cmd_vel is TwistStamped, else Twist."),
    Spec("base_frame_id", "base_link", "Frame of commands, and of the twist in odom."),
    Spec("state_every_tick", False, "Publish safety/state for every decision, not only changes and 2 Hz."),
)


def timeouts(parameters: Parameters) -> Timeouts:
    """Largest ages as they are set now."""
    p = parameters
    return Timeouts(p["image_timeout"], p["teleop_timeout"], p["e_stop_timeout"], p["odom_timeout"])


def bounds(parameters: Parameters, adapter: RobotAdapter) -> Bounds:
    """The adapter's limits, made tighter by the parameters. Raises UsageError."""
    p = parameters
    return tightened(
        adapter,
        max_velocity=p["max_velocity"],
        min_velocity=p["min_velocity"],
        max_accel=p["max_accel"],
        max_decel=p["max_decel"],
    )
