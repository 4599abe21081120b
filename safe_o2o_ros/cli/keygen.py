"""`safe-o2o keygen`: a pair of keys, for `sign` and for the nodes' trusted_key."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("key", type=Path, help="file of the private key; the public one is KEY.pub")


def run(args: argparse.Namespace) -> int:
    """Write both files."""
    from safe_o2o_ros.signature import write_keys

    public = write_keys(args.key)
    print(f"private key: {args.key} (keep it where bundles are signed, and nowhere else)")
    print(f"public key: {public} (give it to the robot's nodes as trusted_key)")
    return 0
