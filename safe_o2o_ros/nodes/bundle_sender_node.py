"""The newest bundle of a learner to the robot that may drive with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.runner import run
from safe_o2o_ros.nodes.transfer_link import SenderNode
from safe_o2o_ros.nodes.transfer_parameters import SENDER_SPECS, folder
from safe_o2o_ros.online.chunks import Item
from safe_o2o_ros.online.listing import newest_bundle

SPECS = (
    Spec("directory", "", "Folder of bundles; the newest is sent."),
    *SENDER_SPECS,
)


class BundleSenderNode(SenderNode):
    """On the learner's host; release_node receives."""

    def __init__(self) -> None:
        super().__init__("bundle_sender_node", SPECS, "bundle", _listing)


def _listing(parameters: Parameters) -> Callable[[], Mapping[Item, Path]]:
    return partial(newest_bundle, folder(parameters, "directory", "the bundles"))


def main() -> int:
    """Entry point of the process."""
    return run(BundleSenderNode)


if __name__ == "__main__":
    raise SystemExit(main())
