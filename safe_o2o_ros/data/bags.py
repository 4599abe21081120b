"""A rosbag2 recording, whole or damaged: its topics, its messages, and what was lost."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from safe_o2o_ros.data.bag_types import BagTypes
from safe_o2o_ros.data.db3_salvage import Db3Salvage
from safe_o2o_ros.data.export_bag import ORIGIN
from safe_o2o_ros.data.mcap_salvage import McapSalvage, zstd_module
from safe_o2o_ros.errors import RecordingError

_STORAGES = (".mcap", ".db3")
_DAMAGE = (
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What the bag library raises, besides its own errors, where a damaged file says impossible things."""


class BagDamagedError(RecordingError):
    """The bag library stopped at damage; the salvage reads what is left."""


@dataclass(frozen=True)
class Topic:
    """One topic of a bag."""

    name: str
    kind: str
    """Message type."""
    count: int
    """Messages recorded, as far as is known: with a damaged file what metadata.yaml says, if it does."""


class Bag:
    """Opened for reading; use it as a context manager."""

    def __init__(
        self, path: Path, definitions: Mapping[str, str] | None = None, salvage: bool = False
    ) -> None:
        """A bag's folder, or one .mcap or .db3 file. `definitions`: type -> .msg text for `BagTypes`.

        `salvage`: do not trust index and metadata. Raises BagDamagedError when that is needed, RecordingError
        when there is no bag.
        """
        self.path = path
        self.notes: list[str] = []
        """Sentences on what is damaged; complete once everything has been read."""
        self.span_ns = (0, 0)
        """First and last time of receipt, ns."""
        self._stack = ExitStack()
        self._reader: Any = None
        self._salvages: list[McapSalvage | Db3Salvage] = []
        if not path.exists():
            raise RecordingError(f"there is no recording at {path}: check the path")
        embedded = self._survey() if salvage else self._open()
        self.types = BagTypes(definitions or {}, embedded)
        self.notes += self.types.notes

    def _open(self) -> list[tuple[str, str]]:
        from rosbags.interfaces import MessageDefinitionFormat
        from rosbags.rosbag2 import Reader

        try:
            self._reader = self._stack.enter_context(Reader(self.path))
            connections = list(self._reader.connections)
            self.span_ns = (int(self._reader.start_time), int(self._reader.end_time))
        except _library_errors() as error:
            self._stack.close()
            raise BagDamagedError(f"{self.path} is not whole ({_first(error)})") from error
        topics: dict[str, Topic] = {}
        for c in connections:
            before = topics[c.topic].count if c.topic in topics else 0
            topics[c.topic] = Topic(c.topic, c.msgtype, before + c.msgcount)
        self.topics = topics
        return [
            (c.msgtype, c.msgdef.data)
            for c in connections
            if c.msgdef.format is not MessageDefinitionFormat.NONE
        ]

    def _survey(self) -> list[tuple[str, str]]:
        """Read everything once, for the topics and their counts."""
        self._salvages = [McapSalvage(f) if f.suffix == ".mcap" else Db3Salvage(f) for f in _files(self.path)]
        counts: dict[tuple[str, str], int] = {}
        definitions: dict[str, str] = {}
        for salvage in self._salvages:
            for channel, stamp, _ in salvage.messages():
                first, last = self.span_ns
                self.span_ns = (min(first or stamp, stamp), max(last, stamp))
                key = (channel.topic, channel.kind)
                counts[key] = counts.get(key, 0) + 1
                if channel.definition:
                    definitions.setdefault(channel.kind, channel.definition)
            self.notes += [
                f"{loss}: everything before is read" if "ends inside" in loss else loss
                for loss in salvage.losses
            ]
        if not any(salvage.losses for salvage in self._salvages):
            self.notes.append("index or metadata are missing or damaged; every message could be read")
        promised = _promised(self.path)
        self.topics = {
            name: Topic(name, kind, max(count, promised.get(name, 0)))
            for (name, kind), count in counts.items()
        }
        return list(definitions.items())

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, bytes]]:
        """(topic, receipt in ns, data) of some topics, in the order of the file. Raises BagDamagedError."""
        if self._reader is None:
            for salvage in self._salvages:
                for channel, stamp, data in salvage.messages():
                    if channel.topic in topics:
                        yield channel.topic, stamp, data
            return
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:
            return
        try:
            for connection, stamp, data in self._reader.messages(wanted):
                yield connection.topic, int(stamp), bytes(data)
        except _library_errors() as error:
            raise BagDamagedError(f"{self.path} is not whole ({_first(error)})") from error

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def open_bag(path: Path) -> Bag:
    """A bag by its index or, where that is damaged, as far as it goes. Raises RecordingError."""
    try:
        return Bag(path)
    except BagDamagedError:
        return Bag(path, salvage=True)


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2 recording."""
    if path.is_dir():
        return any(f.suffix in _STORAGES for f in path.iterdir())
    return path.suffix in _STORAGES


def origin(path: Path) -> dict[str, Any]:
    """The manifest of the store that a bag was exported from, with CAMERA_TOPICS; empty for other bags."""
    try:
        data = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
        found = json.loads(data["rosbag2_bagfile_information"]["custom_data"][ORIGIN])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _files(path: Path) -> list[Path]:
    """The storage files of a bag in the order they were written. Raises RecordingError."""
    if path.is_file():
        if path.suffix not in _STORAGES:
            raise RecordingError(f"{path} is no .mcap or .db3 file: give a rosbag2 recording")
        return [path]
    found = [f for f in path.iterdir() if f.suffix in _STORAGES]
    if not found:
        compressed = any(f.name.endswith((".mcap.zstd", ".db3.zstd")) for f in path.iterdir())
        raise RecordingError(
            f"{path} holds compressed storage files and damaged metadata: decompress them with zstd -d"
            if compressed
            else f"{path} holds no .mcap or .db3 file: give the folder of a rosbag2 recording"
        )
    return sorted(found, key=lambda f: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", f.name)])


def _promised(path: Path) -> dict[str, int]:
    """Topic -> messages that metadata.yaml tells of; empty where it is missing or damaged."""
    try:
        data = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
        topics = data["rosbag2_bagfile_information"]["topics_with_message_count"]
        return {str(t["topic_metadata"]["name"]): int(t["message_count"]) for t in topics}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return {}


def _library_errors() -> tuple[type[Exception], ...]:
    """What the bag library and the packages under it raise at damage."""
    import apsw
    from rosbags.rosbag2 import ReaderError

    return (ReaderError, apsw.Error, zstd_module().ZstdError, OSError, *_DAMAGE)


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
