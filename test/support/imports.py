"""Reading the bags of support/recordings.py, and what must hold of what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from support.recordings import NS, number_of

from safe_o2o_ros.cli.import_data import adapter_or_base
from safe_o2o_ros.data.aligned import Settings
from safe_o2o_ros.data.alignment import align
from safe_o2o_ros.data.bag_recording import read_bag
from safe_o2o_ros.data.import_report import topic_report
from safe_o2o_ros.data.topic_map import TopicMap
from safe_o2o_ros.data.tracks import Recording
from safe_o2o_ros.perception.shaping import Shape

SHAPE = Shape(16, 16)
SETTINGS = Settings(NS // 20, NS // 5, NS // 2)


def read(path: Path, topic_map: TopicMap | None = None, **more: Any) -> Recording:
    return read_bag(path, topic_map or TopicMap(), adapter_or_base("rc_car"), SHAPE, **more)


def counts(recording: Recording) -> dict[str, tuple[int, int, dict[str, int]]]:
    """Name and role -> messages, used, drops; checked to add up."""
    alignment = align(recording, SETTINGS)
    found = {}
    for track in recording.tracks():
        one = topic_report(track, alignment)
        assert one.messages == one.used + sum(one.drops.values())
        found[f"{one.name} {one.role}"] = (one.messages, one.used, one.drops)
    return found


def assert_pairs_are_true(recording: Recording) -> int:
    """Frame i of `drive` was answered by command i; returns the number of pairs."""
    assert recording.command is not None
    alignment = align(recording, SETTINGS)
    for episode in alignment.episodes:
        frames = recording.cameras["front"].values[episode.frames["front"][:-1]]
        numbers = np.array([number_of(f) for f in frames])
        actions = recording.command.values[episode.command]
        np.testing.assert_allclose(actions[:, 0], 0.01 * (numbers % 40), atol=1e-6)
    return alignment.pairs


def assert_frames_are_true(recording: Recording) -> None:
    """Each step's command is one that was driven between its frame and the next one there was."""
    assert recording.command is not None
    for episode in align(recording, SETTINGS).episodes:
        numbers = [number_of(f) for f in recording.cameras["front"].values[episode.frames["front"]]]
        for k, action in enumerate(recording.command.values[episode.command]):
            driven = [0.01 * (n % 40) for n in range(numbers[k], max(numbers[k + 1], numbers[k] + 2))]
            assert any(abs(float(action[0]) - a) < 1e-6 for a in driven)
