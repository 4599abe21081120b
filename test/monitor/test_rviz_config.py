"""The shipped RViz file: stock displays, topics of this graph."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from safe_o2o_ros.nodes.monitor_inputs import ODOM
from safe_o2o_ros.nodes.monitor_node import MARKERS, PATH, PATH_MARKERS, SPECS
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.sim.robots import POINT_ROBOT

STOCK = {"Grid", "TF", "Image", "MarkerArray", "Path", "Odometry"}
"""Displays of rviz_default_plugins that are used."""


@pytest.fixture
def manager() -> dict[str, Any]:
    text = share_path("rviz", "safe_o2o.rviz").read_text(encoding="utf-8")
    return yaml.safe_load(text)["Visualization Manager"]


def test_every_display_is_a_stock_one(manager: dict[str, Any]) -> None:
    classes = [display["Class"] for display in manager["Displays"]]
    assert {name.split("/")[0] for name in classes} == {"rviz_default_plugins"}
    assert {name.split("/")[1] for name in classes} == STOCK


def test_every_topic_is_one_of_the_graphs_and_relative(manager: dict[str, Any]) -> None:
    shown = {
        display["Topic"]["Value"]: display["Class"].split("/")[1]
        for display in manager["Displays"]
        if "Topic" in display
    }
    cameras = {f"{name}/image_raw": "Image" for name in POINT_ROBOT.cameras}
    markers = {MARKERS: "MarkerArray", PATH_MARKERS: "MarkerArray"}
    assert shown == {**cameras, **markers, PATH: "Path", ODOM: "Odometry"}


def test_the_fixed_frame_is_the_frame_of_the_path(manager: dict[str, Any]) -> None:
    defaults = {spec.name: spec.default for spec in SPECS}
    assert manager["Global Options"]["Fixed Frame"] == defaults["odom_frame_id"]
    assert manager["Views"]["Current"]["Target Frame"] == defaults["base_frame_id"]
