"""The end of a graph: every node leaves with code 0, and the last thing the base hears is to stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image
from support.probe import probing, running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path, risk_threshold=1.0)
    return str(path)


def end_all(probe, nodes, graph, number):
    """Signal every node at once, as a launcher does; returns their exit codes and their words on stderr."""
    processes = {spec.name: nodes.process(spec.name) for spec in graph.nodes}
    for process in processes.values():
        process.send_signal(number)
    for name, process in processes.items():
        probe.until(lambda process=process: process.poll() is not None, f"the end of {name}")
    errors = "".join(process.stderr.read() for process in processes.values())
    return {name: process.returncode for name, process in processes.items()}, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_moving_robot_is_brought_to_rest_by_the_end_of_its_graph(bundle, number):
    graph = deployment(DeployOptions(sim=True, bundle=bundle, seed=40_000))
    with probing() as probe, running(graph) as nodes:
        commands = probe.listen(TwistStamped, "cmd_vel", qos.series(False))
        odometry = probe.listen(Odometry, "odom", qos.series(False))
        # The base may find the filter, and move, before this probe has found it.
        probe.until(lambda: commands and any(speed(m) > 0.1 for m in odometry), "a moving robot")
        codes, errors = end_all(probe, nodes, graph, number)
        assert codes == dict.fromkeys(codes, 0), errors
        assert "Traceback" not in errors
        assert is_zero(commands[-1])
        assert speed(odometry[-1]) < 0.02


def test_a_teleoperated_robot_and_its_camera_end_with_code_0(tmp_path):
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "0.png"), np.full((64, 64, 3), 128, np.uint8))
    parameters = tmp_path / "robot.yaml"
    parameters.write_text(
        "/**/camera_node:\n  ros__parameters:\n    cameras: [front]\n    front.source: file\n"
        f"    front.file: {tmp_path / 'frames'}\n    front.rate: 10.0\n"
    )
    graph = deployment(DeployOptions(mode="limits_only", base="turtlebot4", params_file=str(parameters)))
    with probing() as probe, running(graph) as nodes:
        states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))
        images = probe.listen(Image, "front/image_raw", qos.images(False))
        diagnostics = probe.listen(DiagnosticArray, "diagnostics", qos.series(False))
        reporters = {"monitor_node", "camera_node"}
        probe.until(lambda: states and images and reporters <= sources(diagnostics), "all three nodes")
        codes, errors = end_all(probe, nodes, graph, signal.SIGTERM)
    assert codes == dict.fromkeys(("safety_filter_node", "camera_node", "monitor_node"), 0), errors
    assert "Traceback" not in errors


def test_a_killed_node_comes_back_where_asked_and_ctrl_c_ends_them_all(bundle):
    main = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    arguments = [
        "deploy",
        "--sim",
        "true",
        "--use-respawn",
        "true",
        "--use-monitor",
        "false",
        "--bundle",
        bundle,
    ]
    with (
        probing() as probe,
        subprocess.Popen(
            [sys.executable, "-c", main, *arguments], stderr=subprocess.PIPE, text=True
        ) as launcher,
    ):
        try:
            commands = probe.listen(TwistStamped, "cmd_vel", qos.series(False))
            states = probe.listen(DiagnosticArray, "safety/state", qos.series(False))

            def reports(reason, since):
                return any(conversions.from_state(m)[0].reason.value == reason for m in states[since:])

            probe.until(lambda: reports("pass", 0), "driving")
            (encoder,) = [p for p in children(launcher.pid) if "encoder_node" in command_line(p)]
            since = len(states)
            os.kill(encoder, signal.SIGKILL)
            probe.until(lambda: reports("stale", since), "the brake")
            since = len(states)
            probe.until(lambda: reports("pass", since), "driving again")
            launcher.send_signal(signal.SIGINT)
            _, errors = launcher.communicate(timeout=30.0)
        finally:
            launcher.kill()
        probe.until(lambda: is_zero(commands[-1]), "the last command")
    assert launcher.returncode == 0
    assert "[encoder_node] was ended by signal SIGKILL" in errors
    assert "Traceback" not in errors


def speed(odometry):
    twist = odometry.twist.twist
    return float(np.hypot(twist.linear.x, twist.linear.y))


def is_zero(command):
    return command.twist.linear.x == 0.0 and command.twist.angular.z == 0.0


def sources(diagnostics):
    """Names of the nodes that have reported; REP-107: "node: task"."""
    return {status.name.split(":")[0] for message in diagnostics for status in message.status}


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()
