"""`safe-o2o teleop`: the keyboard node in this terminal."""

from __future__ import annotations

import argparse
import os
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("--namespace", default="", help="namespace of the robot (default: none)")
    parser.add_argument("--stamped", action="store_true", help="publish TwistStamped, not Twist")
    parser.add_argument("--params-file", default="", help="parameters file of the node")


def run(args: argparse.Namespace) -> int:
    """Become the node: the terminal, its signals and its exit code are this command's."""
    from safe_o2o_ros.cli.extras import ROS, require
    from safe_o2o_ros.processes import python_environment

    require(ROS)
    command = [sys.executable, "-m", "safe_o2o_ros.nodes.teleop_keyboard_node", "--ros-args"]
    if args.namespace:
        command += ["-r", f"__ns:=/{args.namespace.strip('/')}"]
    if args.stamped:
        command += ["-p", "stamped:=true"]
    if args.params_file:
        command += ["--params-file", args.params_file]
    os.execve(command[0], command, python_environment())
