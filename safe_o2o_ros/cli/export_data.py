"""`safe-o2o export`: a segment store as rosbag2 or as a Minari data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from safe_o2o_ros.cli.extras import BAGS, MINARI, require
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.export_bag import PICTURES, STORAGES, write_bag

FORMATS = (*STORAGES, "minari")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("store", type=Path, help="segment store to read")
    parser.add_argument(
        "--out", type=Path, required=True, help="new folder of the bag; of minari: folder of its data sets"
    )
    parser.add_argument("--format", choices=FORMATS, default="mcap", help="default: mcap")
    parser.add_argument(
        "--images",
        choices=PICTURES,
        default="raw",
        help="of bags: raw and png keep every pixel (default: raw)",
    )
    parser.add_argument("--name", default="safe_o2o/recorded-v0", help="of minari: name of the data set")


def run(args: argparse.Namespace) -> int:
    """Write; returns 0."""
    require(MINARI if args.format == "minari" else BAGS)
    reader = EpisodeReader(args.store)
    console = Console()
    if args.format == "minari":
        from safe_o2o_ros.cli.export_minari import write_minari

        count = write_minari(reader, args.out, args.name)
        console.print(f"{count} episodes written to {args.out} as {args.name}", soft_wrap=True)
        console.print(
            f"read them with MINARI_DATASETS_PATH={args.out} and minari.load_dataset", soft_wrap=True
        )
    else:
        written = write_bag(reader, args.out, args.format, args.images)
        counts = ", ".join(f"{topic} {count}" for topic, count in written.messages.items())
        console.print(f"{written.episodes} episodes written to {args.out}: {counts}", soft_wrap=True)
    for sentence in dict.fromkeys(reader.skipped):
        console.print(f"warning: left out: {sentence}", style="yellow", markup=False, soft_wrap=True)
    return 0
