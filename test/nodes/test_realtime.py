"""The whole graph by the wall clock, with a fault."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from std_msgs.msg import String
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos


@pytest.fixture
def graph(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
    return deployment(DeployOptions(sim=True, bundle=str(tmp_path / "tiny"), seed=40_000, namespace="robot1"))


def test_a_killed_encoder_brakes_the_robot_and_a_new_one_drives_on(graph):
    with probing() as probe, running(graph) as nodes:
        states = probe.listen(DiagnosticArray, "robot1/safety/state", qos.series(False))
        commands = probe.listen(TwistStamped, "robot1/cmd_vel", qos.series(False))
        odometry = probe.listen(Odometry, "robot1/odom", qos.series(False))
        active = probe.listen(String, "robot1/bundle/active", qos.facts())

        def reports(reason, since, late=""):
            decisions = [conversions.from_state(m)[0] for m in states[since:]]
            return any(d.reason.value == reason and d.late_input == late for d in decisions)

        def speed():
            twist = odometry[-1].twist.twist
            return float(np.hypot(twist.linear.x, twist.linear.y))

        probe.until(lambda: reports("pass", 0), "driving")
        probe.until(lambda: active and odometry, "the active bundle and the odometry")
        facts = json.loads(active[0].data)
        assert facts["version"] == "tiny-1"
        assert len(facts["sha256"]) == 64
        probe.until(lambda: commands and abs(commands[-1].twist.linear.x) > 0.0, "motion")

        since = len(states)
        code, _ = nodes.end("encoder_node", signal.SIGKILL)
        assert code == -signal.SIGKILL
        probe.until(lambda: reports("stale", since, "latent"), "the brake that names the latent")
        probe.until(lambda: commands[-1].twist.linear.x == 0.0 and speed() < 0.02, "a standing robot")

        since = len(states)
        nodes.start("encoder_node")
        probe.until(lambda: reports("pass", since), "driving again")
        probe.until(lambda: commands[-1].twist.linear.x != 0.0, "motion")

        # Without its filter the base stops by itself.
        nodes.end("safety_filter_node", signal.SIGKILL)
        probe.until(lambda: speed() < 0.02, "a standing robot")

        code, errors = nodes.end("sim_node", signal.SIGINT)
        assert code == 0, errors


def test_ctrl_c_on_the_process_launcher_ends_with_a_zero_command_and_code_0(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
    main = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    arguments = ["deploy", "--sim", "true", "--bundle", str(tmp_path / "tiny")]
    with (
        probing() as probe,
        subprocess.Popen(
            [sys.executable, "-c", main, *arguments], stderr=subprocess.PIPE, text=True
        ) as launcher,
    ):
        commands = probe.listen(TwistStamped, "cmd_vel", qos.series(False))
        try:
            probe.until(lambda: any(c.twist.linear.x != 0.0 for c in commands), "motion")
            launcher.send_signal(signal.SIGINT)
            probe.until(lambda: launcher.poll() is not None, "the end of the launcher")
        finally:
            launcher.kill()
        probe.until(lambda: commands[-1].twist.linear.x == 0.0, "the last command")
        assert launcher.returncode == 0
        assert "Traceback" not in launcher.stderr.read()
