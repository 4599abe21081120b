"""`safe-o2o offer`: hand a bundle to the running robot's gate, or roll back."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from safe_o2o_ros.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("bundle", type=Path, nargs="?", help="directory of the bundle, on the robot")
    parser.add_argument("--rollback", action="store_true", help="go back to the bundle that ran before")
    parser.add_argument("--namespace", default="", help="namespace of the robot (default: none)")
    parser.add_argument(
        "--timeout", type=float, default=1800.0, help="longest wait for the verdict, s (default: 1800)"
    )


def run(args: argparse.Namespace) -> int:
    """Become the probe that publishes and waits: exit code 0 once the bundle drives, 1 if it is refused."""
    from safe_o2o_ros.bundle import load_bundle, sha256
    from safe_o2o_ros.cli.extras import ROS, require
    from safe_o2o_ros.manifest import MANIFEST_NAME
    from safe_o2o_ros.processes import python_environment

    require(ROS)
    if (args.bundle is None) is not args.rollback:
        raise UsageError("give the directory of a bundle, or --rollback")
    if not 1.0 <= args.timeout <= 1e6:
        raise UsageError("--timeout must be between 1 and 1000000")
    values: dict[str, str | float] = {"timeout": args.timeout}
    if args.bundle is not None:
        values |= {
            "version": load_bundle(args.bundle, networks=()).version,
            "path": str(args.bundle.absolute()),
            "sha256": sha256(args.bundle / MANIFEST_NAME),
        }
    command = [sys.executable, "-m", "safe_o2o_ros.nodes.offer_probe", "--ros-args"]
    command += ["--log-level", "warn"]
    if args.namespace:
        command += ["-r", f"__ns:=/{args.namespace.strip('/')}"]
    for name, value in values.items():
        command += ["-p", f"{name}:={json.dumps(value)}"]
    os.execve(command[0], command, python_environment())
