"""Arguments of `safe-o2o import`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from safe_o2o_ros.data.codec import IMAGE_CODECS
from safe_o2o_ros.data.export_bag import CAMERA_TOPICS
from safe_o2o_ros.data.topic_map import TopicMap, merged, read_map, source_of
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.perception.shaping import CENTRE, WHOLE, Shape

MEASURED = -1.0
"""--shift-delay without a number."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source", type=Path, help="a rosbag2 folder or file, a DonkeyCar tub, or a folder with a CSV"
    )
    parser.add_argument("--out", type=Path, help="segment store to write or continue")
    parser.add_argument(
        "--adapter", help="robot adapter or base, by name or .yaml file (tubs and folders: rc_car)"
    )
    parser.add_argument(
        "--task", default="Recorded", help="name of the task in the store (default: Recorded)"
    )
    parser.add_argument("--report-only", action="store_true", help="read and report, store nothing")
    parser.add_argument("--json", type=Path, help="write the report to this file, too")
    bag = parser.add_argument_group("bags")
    bag.add_argument("--map", type=Path, help="YAML file that says which topic is what; flags add to it")
    bag.add_argument(
        "--camera",
        action="append",
        default=[],
        metavar="NAME=TOPIC",
        help="repeatable; the first is the clock",
    )
    bag.add_argument("--command", metavar="TOPIC", help="Twist or TwistStamped that the base followed")
    bag.add_argument("--odometry", metavar="TOPIC", help="Odometry")
    bag.add_argument("--episode", metavar="TOPIC", help="String: start, success, failure, timeout, abort")
    bag.add_argument(
        "--msg-def",
        action="append",
        default=[],
        metavar="TYPE=FILE",
        help="a .msg text the bag lacks; repeatable",
    )
    rows = parser.add_argument_group("tubs and folders")
    rows.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="column of a Twist field, e.g. angular.z=-user_angle; repeatable",
    )
    both = parser.add_argument_group("all")
    both.add_argument(
        "--cost",
        action="append",
        default=[],
        metavar="SOURCE",
        help="topic, topic:field or column; repeatable. Truth values count 1 a period, numbers are summed",
    )
    both.add_argument(
        "--reward", action="append", default=[], metavar="SOURCE", help="topic, topic:field or column"
    )
    both.add_argument("--period", type=float, help="control period in s (default: the camera's)")
    both.add_argument(
        "--max-gap", type=float, help="s without a frame that end an episode (default: 0.2 or 3 periods)"
    )
    both.add_argument("--command-timeout", type=float, default=0.5, help="s for which a command is in force")
    both.add_argument("--min-steps", type=int, default=10, help="shorter episodes are dropped (default: 10)")
    both.add_argument("--size", type=int, default=64, help="pixels of the square images (default: 64)")
    both.add_argument(
        "--crop",
        choices=(CENTRE, WHOLE),
        default=CENTRE,
        help="middle part, or everything squeezed (default: centre)",
    )
    both.add_argument(
        "--roi", metavar="X,Y,W,H", help="this part of the picture, in pixels, instead of --crop"
    )
    both.add_argument(
        "--images", choices=IMAGE_CODECS, default="png", help="image compression (default: png)"
    )
    both.add_argument("--no-delay", action="store_true", help="do not estimate the actuation delay")
    both.add_argument(
        "--shift-delay",
        type=float,
        nargs="?",
        const=MEASURED,
        metavar="S",
        help="record with each frame the command whose effect begins then: shift by S or by the estimate",
    )


def shape_of(args: argparse.Namespace) -> Shape:
    """What becomes of the pictures. Raises UsageError."""
    if not 8 <= args.size <= 1024:
        raise UsageError(f"--size must be between 8 and 1024 pixels, got {args.size}")
    if args.roi is None:
        return Shape(args.size, args.size, args.crop)
    try:
        x, y, width, height = (int(part) for part in args.roi.split(","))
    except ValueError as error:
        raise UsageError(f"--roi takes four whole numbers X,Y,W,H, got '{args.roi}'") from error
    if min(x, y) < 0 or min(width, height) < 1:
        raise UsageError(f"--roi must lie in the picture and have a size, got '{args.roi}'")
    return Shape(args.size, args.size, args.crop, roi=(x, y, width, height))


def map_of(args: argparse.Namespace, known: dict[str, Any]) -> TopicMap:
    """The topic map of file and flags; flags win. `known`: what came with the bag. Raises UsageError."""
    given = TopicMap() if args.map is None else read_map(args.map)
    cameras = {**given.cameras, **pairs(args.camera, "--camera")}
    return replace(
        given,
        cameras=cameras or known.get(CAMERA_TOPICS, {}),
        command=args.command or given.command,
        odometry=args.odometry or given.odometry,
        episode=args.episode or given.episode,
        reward=merged([*given.reward, *(source_of(s) for s in args.reward)]),
        costs=merged([*given.costs, *(source_of(s) for s in args.cost)]),
    )


def columns_of(args: argparse.Namespace) -> dict[str, str]:
    """--column as a mapping. Raises UsageError."""
    return pairs(args.column, "--column")


def pairs(items: list[str], option: str) -> dict[str, str]:
    """A=B items as a mapping. Raises UsageError."""
    found = {}
    for item in items:
        name, separator, value = item.partition("=")
        if not separator or not name or not value:
            raise UsageError(f"{option} takes NAME=VALUE, got '{item}'")
        found[name] = value
    return found
