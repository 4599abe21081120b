"""One sentence says what is wrong with a camera; the worst trouble comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from safe_o2o_ros.perception.health import Vitals, judge
from safe_o2o_ros.types import Level

WELL = Vitals(
    source="running",
    problem="",
    any_frame=True,
    silent_s=0.03,
    rate_hz=30.0,
    expected_hz=30.0,
    lost_share=0.0,
    best_effort=True,
    message_bytes=921_600,
    age_s=0.01,
    refusal="",
)


def test_a_camera_that_does_well_is_ok() -> None:
    assert judge(WELL, 0.5, 0.7) == (Level.OK, "ok")


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"rate_hz": 20.0}, Level.WARN, "20.0 frames/s, expected 30.0"),
        ({"age_s": 2.0}, Level.WARN, "2.0 s old"),
        ({"age_s": -2.0}, Level.WARN, "synchronise the clocks"),
        (
            {"lost_share": 0.5},
            Level.WARN,
            "50 % of the frames do not arrive (921600 bytes each",
        ),
        ({"lost_share": 0.5, "best_effort": False}, Level.WARN, "busy machine"),
        ({"lost_share": 0.5, "message_bytes": 12_288}, Level.WARN, "busy machine"),
        ({"refusal": "no encoding"}, Level.WARN, "refused: no encoding"),
        ({"any_frame": False, "silent_s": 0.1}, Level.WARN, "waiting"),
        ({"silent_s": 0.6}, Level.ERROR, "stalled: no new frame for 0.6 s"),
        ({"silent_s": 0.6, "refusal": "no encoding"}, Level.ERROR, "0.6 s: no encoding"),
        ({"any_frame": False, "silent_s": 3.0, "problem": "nobody"}, Level.ERROR, "after 3.0 s: nobody"),
        ({"source": "disconnected", "problem": "it cannot be opened"}, Level.ERROR, "it cannot be opened"),
        ({"source": "ended", "problem": "the file has ended", "silent_s": 9.0}, Level.WARN, "ended"),
    ],
)
def test_every_trouble_has_its_words(changes: dict[str, Any], level: Level, words: str) -> None:
    found, text = judge(replace(WELL, **changes), 0.5, 0.7)
    assert found is level and words in text


def test_without_an_expected_rate_none_is_missed() -> None:
    assert judge(replace(WELL, rate_hz=1.0, expected_hz=0.0), 2.0, 0.7)[0] is Level.OK
