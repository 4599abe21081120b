"""One YAML file describes a base: adapter, limits, frames, topics.

The files shipped are config/bases/*.yaml; docs/architecture.md explains the keys.
"""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from safe_o2o_ros.errors import BaseFileError, ResourceError
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.robot import ADAPTERS, RobotAdapter

TOPICS = ("cmd_vel", "odom", "e_stop", "cmd_vel_teleop")
"""Names of the graph that a base may have under other names."""
TWIST_FIELDS = ("linear.x", "linear.y", "angular.z")
LIMITS = ("max_velocity", "min_velocity", "max_accel", "max_decel")
_TOPIC = re.compile(r"[~/]?[A-Za-z_]\w*(/[A-Za-z_]\w*)*")
_FRAME = re.compile(r"[A-Za-z_][\w/-]*")
Limit = tuple[float, float, float]


@dataclass(frozen=True)
class Base:
    """What is known of a base. None and empty: the nodes' own values hold."""

    path: Path
    adapter: RobotAdapter | None = None
    max_velocity: Limit | None = None
    """[vx, vy, wz] in m/s, m/s, rad/s, forward and to the left."""
    min_velocity: Limit | None = None
    """The same, backward and to the right: 0 or less."""
    max_accel: Limit | None = None
    """m/s^2, m/s^2, rad/s^2, 0 or more."""
    max_decel: Limit | None = None
    """The same with the sign of Nav2: 0 or less."""
    enable_stamped_cmd_vel: bool | None = None
    base_frame_id: str | None = None
    odom_frame_id: str | None = None
    topics: dict[str, str] = field(default_factory=dict)

    @property
    def remaps(self) -> tuple[tuple[str, str], ...]:
        """(name in the graph, name on the base) of the topics that differ."""
        return tuple((name, topic) for name, topic in self.topics.items() if name != topic)

    @property
    def limits(self) -> dict[str, list[float]]:
        """The limits that are given, as parameters of the safety filter."""
        given = {name: getattr(self, name) for name in LIMITS}
        return {name: list(value) for name, value in given.items() if value is not None}


def base_path(name: str) -> Path:
    """Path of a base file: of a shipped one by its name, of any other by its path.

    Raises BaseFileError if there is none.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path.absolute()
        raise BaseFileError(f"the base file '{name}' does not exist: check base")
    try:
        folder = share_path("config", "bases")
    except ResourceError:
        known: list[str] = []
    else:
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        if name in known:
            return folder / f"{name}.yaml"
    raise BaseFileError(
        f"there is no base '{name}': choose among {', '.join(known)}, or give the path of a .yaml file"
    )


def read_base(name: str) -> Base:
    """Read and check a base file, by name or path. Raises BaseFileError naming the key."""
    path = base_path(name)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise BaseFileError(f"the base file '{path}' cannot be read ({first}): correct it") from error
    try:
        return _base(path, data)
    except _Wrong as wrong:
        raise BaseFileError(f"the base file '{path}': {wrong}") from wrong


def adapter_for(name: str) -> RobotAdapter:
    """A known adapter by its name, or the one of a base file by the file's path.

    Raises BaseFileError if there is none.
    """
    if name in ADAPTERS:
        return ADAPTERS[name]
    if not name.endswith((".yaml", ".yml")):
        raise BaseFileError(
            f"there is no adapter '{name}': choose among {', '.join(ADAPTERS)}, or give a base file's path"
        )
    adapter = read_base(name).adapter
    if adapter is None:
        raise BaseFileError(f"the base file '{name}' has no adapter: add the key adapter")
    return adapter


class _Wrong(Exception):
    """Half a sentence on what is wrong with a file's contents."""


