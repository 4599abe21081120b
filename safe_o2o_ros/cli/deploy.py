"""`safe-o2o deploy`: the deployment graph as plain processes, with the arguments of deploy.launch.py.

`--replay` plays a recording through it instead (replay.py).
"""

from __future__ import annotations

import argparse
import sys

from safe_o2o_ros.cli import replay_options
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.graph import arguments, deployment, options_from_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One option per launch argument; what is left out leaves the parameters file alone."""
    for name, text in arguments().items():
        parser.add_argument(f"--{name.replace('_', '-')}", default="", metavar="VALUE", help=text)
    replay_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or until an essential node ends; 0 after a clean stop."""
    from safe_o2o_ros.cli.extras import INFERENCE, ROS, SIM, require
    from safe_o2o_ros.processes import Processes

    launch = {name: getattr(args, name) for name in arguments()}
    if args.replay is not None:
        from safe_o2o_ros.cli import replay

        return replay.run(args, launch)
    if replay_options.given(args):
        raise UsageError(f"{replay_options.given(args)[0]} needs --replay RECORDING")
    options = options_from_text(launch)
    require(ROS, INFERENCE, *([SIM] if options.sim else []))
    graph = deployment(options)
    try:
        Processes(graph, _show).run()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 0


def _show(node: str, line: str, stdout: bool) -> None:
    print(f"[{node}] {line}", file=sys.stdout if stdout else sys.stderr, flush=True)
