"""`safe-o2o sign`: put a signature into a bundle's manifest."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("bundle", type=Path, help="directory of the bundle")
    parser.add_argument("--key", type=Path, required=True, help="private key made by `safe-o2o keygen`")


def run(args: argparse.Namespace) -> int:
    """Verify the files, so that nothing damaged is signed, then sign."""
    from safe_o2o_ros.bundle import load_bundle, sign_bundle
    from safe_o2o_ros.signature import SigningKey

    key = SigningKey(args.key)
    version = load_bundle(args.bundle, networks=()).version
    sign_bundle(args.bundle, key)
    print(f"signed: {version}")
    return 0
