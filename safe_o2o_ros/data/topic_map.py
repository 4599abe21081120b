"""Which topic of a bag is which part of an episode: from flags, a YAML file, or by what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from safe_o2o_ros.data.bag_messages import BOOL, COMMANDS, FLOAT, IMAGES, ODOMETRY, STRING
from safe_o2o_ros.errors import UsageError


@dataclass(frozen=True)
class Source:
    """A topic, and fields of its messages."""

    topic: str
    fields: tuple[str, ...] = ()
    """Paths; () = what the type makes plain: `data`, or all truth values."""


@dataclass(frozen=True)
class TopicMap:
    """Names of topics; None and empty: not given."""

    cameras: Mapping[str, str] = field(default_factory=dict)
    """Camera -> topic, in the order of channels."""
    command: str | None = None
    command_fields: Mapping[str, str] = field(default_factory=dict)
    """Twist field -> path in the command's message, for types other than Twist and TwistStamped."""
    reward: tuple[Source, ...] = ()
    costs: tuple[Source, ...] = ()
    odometry: str | None = None
    episode: str | None = None

    def topics(self) -> set[str]:
        """All topics that are named."""
        named = {*self.cameras.values(), *(s.topic for s in (*self.reward, *self.costs))}
        return named | {t for t in (self.command, self.odometry, self.episode) if t is not None}


def source_of(text: str) -> Source:
    """`/topic` or `/topic:field`. Raises UsageError."""
    topic, separator, path = text.partition(":")
    if not topic or (separator and not path):
        raise UsageError(f"'{text}' is not a topic or topic:field, such as /bump:left_front")
    return Source(topic, (path,) if path else ())


def merged(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Sources of one topic become one, with all their fields."""
    found: dict[str, tuple[str, ...]] = {}
    for source in sources:
        found[source.topic] = (*found.get(source.topic, ()), *source.fields)
    return tuple(Source(topic, paths) for topic, paths in found.items())


def read_map(path: Path) -> TopicMap:
    """A YAML file with the keys of TopicMap. Raises UsageError naming what is wrong."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"the topic map '{path}' cannot be read ({first}): correct it") from error
    known = [f.name for f in fields(TopicMap)]
    if not isinstance(data, dict) or not set(data) <= set(known):
        raise UsageError(f"the topic map '{path}' must be a mapping with some of the keys {', '.join(known)}")
    for name in ("cameras", "command_fields"):
        if name in data and not _texts(data[name]):
            raise UsageError(f"the topic map '{path}': {name} must map names to names")
    for name in ("command", "odometry", "episode"):
        if name in data and not isinstance(data[name], str):
            raise UsageError(f"the topic map '{path}': {name} must be the name of a topic")
    for name in ("reward", "costs"):
        if name in data:
            items = [data[name]] if isinstance(data[name], str) else data[name]
            if not isinstance(items, list) or not all(isinstance(i, str) for i in items):
                raise UsageError(f"the topic map '{path}': {name} must be a list such as [/bump:left_front]")
            data[name] = merged([source_of(i) for i in items])
    return TopicMap(**data)


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(x, str) for pair in value.items() for x in pair)


def completed(given: TopicMap, kinds: Mapping[str, str]) -> TopicMap:
    """What was not named is taken where the bag (topic -> type) leaves no doubt. Raises UsageError.

    Every topic named must be there.
    """
    for topic in sorted(given.topics()):
        if topic not in kinds:
            raise UsageError(
                f"the recording has no topic {topic}; it has {', '.join(sorted(kinds)) or 'none'}"
            )
    cameras = dict(given.cameras)
    if not cameras:
        images = [t for t, kind in kinds.items() if kind in IMAGES]
        if len(images) > 1:
            raise UsageError(
                f"the recording has the image topics {', '.join(sorted(images))}: name those to take with "
                "--camera NAME=TOPIC"
            )
        cameras = dict(zip(["front"], images, strict=False))
    # recorder_node has decided what counts, and says it beside what the others said.
    recorded = kinds.get("/record/episode") == STRING
    rewards = {"/record/reward" if recorded else "/reward": FLOAT}
    costs = {"/record/cost": BOOL} if recorded else {"/cost": FLOAT, "/bumper": BOOL}
    marks = "/record/episode" if recorded else "/episode"
    return TopicMap(
        cameras=cameras,
        command=given.command or _command(kinds),
        command_fields=given.command_fields,
        reward=given.reward or _own(kinds, rewards),
        costs=given.costs or _own(kinds, costs),
        odometry=given.odometry or _only(kinds, (ODOMETRY,)),
        episode=given.episode or (marks if kinds.get(marks) == STRING else None),
    )


def _own(kinds: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Source, ...]:
    """Topics that have a name and type of this package's graph."""
    return tuple(Source(topic) for topic, kind in wanted.items() if kinds.get(topic) == kind)


def _command(kinds: Mapping[str, str]) -> str | None:
    """What the base was really told comes first, then the usual name, then the only twist there is."""
    for name in ("/executed_cmd", "/cmd_vel"):
        if kinds.get(name) in COMMANDS:
            return name
    twists = [t for t, kind in kinds.items() if kind in COMMANDS]
    if len(twists) > 1:
        raise UsageError(
            f"the recording has the command topics {', '.join(sorted(twists))}: name the one that the base "
            "followed with --command"
        )
    return twists[0] if twists else None


def _only(kinds: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    found = [t for t, kind in kinds.items() if kind in wanted]
    return found[0] if len(found) == 1 else None
