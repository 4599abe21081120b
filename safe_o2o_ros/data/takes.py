"""A folder of takes: every recorded episode is a bag of its own, whatever happens to the recorder.

    OUT/take_0001/take_0001_0.mcap, metadata.yaml

A take without metadata.yaml was not finished: its recorder died. `TakeFolder.repair` gives it its index back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from safe_o2o_ros.data.bag_folder import METADATA, write_metadata
from safe_o2o_ros.data.bag_folder import topic as topic_of
from safe_o2o_ros.data.mcap_log import McapLog, Topic
from safe_o2o_ros.data.mcap_salvage import Channel, McapSalvage
from safe_o2o_ros.errors import RecordingError, StoreError

_NAME = re.compile(r"take_(\d+)")
_CUSTOM, _LOCK = "custom.json", ".lock"
_LEAST_BYTES = 64
"""A file that is smaller holds no message."""


class Take:
    """One bag that is being written. Not thread-safe; every method may raise OSError."""

    def __init__(self, folder: Path, custom: Mapping[str, str]) -> None:
        """Make the new `folder`. `custom`: goes into the bag's custom data."""
        folder.mkdir()
        self.folder, self._custom = folder, dict(custom)
        (folder / _CUSTOM).write_text(json.dumps(self._custom), encoding="utf-8")
        self._log = McapLog(folder / f"{folder.name}_0.mcap")
        self._channels: dict[tuple[str, str], int] = {}

    @property
    def size_bytes(self) -> int:
        """Size of its file."""
        return self._log.size_bytes

    def write(self, name: str, kind: str, log_ns: int, publish_ns: int, data: bytes) -> None:
        """One CDR message; on disk when this returns, as far as the death of this process goes."""
        channel = self._channels.get((name, kind))
        if channel is None:
            channel = self._channels[name, kind] = self._log.channel(topic_of(name, kind))
        self._log.write(channel, log_ns, publish_ns, data)

    def sync(self) -> None:
        """Bring it to the disk."""
        self._log.sync()

    def finish(self) -> None:
        """Index and metadata. Where they do not fit, the take is repaired at the next start."""
        topics, counts, span = self._log.topics(), self._log.counts(), self._log.span_ns
        self._log.close()
        write_metadata(self.folder, f"{self.folder.name}_0.mcap", topics, counts, span, self._custom)
        (self.folder / _CUSTOM).unlink()

    def discard(self) -> None:
        """As if it had never been."""
        self._log.abandon()
        remove(self.folder)


def remove(folder: Path) -> None:
    """Delete a take; one that is half deleted is no take any more. Raises OSError."""
    gone = folder.with_name(f".discarded-{folder.name}")
    folder.rename(gone)
    shutil.rmtree(gone)


class TakeFolder:
    """Where takes go; one recorder at a time."""

    def __init__(self, directory: Path) -> None:
        """Make or open it. Raises StoreError."""
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{directory} cannot be recorded to ({error.strerror}): give another") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreError(f"another recorder writes to {directory}: give each its own folder") from error
        for left in directory.glob(".discarded-take_*"):
            shutil.rmtree(left, ignore_errors=True)

    def names(self) -> list[str]:
        """Takes there are, oldest first."""
        return sorted((p.name for p in self.directory.iterdir() if _NAME.fullmatch(p.name)), key=_number)

    def new(self, custom: Mapping[str, str]) -> Take:
        """The next take. The number of one that was kept is never used again. Raises OSError."""
        number = max([self._highest(), *map(_number, self.names())]) + 1
        return Take(self.directory / f"take_{number:04d}", custom)

    def keep(self, folder: Path) -> None:
        """A take has ended: its name is known to whoever imports, also if it is deleted later."""
        with contextlib.suppress(OSError):  # a full disk: then the name may come again
            os.pwrite(self._lock, b"%d\n" % max(self._highest(), _number(folder.name)), 0)

    def _highest(self) -> int:
        text = os.pread(self._lock, 32, 0).split(b"\n")[0]
        return int(text) if text.isdigit() else 0

    def repair(self) -> list[str]:
        """Finish what a recorder that died has left; returns a sentence for each such take."""
        return [
            _repair(self.directory / name)
            for name in self.names()
            if not (self.directory / name / METADATA).exists()
        ]

    def close(self) -> None:
        """Let others record here."""
        os.close(self._lock)


def is_being_recorded(take: Path) -> bool:
    """Whether a recorder that lives has not finished this take."""
    if (take / METADATA).exists():
        return False
    try:
        with (take.parent / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _number(name: str) -> int:
    return int(name.removeprefix("take_"))


def _repair(folder: Path) -> str:
    file, draft = folder / f"{folder.name}_0.mcap", folder / "repaired.tmp"
    try:
        draft.unlink(missing_ok=True)
        if not file.exists() or file.stat().st_size < _LEAST_BYTES:
            remove(folder)
            return f"{folder.name}: nothing was recorded, removed"
        salvage, log = McapSalvage(file), McapLog(draft)
        channels: dict[Channel, int] = {}
        for channel, log_ns, data in salvage.messages():
            if channel not in channels:
                channels[channel] = log.channel(_topic(channel))
            log.write(channels[channel], log_ns, log_ns, data)
        topics, counts, span = log.topics(), log.counts(), log.span_ns
        log.close()
        if not counts:
            remove(folder)
            return f"{folder.name}: nothing was recorded, removed"
        draft.replace(file)
        write_metadata(folder, file.name, topics, counts, span, _custom(folder))
        (folder / _CUSTOM).unlink(missing_ok=True)
    except OSError as error:
        return (
            f"{folder.name}: was cut off and cannot be repaired now ({error.strerror}): free space and start "
            "again, or import it as it is"
        )
    except RecordingError as error:
        return f"{folder.name}: cannot be repaired: {error}"
    return f"{folder.name}: was cut off; {sum(counts.values())} messages are kept"


def _topic(channel: Channel) -> Topic:
    try:
        return topic_of(channel.topic, channel.kind)
    except RecordingError:
        return Topic(channel.topic, channel.kind, channel.definition)


def _custom(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / _CUSTOM).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
