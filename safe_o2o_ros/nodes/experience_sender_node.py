"""A robot's experience to the host where it is learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.runner import run
from safe_o2o_ros.nodes.transfer_link import SenderNode
from safe_o2o_ros.nodes.transfer_parameters import SENDER_SPECS, folder
from safe_o2o_ros.online.chunks import Item
from safe_o2o_ros.online.listing import StoreListing

SPECS = (
    Spec("directory", "", "Store of experience: finetune_node's experience_dir; read, never written."),
    *SENDER_SPECS,
)


class ExperienceSenderNode(SenderNode):
    """On the robot."""

    def __init__(self) -> None:
        super().__init__("experience_sender_node", SPECS, "experience", _listing)


def _listing(parameters: Parameters) -> Callable[[], Mapping[Item, Path]]:
    return StoreListing(folder(parameters, "directory", "the store of experience")).look


def main() -> int:
    """Entry point of the process."""
    return run(ExperienceSenderNode)


if __name__ == "__main__":
    raise SystemExit(main())
