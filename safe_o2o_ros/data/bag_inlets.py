"""What is taken out of a bag's messages: one inlet for each topic in each role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from safe_o2o_ros.data.bag_messages import IMAGES, STRING, TWIST_AT, drop_reason, image_of, value_at
from safe_o2o_ros.data.bag_types import BagTypes
from safe_o2o_ros.data.bags import Bag
from safe_o2o_ros.data.topic_map import Source, TopicMap
from safe_o2o_ros.data.tracks import MARKS
from safe_o2o_ros.errors import FrameError, RecordingError, UsageError
from safe_o2o_ros.perception.shaping import FrameShaper, Shape
from safe_o2o_ros.robot import RobotAdapter

_BOOLEAN = "bool"


class Drop(Exception):
    """A message that cannot be used; the text is the reason it is counted under."""


@dataclass
class Inlet:
    """Collects one topic's messages in one role."""

    topic: str
    kind: str
    role: str
    take: Callable[[Any], Any]
    """Message -> value. Raises Drop."""
    columns: tuple[str, ...] = ()
    level: tuple[bool, ...] = ()
    receipt: list[int] = field(default_factory=list)
    header: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    drops: Counter[str] = field(default_factory=Counter)
    received: int = 0


def inlets_of(
    bag: Bag, used: TopicMap, adapter: RobotAdapter, shape: Shape, clipped: list[int]
) -> list[Inlet]:
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
        found.append(Inlet(topic, kind, f"camera {name}", _camera(kind, FrameShaper(shape))))
    if used.command is not None:
        kind = kind_of(used.command, "command")
        take = _command(used.command, kind, adapter, used.command_fields, clipped)
        found.append(Inlet(used.command, kind, "command", take, adapter.action_names))
    for role, sources in (("reward", used.reward), ("cost", used.costs)):
        for source in sources:
            found.append(_amount(bag.types, source, kind_of(source.topic, role), role))
    if used.odometry is not None:
        kind = kind_of(used.odometry, "odometry")
        if kind not in TWIST_AT:
            raise UsageError(f"{used.odometry} is a {kind}, no odometry: map a nav_msgs/msg/Odometry topic")
        paths = [TWIST_AT[kind] + name for name in adapter.action_names]
        found.append(Inlet(used.odometry, kind, "odometry", _numbers(paths), adapter.action_names))
    if used.episode is not None:
        kind = kind_of(used.episode, "episode")
        if kind != STRING:
            raise UsageError(f"{used.episode} is a {kind}, episode events are a {STRING}: map another topic")
        found.append(Inlet(used.episode, kind, "episode", _mark))
    return found


def _camera(kind: str, shaper: FrameShaper) -> Callable[[Any], Any]:
    def take(message: Any) -> Any:
        reason = drop_reason(message, kind)
        if reason is not None:
            raise Drop(reason)
        try:
            return np.ascontiguousarray(shaper.apply(image_of(message, kind), None)[0])
        except FrameError as error:
            raise Drop("broken image") from error

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
            raise Drop("not finite")
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
            raise Drop("field missing") from error

    return take


def _amount(types: BagTypes, source: Source, kind: str, role: str) -> Inlet:
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
            raise Drop("not finite")
        if role == "cost" and (values < 0.0).any():
            raise Drop("negative cost")
        return values

    return Inlet(source.topic, kind, role, take, paths, level)


def _is_truth(types: BagTypes, kind: str, path: str) -> bool:
    """Whether the field at a path is a bool. Raises UsageError where there is no such field."""
    found = types.base_at(kind, path)
    if found is None or "string" in found:
        raise UsageError(f"{kind} has no field '{path}' that is a number or a truth value")
    return found == _BOOLEAN


def _mark(message: Any) -> int:
    if message.data not in MARKS:
        raise Drop("unknown word")
    return MARKS.index(message.data)
