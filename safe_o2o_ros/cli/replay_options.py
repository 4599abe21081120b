"""Options of `safe-o2o deploy --replay`."""

from __future__ import annotations

import argparse
from pathlib import Path

from safe_o2o_ros.perception.shaping import CENTRE, WHOLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them, beside the launch arguments."""
    group = parser.add_argument_group("replay")
    group.add_argument(
        "--replay",
        type=Path,
        metavar="RECORDING",
        help="play a bag, a segment store, a tub or a folder with a CSV through the graph, and report",
    )
    group.add_argument("--out", type=Path, help="folder of the report (default: runs/replay-N)")
    group.add_argument(
        "--camera",
        action="append",
        default=[],
        metavar="NAME=TOPIC",
        help="image topic of a camera of the bundle; repeatable",
    )
    group.add_argument(
        "--command", dest="command_topic", metavar="TOPIC", help="Twist or TwistStamped driven"
    )
    group.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="of a folder or tub: column of a Twist field; repeatable",
    )
    group.add_argument(
        "--crop", choices=(CENTRE, WHOLE), help="middle part, or everything squeezed (default: centre)"
    )


def given(args: argparse.Namespace) -> list[str]:
    """Options of a replay that were given."""
    values = {
        "--out": args.out,
        "--camera": args.camera,
        "--command": args.command_topic,
        "--column": args.column,
        "--crop": args.crop,
    }
    return [name for name, value in values.items() if value]