def _base(path: Path, data: Any) -> Base:
    if not isinstance(data, dict):
        raise _Wrong("it must be a mapping with keys such as adapter and max_velocity")
    known = [f.name for f in fields(Base) if f.name != "path"]
    for key in data:
        if key not in known:
            raise _Wrong(f"unknown key '{key}', choose among {', '.join(known)}")
    given: dict[str, Any] = {}
    for name in LIMITS:
        if name in data:
            given[name] = _limit(name, data[name])
    _check_signs(given)
    if "adapter" in data:
        given["adapter"] = _adapter(data["adapter"])
    if "enable_stamped_cmd_vel" in data:
        given["enable_stamped_cmd_vel"] = data["enable_stamped_cmd_vel"]
        if not isinstance(data["enable_stamped_cmd_vel"], bool):
            raise _Wrong("enable_stamped_cmd_vel must be true or false")
    for name in ("base_frame_id", "odom_frame_id"):
        if name in data:
            given[name] = data[name]
            if not (isinstance(data[name], str) and _FRAME.fullmatch(data[name])):
                raise _Wrong(f"{name} must be the name of a frame, such as base_link")
    if "topics" in data:
        given["topics"] = _topics(data["topics"])
    return Base(path, **given)


def _limit(name: str, value: Any) -> Limit:
    numbers = isinstance(value, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value
    )
    if not numbers or len(value) != 3:
        raise _Wrong(f"{name} must be three numbers [vx, vy, wz]")
    return (float(value[0]), float(value[1]), float(value[2]))


def _check_signs(limits: dict[str, Limit]) -> None:
    for name in ("max_velocity", "max_accel"):
        if min(limits.get(name, (0.0,))) < 0.0:
            raise _Wrong(f"{name} must be 0 or more in each entry")
    for name in ("min_velocity", "max_decel"):
        if max(limits.get(name, (0.0,))) > 0.0:
            raise _Wrong(f"{name} must be 0 or less in each entry, as in Nav2: write it with a minus")


def _adapter(value: Any) -> RobotAdapter:
    if isinstance(value, str):
        if value not in ADAPTERS:
            raise _Wrong(
                f"unknown adapter '{value}', choose among {', '.join(ADAPTERS)} or define one in full"
            )
        return ADAPTERS[value]
    wanted = [f.name for f in fields(RobotAdapter) if f.default is MISSING]
    if not isinstance(value, dict) or set(value) != set(wanted):
        raise _Wrong(f"adapter must be a known name or a mapping with exactly the keys {', '.join(wanted)}")
    given: dict[str, Any] = {name: _adapter_field(name, value[name]) for name in wanted}
    adapter = RobotAdapter(**given)
    unknown = [name for name in adapter.action_names if name not in TWIST_FIELDS]
    if unknown or len(set(adapter.action_names)) != len(adapter.action_names):
        raise _Wrong(f"adapter: action_names must be different ones of {', '.join(TWIST_FIELDS)}")
    for promise, kept in adapter.promises():
        if not kept:
            raise _Wrong(f"adapter: {promise}")
    return adapter


def _adapter_field(name: str, value: Any) -> Any:
    if name in ("name", "brake"):
        if not isinstance(value, str):
            raise _Wrong(f"adapter: {name} must be text")
        return value
    kind = "texts" if name in ("action_names", "action_units") else "numbers"
    kinds = str if kind == "texts" else (int, float)
    if not isinstance(value, list) or not all(
        isinstance(v, kinds) and not isinstance(v, bool) for v in value
    ):
        raise _Wrong(f"adapter: {name} must be a list of {kind}")
    return tuple(value) if kind == "texts" else tuple(float(v) for v in value)


def _topics(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _Wrong(f"topics must be a mapping with some of the keys {', '.join(TOPICS)}")
    for name, topic in value.items():
        if name not in TOPICS:
            raise _Wrong(f"topics: unknown key '{name}', choose among {', '.join(TOPICS)}")
        if not (isinstance(topic, str) and _TOPIC.fullmatch(topic)):
            raise _Wrong(f"topics: {name} must be the name of a topic, not '{topic}'")
    return dict(value)
