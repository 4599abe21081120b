"""The parameters of recorder_node, and what its parts are made of by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.base import adapter_for
from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.data.cost_label import BUMPER, COST_SOURCES, E_STOP, OPERATOR, TOPIC
from safe_o2o_ros.data.export_bag import CAMERA_TOPICS, ORIGIN
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.images import IMAGE_QOS
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.recorded_images import IMAGE_FORMATS

REWARDS = ("topic", "goal", "none")

SPECS = (
    Spec("out", "", "Folder of the takes; made where it is not there."),
    Spec("cameras", [""], "Record <camera>/image_raw of these; empty = those of the bundle."),
    Spec("bundle", "", "Model bundle that says cameras, robot and control period; empty = none."),
    Spec("task", "", "Refuse a bundle made for another task; empty accepts any."),
    Spec("adapter", "", "Robot that drives, noted for the import: a known one or a base's .yaml file."),
    Spec("images", "jpeg", "How pictures that come raw are stored.", choices=IMAGE_FORMATS),
    Spec("jpeg_quality", 90, "Quality of JPEG pictures, percent.", 10, 100),
    Spec("image_qos", "auto", "Reliability of the image subscriptions.", choices=IMAGE_QOS),
    Spec(
        "cost_from",
        [BUMPER, E_STOP, OPERATOR, TOPIC],
        "Any of these being on costs 1 in a period; topic = a cost message above zero.",
        choices=COST_SOURCES,
    ),
    Spec("cost_hold", 0.3, "A press of the cost key costs this long, seconds.", 0.05, 10.0),
    Spec(
        "reward_from",
        "goal",
        "1 when the goal key ends a take, what the reward topic says, or none.",
        choices=REWARDS,
    ),
    Spec("follow_episodes", True, "Where the episode topic speaks, every episode is a take of its own."),
    Spec("autostart", False, "Record from the start on; else wait for ~/start."),
    Spec("queue_megabytes", 256.0, "Messages that may wait for the disk, MB.", 1.0, 16_000.0),
    Spec("min_free_gigabytes", 1.0, "Room on the disk below which recording stops, GB.", 0.0, 1e6),
    Spec("progress", False, "Report progress as JSON lines on stdout."),
)


@dataclass(frozen=True)
class Robot:
    """What is known of who drives."""

    name: str
    """Of the adapter, "" if unknown."""
    cameras: tuple[str, ...]
    known: dict[str, Any]
    """What an import would else have to be told: adapter and period."""

    def custom(self, topics: Mapping[str, str]) -> dict[str, str]:
        """Custom data of a bag. `topics`: camera -> topic in it."""
        return {ORIGIN: json.dumps({**self.known, CAMERA_TOPICS: dict(topics)})}


def robot_of(p: Parameters) -> Robot:
    """From bundle and parameters. Raises UsageError, BundleError."""
    bundle = load_bundle(p["bundle"], (), p["task"] or None).manifest if p["bundle"] else None
    cameras = tuple(p["cameras"]) or (bundle.image.cameras if bundle else ())
    if not cameras:
        raise UsageError(
            "recorder_node does not know what to record: name cameras, as in cameras:=[front], or a bundle"
        )
    adapter = adapter_for(p["adapter"]) if p["adapter"] else bundle.adapter if bundle else None
    known: dict[str, Any] = {}
    if adapter is not None:
        known["adapter"] = adapter.to_json()
    if bundle is not None:
        known["period_s"] = bundle.period_s
    return Robot(adapter.name if adapter else "", cameras, known)


def out_dir(p: Parameters) -> Path:
    """Where takes go. Raises UsageError where it is not named."""
    if not p["out"]:
        raise UsageError("recorder_node has no place to record to: set out to a folder")
    return Path(p["out"]).absolute()
