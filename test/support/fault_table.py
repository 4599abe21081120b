"""What goes wrong, what the robot then does, and where the cause is named: test and docs/faults.md in one.

`python test/support/fault_table.py > docs/faults.md` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DRIVES, BRAKES, ANSWERS = "drives on", "brakes", "answers within its limits"
"""End states. ANSWERS: what the robot does is open, since nothing in the graph can know better."""


@dataclass(frozen=True)
class Fault:
    """One row."""

    name: str
    what: str
    """What goes wrong, for people."""
    end: str
    """DRIVES, BRAKES or ANSWERS, for as long as the fault lasts."""
    named: str
    """Where the cause is named, for people."""
    simulate: dict[str, Any] = field(default_factory=dict)
    """Faults of sim_node that are switched on, without "fault."."""
    send: str = ""
    """What the test publishes meanwhile: name of its method."""
    halt: str = ""
    """Node whose process is stopped (SIGSTOP) meanwhile."""
    reason: str = ""
    """Filter's reason that must be seen, with `late_input`."""
    late_input: str = ""
    state: dict[str, str] = field(default_factory=dict)
    """Keys of safety/state and what their values must contain, "" = anything but "0" and nothing."""
    status: str = ""
    """Name of the diagnostic status that must not be OK ("" = none)."""
    words: str = ""
    """What its message must contain."""
    counts: tuple[str, ...] = ()
    """Values of that status that must be above 0."""


