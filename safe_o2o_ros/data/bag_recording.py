"""A bag and a topic map to a `Recording`: decoded, shaped, stamped, with every message accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.bag_messages import (
    IMAGES,
    STRING,
    TWIST_AT,
    UNSTAMPED,
    drop_reason,
    header_ns,
    image_of,
    value_at,
)
from safe_o2o_ros.data.bag_types import BagTypes
from safe_o2o_ros.data.bags import Bag, BagDamagedError
from safe_o2o_ros.data.speed_outliers import drop_outliers
from safe_o2o_ros.data.stamps import judge
from safe_o2o_ros.data.topic_map import Source, TopicMap, completed
from safe_o2o_ros.data.tracks import MARKS, CostTrack, Recording, Track, received_only
from safe_o2o_ros.errors import FrameError, RecordingError, UsageError
from safe_o2o_ros.perception.shaping import FrameShaper, Shape
from safe_o2o_ros.robot import RobotAdapter

_LOST = "lost in the damaged file"
_BOOLEAN = "bool"
Progress = Callable[[int, int], None]


class _Drop(Exception):
    """A message that cannot be used; the text is the reason it is counted under."""


@dataclass
class _Inlet:
    """Collects one topic's messages in one role."""

    topic: str
    kind: str
    role: str
    take: Callable[[Any], Any]
    """Message -> value. Raises _Drop."""
    columns: tuple[str, ...] = ()
    level: tuple[bool, ...] = ()
    receipt: list[int] = field(default_factory=list)
    header: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    received: int = 0


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
    inlets = _inlets(bag, used, adapter, shape, clipped)
    by_topic: dict[str, list[_Inlet]] = {}
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


def _take(types: BagTypes, inlets: list[_Inlet], receipt: int, data: bytes) -> None:
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
        except _Drop as drop:
            inlet.drops[str(drop)] += 1
            continue
        inlet.receipt.append(receipt)
        inlet.header.append(header_ns(message))
        inlet.values.append(value)


def _inlets(
    bag: Bag, used: TopicMap, adapter: RobotAdapter, shape: Shape, clipped: list[int]
) -> list[_Inlet]:
    """One for each role of each topic. Raises UsageError where a type does not fit its role."""

    def kind_of(topic: str, role: str) -> str:
        kind = bag.topics[topic].kind
        lacks = bag.types.lacks(kind)
        if lacks is not None:
            raise UsageError(
                f"the bag does not define {lacks}, which {topic} needs: give its text with "
                f"--msg-def {lacks}=FILE.msg"
            )
        return kind

    found = []
    for name, topic in used.cameras.items():
        kind = kind_of(topic, "camera")
        if kind not in IMAGES:
            raise UsageError(
                f"{topic} is a {kind}, no {' or '.join(IMAGES)}: map another topic to camera {name}"
            )
        found.append(_Inlet(topic, kind, f"camera {name}", _camera(kind, FrameShaper(shape))))
    if used.command is not None:
        kind = kind_of(used.command, "command")
        take = _command(used.command, kind, adapter, used.command_fields, clipped)
        found.append(_Inlet(used.command, kind, "command", take, adapter.action_names))
    for role, sources in (("reward", used.reward), ("cost", used.costs)):
        for source in sources:
            found.append(_amount(bag.types, source, kind_of(source.topic, role), role))
    if used.odometry is not None:
        kind = kind_of(used.odometry, "odometry")
        if kind not in TWIST_AT:
            raise UsageError(f"{used.odometry} is a {kind}, no odometry: map a nav_msgs/msg/Odometry topic")
        paths = [TWIST_AT[kind] + name for name in adapter.action_names]
        found.append(_Inlet(used.odometry, kind, "odometry", _numbers(paths), adapter.action_names))
    if used.episode is not None:
        kind = kind_of(used.episode, "episode")
        if kind != STRING:
            raise UsageError(f"{used.episode} is a {kind}, episode events are a {STRING}: map another topic")
        found.append(_Inlet(used.episode, kind, "episode", _mark))
    return found


def _camera(kind: str, shaper: FrameShaper) -> Callable[[Any], Any]:
    def take(message: Any) -> Any:
        reason = drop_reason(message, kind)
        if reason is not None:
            raise _Drop(reason)
        try:
            return np.ascontiguousarray(shaper.apply(image_of(message, kind), None)[0])
        except FrameError as error:
            raise _Drop("broken image") from error

    return take


def _command(
    topic: str, kind: str, adapter: RobotAdapter, paths: Mapping[str, str], clipped: list[int]
) -> Callable[[Any], Any]:
    if kind not in TWIST_AT and set(paths) != set(adapter.action_names):
        raise UsageError(
            f"{topic} is a {kind}, no twist: say in command_fields where to find "
            + ", ".join(adapter.action_names)
        )
    given = {name: paths.get(name, TWIST_AT.get(kind, "") + name) for name in adapter.action_names}
    numbers = _numbers(list(given.values()))

    def take(message: Any) -> Any:
        values = numbers(message)
        if not np.isfinite(values).all():
            raise _Drop("not finite")
        fields = dict(zip(given, values.tolist(), strict=True))
        raw = adapter.from_twist(fields)
        back = adapter.to_twist(raw)
        clipped[0] += any(
            abs(back[name] - value) > 1e-6 * max(1.0, abs(value)) for name, value in fields.items()
        )
        return raw

    return take


def _numbers(paths: list[str]) -> Callable[[Any], Any]:
    def take(message: Any) -> Any:
        try:
            return np.array([value_at(message, path) for path in paths], np.float64)
        except RecordingError as error:
            raise _Drop("field missing") from error

    return take


def _amount(types: BagTypes, source: Source, kind: str, role: str) -> _Inlet:
    """A reward or a cost; truth values among costs are states."""
    plain = dict(types.plain_fields(kind))
    paths = source.fields
    if not paths:
        truths = tuple(name for name, base in plain.items() if base == _BOOLEAN)
        paths = ("data",) if "data" in plain else truths
    if not paths:
        raise UsageError(
            f"{source.topic} is a {kind}: say which field is the {role}, as in {source.topic}:FIELD"
        )
    level = tuple(role == "cost" and _is_truth(types, kind, path) for path in paths)
    numbers = _numbers(list(paths))

    def take(message: Any) -> Any:
        values = numbers(message)
        if not np.isfinite(values).all():
            raise _Drop("not finite")
        if role == "cost" and (values < 0.0).any():
            raise _Drop("negative cost")
        return values

    return _Inlet(source.topic, kind, role, take, paths, level)


def _is_truth(types: BagTypes, kind: str, path: str) -> bool:
    """Whether the field at a path is a bool. Raises UsageError where there is no such field."""
    found = types.base_at(kind, path)
    if found is None or "string" in found:
        raise UsageError(f"{kind} has no field '{path}' that is a number or a truth value")
    return found == _BOOLEAN


def _mark(message: Any) -> int:
    if message.data not in MARKS:
        raise _Drop("unknown word")
    return MARKS.index(message.data)


def _recording(source: str, inlets: list[_Inlet], used: TopicMap, adapter: RobotAdapter) -> Recording:
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


def _track(inlet: _Inlet) -> Track:
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


def _values(inlet: _Inlet) -> NDArray[Any]:
    if inlet.values:
        return np.stack([np.asarray(v) for v in inlet.values])
    if inlet.role.startswith("camera "):
        return np.zeros((0, 1, 1, 3), np.uint8)
    return np.zeros((0, len(inlet.columns)) if inlet.columns else 0)
