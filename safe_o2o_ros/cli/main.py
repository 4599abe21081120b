"""The `safe-o2o` command: one lazy module per subcommand, so none pays for another's imports."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from safe_o2o_ros.errors import SafeO2OError

COMMANDS: dict[str, str] = {
    "sim": "drive a simulated task through the ROS 2 graph and write a report",
    "evaluate": "score a bundle or a baseline on a simulated task, without ROS",
    "collect": "record demonstrations of a simulated task into a segment store",
    "record": "record what an operator drives through the safety filter, take by take",
    "import": "bring a bag, a DonkeyCar tub or a folder of pictures into a segment store",
    "export": "write a segment store as rosbag2 or as a Minari data set",
    "pretrain": "train a world model and a policy on a segment store and write a bundle",
    "calibrate": "set a bundle's thresholds by driving behind its filter, and check what they promise",
    "finetune": "improve a bundle in simulation as on a robot, and measure what it was worth",
    "baselines": "compare ours with other agents and without each of its parts, on one world model",
    "deploy": "start the deployment graph as plain processes (where ros2 launch is absent)",
    "offer": "hand a bundle to the running robot, which judges it and then drives with it; or roll back",
    "keygen": "make a pair of keys for signing bundles",
    "sign": "sign a bundle, so that robots with the public key accept it",
    "teleop": "drive with the keyboard, through the running safety filter",
    "bench": "measure latency and speed",
}
"""Subcommand -> help line. `safe_o2o_ros.cli.<name>` defines add_arguments(parser) and run(args) -> int."""
MODULES = {"import": "import_data", "export": "export_data"}
"""Of subcommands that cannot name a module."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see `{self.prog} --help`)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns 0 on success, 2 on a user's error, 130 after Ctrl-C."""
    args = list(sys.argv[1:] if argv is None else argv)
    parser = _Parser(prog="safe-o2o", description="Safe offline-to-online vision policies on ROS 2.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((a for a in args if not a.startswith("-")), None)
    for name, text in COMMANDS.items():
        sub = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen:
            module = importlib.import_module(f"safe_o2o_ros.cli.{MODULES.get(name, name)}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    try:
        options = parser.parse_args(args)
        return int(options.run(options))
    except SafeO2OError as error:
        # One line whatever a library put into its message: scripts read it.
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":  # `torchrun -m safe_o2o_ros.cli.main pretrain ...`
    sys.exit(main())