GROUPS: dict[str, tuple[Fault, ...]] = {
    "Cameras": (
        Fault(
            "dropped",
            "no frame of any camera arrives",
            BRAKES,
            "`safety/state`: late input `latent`; encoder_node: which camera is silent",
            simulate={"camera_drop": 1.0},
            reason="stale",
            late_input="latent",
            status="encoder_node",
            words="no good frames of camera",
        ),
        Fault(
            "one dropped",
            "no frame of one of two cameras arrives",
            BRAKES,
            "`safety/state`: late input `latent`; encoder_node: the camera's name",
            simulate={"camera": "back", "camera_drop": 1.0},
            reason="stale",
            late_input="latent",
            status="encoder_node",
            words="no good frames of camera back",
        ),
        Fault(
            "driver repeats itself",
            "the same message again and again, stamp included",
            BRAKES,
            "`safety/state`: late input `latent`; encoder_node: count `repeated_<camera>`",
            simulate={"camera_freeze": "message"},
            reason="stale",
            late_input="latent",
            status="encoder_node",
            counts=("repeated_front", "repeated_back"),
        ),
        Fault(
            "some dropped",
            "three frames in ten are lost, of each camera for itself",
            DRIVES,
            "encoder_node: received rate beside the expected one",
            simulate={"camera_drop": 0.3},
            status="encoder_node",
            words="frame sets/s, expected",
        ),
        Fault(
            "late",
            "frames arrive 0.3 s after their capture",
            DRIVES,
            "`safety/state`: `clock_offset_latent_s`; sim_node",
            simulate={"camera_latency": 0.3},
            state={"clock_offset_latent_s": "0.3"},
            status="sim_node",
            words="camera_latency",
        ),
        Fault(
            "picture frozen",
            "old pixels under new stamps",
            DRIVES,
            "sim_node only: a robot that stands sees the same",
            simulate={"camera_freeze": "pixels"},
            status="sim_node",
            words="camera_freeze",
        ),
        Fault(
            "blurred",
            "a Gaussian blur of 3 pixels",
            DRIVES,
            "sim_node only: nothing judges pictures yet",
            simulate={"camera_blur": 3.0},
            status="sim_node",
            words="camera_blur",
        ),
        Fault(
            "shifted",
            "the picture moves by 6 pixels, as after a blow against the mount",
            DRIVES,
            "sim_node only: nothing judges pictures yet",
            simulate={"camera_offset": 6},
            status="sim_node",
            words="camera_offset",
        ),
        Fault(
            "garbled frames in between",
            "a second driver publishes images with missing bytes, no size, unknown encoding",
            DRIVES,
            "encoder_node: what is wrong with the image, count `refused_<camera>`",
            send="garbled_images",
            status="encoder_node",
            words="camera front",
            counts=("refused_front",),
        ),
        Fault(
            "frames of another size",
            "all frames are 48 x 80 instead of 64 x 64",
            DRIVES,
            "nowhere: they are resized as in training",
            simulate={"camera_drop": 1.0},
            send="large_images",
        ),
        Fault(
            "stamps jump by hours",
            "the clock that stamps the frames is set back and forth",
            DRIVES,
            "encoder_node: count `clock_jumps_<camera>`; `safety/state`: `clock_offset_latent_s`",
            simulate={"camera_drop": 1.0},
            send="jumping_images",
            state={"clock_offset_latent_s": "3600."},
            status="encoder_node",
            counts=("clock_jumps_front",),
        ),
    ),
    "Messages between the nodes": (
        Fault(
            "latent of another bundle",
            "a second encoder with another bundle publishes beside the right one",
            BRAKES,
            "`safety/state`: `unknown_bundle`, `latent`; policy_node: both versions",
            send="foreign_latents",
            reason="unknown_bundle",
            late_input="latent",
            status="policy_node",
            words="bundle 'other'",
            counts=("refused_other_bundle",),
        ),
        Fault(
            "latent of wrong size",
            "right version, half the numbers",
            BRAKES,
            "`safety/state`: `unknown_bundle`, `latent`; policy_node",
            send="short_latents",
            reason="unknown_bundle",
            late_input="latent",
            status="policy_node",
            counts=("refused_other_bundle",),
        ),
        Fault(
            "latent is NaN",
            "NaN in the latent, between good ones",
            BRAKES,
            "`safety/state`: `non_finite`, `latent`; policy_node",
            send="nan_latents",
            reason="non_finite",
            late_input="latent",
            status="policy_node",
            words="not finite",
            counts=("refused_non_finite",),
        ),
        Fault(
            "latent is huge",
            "finite values of 1e30",
            ANSWERS,
            "nowhere, unless a network's output is not finite: then `non_finite`",
            send="huge_latents",
        ),
        Fault(
            "nominal command is NaN",
            "NaN in one field of `cmd_vel_nominal`, between good ones",
            BRAKES,
            "`safety/state`: `non_finite`, `cmd_vel_nominal`",
            send="nan_nominals",
            reason="non_finite",
            late_input="cmd_vel_nominal",
        ),
        Fault(
            "nominal command is huge",
            "1e30 m/s asked for",
            DRIVES,
            "`safety/state`: `nominal` beside `action`",
            send="huge_nominals",
            state={"nominal": "[1.0, -0.24"},
        ),
        Fault(
            "executed command is NaN",
            "a second publisher of `executed_cmd` says NaN",
            DRIVES,
            "encoder_node: count `executed_cmd_refused`",
            send="nan_executed",
            status="encoder_node",
            words="executed_cmd",
            counts=("executed_cmd_refused",),
        ),
        Fault(
            "executed command is huge",
            "a second publisher of `executed_cmd` says 1e30",
            DRIVES,
            "nowhere: it is clipped to what a base can be told",
            send="huge_executed",
        ),
    ),
    "Processes that hang": (
        Fault(
            "encoder hangs",
            "encoder_node's process lives and does nothing",
            BRAKES,
            "`safety/state`: late input `latent`",
            halt="encoder_node",
            reason="stale",
            late_input="latent",
        ),
        Fault(
            "policy hangs",
            "policy_node's process lives and does nothing",
            BRAKES,
            "`safety/state`: late input `cmd_vel_nominal`",
            halt="policy_node",
            reason="stale",
            late_input="cmd_vel_nominal",
        ),
    ),
    "Base and odometry": (
        Fault(
            "odometry frozen",
            "old values under new stamps",
            DRIVES,
            "`safety/state`: `odom` is `frozen`, `speed_source` is `model`",
            simulate={"odom_freeze": True},
            state={"odom": "frozen", "speed_source": "model"},
            status="sim_node",
            words="odom_freeze",
        ),
        Fault(
            "odometry is NaN",
            "NaN in the measured speed, between good ones",
            DRIVES,
            "`safety/state`: `odom` is `non_finite`",
            send="nan_odometry",
            state={"odom": "non_finite"},
        ),
        Fault(
            "odometry is huge",
            "1e30 m/s measured",
            DRIVES,
            "`safety/state`: `odom` is `implausible`",
            send="huge_odometry",
            state={"odom": "implausible"},
        ),
        Fault(
            "base reacts late",
            "commands take effect 0.2 s after they were sent",
            DRIVES,
            "sim_node only",
            simulate={"action_latency": 0.2},
            status="sim_node",
            words="action_latency",
        ),
        Fault(
            "base is held",
            "it stands, whatever it is told: a wheel hangs on something, or its own stop is pressed",
            ANSWERS,
            "`safety/state`: `odom` is `held`; `recover` (it drives back, tries another way), then `stuck`",
            simulate={"base_held": True},
            reason="recover",
            state={"odom": "held"},
            status="sim_node",
            words="base_held",
        ),
        Fault(
            "base wants the other type",
            "a base listens for Twist where TwistStamped is sent",
            DRIVES,
            "`safety/state`: `wiring` names the node and the parameter to change",
            send="deaf_base",
            state={"wiring": "set enable_stamped_cmd_vel to False"},
            status="safety_filter_node: wiring",
            words="wants geometry_msgs/msg/Twist",
        ),
        Fault(
            "second source of cmd_vel",
            "another node drives the base directly",
            DRIVES,
            "`safety/state`: `wiring` names the node",
            send="second_driver",
            state={"wiring": "from which the filter does not protect"},
            status="safety_filter_node: wiring",
            words="also publishes",
        ),
    ),
    "People": (
        Fault(
            "operator's command is NaN",
            "NaN from the joystick",
            BRAKES,
            "`safety/state`: `non_finite`, `cmd_vel_teleop`",
            send="nan_operator",
            reason="non_finite",
            late_input="cmd_vel_teleop",
        ),
        Fault(
            "operator's command is huge",
            "1e30 m/s from the joystick",
            DRIVES,
            "`safety/state`: source `operator`, `nominal` beside `action`",
            send="huge_operator",
            reason="operator",
            state={"source": "operator", "nominal": "[1.0, -0.24"},
        ),
        Fault(
            "operator sends the other type",
            "TwistStamped where Twist is expected",
            DRIVES,
            "nowhere: the type on offer is taken",
            send="stamped_operator",
            reason="operator",
            state={"source": "operator"},
        ),
        Fault(
            "e-stop flaps",
            "pressed and released eight times a second",
            BRAKES,
            "`safety/state`: `e_stop`",
            send="flapping_e_stop",
            reason="e_stop",
        ),
        Fault(
            "e-stop is dead",
            "the e-stop is configured, its node has died",
            BRAKES,
            "`safety/state`: `e_stop`, late input `e_stop`",
            send="silent_e_stop",
            reason="e_stop",
            late_input="e_stop",
        ),
    ),
}
ALL = tuple((group, fault) for group, faults in GROUPS.items() for fault in faults)

_HEAD = """# Faults and what the robot does

Every row is a test with real processes (`test/nodes/test_faults.py`), in which the simulated robot drives
when the fault begins. In each of them every process stays alive, every command is finite and within the
base's limits, and the robot drives again when the fault ends. This page is written from the test's table; to
change it run

    python test/support/fault_table.py > docs/faults.md

*Drives on* means that the safety filter goes on answering the policy's (or the operator's) commands; *brakes*
that the command falls to zero. Statuses are those of the topic `diagnostics`. What `safety/state` says is
explained in [safety.md](safety.md). Nodes that are killed: see the stop times in
[benchmarks.md](benchmarks.md).
"""


def page() -> str:
    """docs/faults.md."""
    parts = [_HEAD]
    for group, faults in GROUPS.items():
        rows = [f"| {f.name} | {f.what} | {f.end} | {f.named} |" for f in faults]
        head = ["| fault | what happens | the robot | the cause is named in |", "| --- | --- | --- | --- |"]
        parts.append("\n".join([f"## {group}", "", *head, *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
