"""A bag and a topic map to a `Recording`: decoded, shaped, stamped, with every message accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.bag_inlets import Drop, Inlet, inlets_of
from safe_o2o_ros.data.bag_messages import (
    UNSTAMPED,
    header_ns,
)
from safe_o2o_ros.data.bag_types import BagTypes
from safe_o2o_ros.data.bags import Bag, BagDamagedError
from safe_o2o_ros.data.speed_outliers import drop_outliers
from safe_o2o_ros.data.stamps import judge
from safe_o2o_ros.data.topic_map import TopicMap, completed
from safe_o2o_ros.data.tracks import CostTrack, Recording, Track, received_only
from safe_o2o_ros.errors import RecordingError
from safe_o2o_ros.perception.shaping import Shape
from safe_o2o_ros.robot import RobotAdapter

_LOST = "lost in the damaged file"
Progress = Callable[[int, int], None]


def read_bag(
    path: Path,
    topic_map: TopicMap,
    adapter: RobotAdapter,
    shape: Shape,
    definitions: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Everything the map names. A damaged file is read as far as it goes, which `Recording.notes` says.

    Raises RecordingError when there is no bag, UsageError when map and bag do not fit each other.
    """
    try:
        with Bag(path, definitions) as bag:
            return _read(bag, topic_map, adapter, shape, progress)
    except BagDamagedError:
        with Bag(path, definitions, salvage=True) as bag:
            return _read(bag, topic_map, adapter, shape, progress)


def _read(
    bag: Bag, topic_map: TopicMap, adapter: RobotAdapter, shape: Shape, progress: Progress | None
) -> Recording:
    used = completed(topic_map, {t.name: t.kind for t in bag.topics.values()})
    clipped = [0]
    inlets = inlets_of(bag, used, adapter, shape, clipped)
    by_topic: dict[str, list[Inlet]] = {}
    for inlet in inlets:
        by_topic.setdefault(inlet.topic, []).append(inlet)
    total = sum(bag.topics[t].count for t in by_topic)
    for done, (topic, receipt, data) in enumerate(bag.messages(by_topic), 1):
        _take(bag.types, by_topic[topic], receipt, data)
        if progress is not None and done % 200 == 0:
            progress(min(done, total), total)
    for inlet in inlets:
        lost = bag.topics[inlet.topic].count - inlet.received
        if lost > 0:
            inlet.drops[_LOST] += lost
            inlet.received += lost
    recording = _recording(str(bag.path), inlets, used, adapter)
    recording.clipped = clipped[0]
    recording.notes = list(bag.notes)
    recording.unmapped = [
        received_only(t.name, t.kind, t.count) for t in bag.topics.values() if t.name not in by_topic
    ]
    return recording


def _take(types: BagTypes, inlets: list[Inlet], receipt: int, data: bytes) -> None:
    try:
        message = types.read(data, inlets[0].kind)
    except RecordingError:
        for inlet in inlets:
            inlet.received += 1
            inlet.drops["damaged message"] += 1
        return
    for inlet in inlets:
        inlet.received += 1
        try:
            value = inlet.take(message)
        except Drop as drop:
            inlet.drops[str(drop)] += 1
            continue
        inlet.receipt.append(receipt)
        inlet.header.append(header_ns(message))
        inlet.values.append(value)


def _recording(source: str, inlets: list[Inlet], used: TopicMap, adapter: RobotAdapter) -> Recording:
    recording = Recording(source, {})
    for inlet in inlets:
        track = _track(inlet)
        if inlet.role.startswith("camera "):
            recording.cameras[inlet.role.removeprefix("camera ")] = track
        elif inlet.role == "command":
            recording.command = track
        elif inlet.role == "odometry":
            recording.odometry = track
        elif inlet.role == "episode":
            recording.marks = track
        elif isinstance(track, CostTrack):
            (recording.rewards if inlet.role == "reward" else recording.costs).append(track)
    if recording.odometry is not None:
        fastest = np.asarray(adapter.top_speed, np.float64)
        if recording.command is not None and len(recording.command):
            commanded = np.abs(adapter.steady_speed(recording.command.values)).max(axis=0)
            fastest = np.where(commanded > 0.0, commanded, fastest)
        recording.odometry = drop_outliers(recording.odometry, fastest)
    return recording


def _track(inlet: Inlet) -> Track:
    receipt = np.asarray(inlet.receipt, np.int64)
    stamped = bool(inlet.header) and inlet.header[0] != UNSTAMPED
    header = np.asarray(inlet.header, np.int64) if stamped else None
    judged = judge(receipt, header, unique=inlet.role.startswith(("camera ", "odometry")))
    values = _values(inlet)[judged.order]
    given = (inlet.topic, inlet.kind, inlet.role, judged.stamps_ns, values, inlet.received)
    drops = inlet.drops + judged.drops
    more = (drops, judged.delay_ns, judged.clock, inlet.columns, judged.notes)
    if inlet.role in ("reward", "cost"):
        return CostTrack(*given, *more, np.asarray(inlet.level, np.bool_))
    return Track(*given, *more)


def _values(inlet: Inlet) -> NDArray[Any]:
    if inlet.values:
        return np.stack([np.asarray(v) for v in inlet.values])
    if inlet.role.startswith("camera "):
        return np.zeros((0, 1, 1, 3), np.uint8)
    return np.zeros((0, len(inlet.columns)) if inlet.columns else 0)
