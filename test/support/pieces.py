"""Pieces of made-up episodes, as finetune_node records them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.driving import CAMERAS, Drive

from safe_o2o_ros.data import Episode, Manifest
from safe_o2o_ros.data.experience import ExperienceWriter
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Reason, Source

MANIFEST = Manifest("PointGoal1", CAMERAS, POINT.to_json(), 0.08, 4, "0.1.0", "finetune_node")


def episode_pieces(steps: int, length: int = 4, event: str = "timeout", **config: Any) -> list[Episode]:
    """One episode of so many steps; step 6 costs something, in step 9 a human drives."""
    drive = Drive(length, **config)
    for k in range(steps):
        human = {"source": Source.OPERATOR, "reason": Reason.OPERATOR} if k == 9 else {}
        drive.period(cost=float(k == 6), **human)
    if event:
        drive.event(event)
    drive.frame()
    drive.close()
    return drive.pieces


def open_store(directory: Path, **changes: Any) -> ExperienceWriter:
    """A store that is large enough, unless told otherwise."""
    fields: dict[str, Any] = {"manifest": MANIFEST, "max_bytes": 10**8, "image_codec": "png"}
    return ExperienceWriter(directory, **(fields | changes))
