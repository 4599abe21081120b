"""Real recordings, where they are at hand: counts add up, delays, contacts and outliers are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.recordings import BUMP, BUMP_TYPE, shared_data

from safe_o2o_ros.cli.main import main

RC_CAR = ("--adapter", "rc_car", "--crop", "none")


def imported(source: Path, tmp_path: Path, *arguments: object) -> dict[str, Any]:
    report = tmp_path / "report.json"
    assert main([str(a) for a in ("import", source, "--report-only", "--json", report, *arguments)]) == 0
    content: dict[str, Any] = json.loads(report.read_text())
    for topic in content["topics"]:
        assert topic["messages"] == topic["used"] + sum(topic["drops"].values()), topic
    return content


@pytest.mark.parametrize(
    ("name", "frames", "gaps"), [("segA", 2214, 0), ("segE", 4800, 38), ("segC_mcap", 600, 0)]
)
def test_rc_car(name: str, frames: int, gaps: int, tmp_path: Path) -> None:
    content = imported(shared_data() / "rc_car" / name, tmp_path, *RC_CAR)
    camera = content["topics"][0]
    assert camera["messages"] == frames
    assert content["gap_count"] == gaps
    assert content["pairs"] > 0.95 * frames
    # Documented: the picture shows the steering about 200 ms later. One frame is 50 ms.
    delay = content["delay"]
    assert abs(delay["delay_s"] - 0.2) < 0.05
    assert delay["interval_s"][0] < delay["delay_s"] < delay["interval_s"][1]


def test_rc_car_frames_the_driver_threw_away_are_costs(tmp_path: Path) -> None:
    content = imported(
        shared_data() / "rc_car" / "segE", tmp_path, *RC_CAR, "--cost", "author_deleted", "--no-delay"
    )
    assert content["contacts"] == [{"source": "author_deleted:author_deleted", "messages": 874, "touches": 9}]
    assert content["costly_steps"] > 800


@pytest.mark.parametrize(("name", "contacts", "spikes"), [("test-bag", 9, 1), ("obstacle-avoider", 0, 0)])
def test_neato(name: str, contacts: int, spikes: int, tmp_path: Path) -> None:
    definition = tmp_path / "Bump.msg"
    definition.write_text(BUMP)
    content = imported(
        shared_data() / "neato" / name, tmp_path, "--msg-def", f"{BUMP_TYPE}={definition}", "--cost", "/bump"
    )
    (any_,) = [c for c in content["contacts"] if c["source"] == "/bump:any"]
    assert any_["messages"] == contacts
    (odometry,) = [t for t in content["topics"] if t["role"] == "odometry"]
    assert odometry["drops"].get("odometry outlier", 0) == spikes
    assert sum("outlier at" in note for note in odometry["notes"]) == spikes
    assert content["pairs_of"] == "odometry" and content["pairs"] > 0
