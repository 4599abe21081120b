"""What the cameras saw while recording reaches the bundle, or is left out where episodes differ."""

from __future__ import annotations

from typing import Any

import pytest

from safe_o2o_ros.errors import BundleSchemaError
from safe_o2o_ros.learning.package import shared_views
from safe_o2o_ros.manifest import View

FRONT = {"fovy_deg": 60.0, "position": [0.2, 0.0, 0.3], "xyaxes": [0.0, -1.0, 0.0, 0.0, 0.0, 1.0]}
BACK = FRONT | {"position": [-0.2, 0.0, 0.3]}


def test_views_all_episodes_agree_on_are_kept() -> None:
    metadata = [{"views": {"front": FRONT, "back": BACK}}, {"views": {"front": FRONT, "back": FRONT}}]
    assert shared_views(metadata, ["front", "back"]) == {
        "front": View(60.0, (0.2, 0.0, 0.3), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    }
    assert shared_views(metadata, ["back"]) == {}


@pytest.mark.parametrize("metadata", [[], [{}], [{"views": None}], [{"views": {"front": FRONT}}, {}]])
def test_without_views_in_every_episode_there_are_none(metadata: list[dict[str, Any]]) -> None:
    assert shared_views(metadata, ["front"]) == {}


def test_a_recorded_view_no_camera_can_have_is_named() -> None:
    with pytest.raises(BundleSchemaError, match="views of the recorded episodes.front: fovy_deg is 0"):
        shared_views([{"views": {"front": FRONT | {"fovy_deg": 0.0}}}], ["front"])
