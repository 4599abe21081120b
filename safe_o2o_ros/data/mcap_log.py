"""An MCAP file that is whole up to the last message at any moment: for recorders that may be killed.

Chunks are written as they grow, not when they are full: the head of the open chunk promises more bytes than
there are, and is corrected when the chunk is closed. So a file that was cut anywhere reads as one that ends
inside a chunk, of which `McapSalvage` gives every message that was written. Closed files have an index.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safe_o2o_ros.data.mcap_salvage import MAGIC

CHUNK_BYTES = 4 * 1024 * 1024
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE = 0x01, 0x02, 0x03, 0x04, 0x05
_CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END = 0x06, 0x07, 0x08, 0x0B, 0x0F
_RECORD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_CHUNK_HEAD = struct.Struct("<QQQIIQ")
"""First and last time, size, no checksum, no compression, size of the records."""
_HEAD_BYTES = _RECORD.size + _CHUNK_HEAD.size


def _record(code: int, body: bytes) -> bytes:
    return _RECORD.pack(code, len(body)) + body


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data


@dataclass
class _Chunk:
    at: int
    """Where it begins in the file."""
    bytes: int = 0
    """Of its records."""
    first_ns: int = 0
    last_ns: int = 0
    index: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Channel -> (log time, offset in the chunk) of its messages."""


@dataclass(frozen=True)
class Topic:
    """What a reader must know of a topic."""

    name: str
    kind: str
    """Message type, such as std_msgs/msg/Bool."""
    definition: str
    """Text of the message definition with all it needs."""
    qos: str = ""
    """Offered QoS profiles as rosbag2 writes them, YAML."""


class McapLog:
    """Writes one file; every method may raise OSError: then it is whole up to the message before.

    Not thread-safe.
    """

    def __init__(self, path: Path, chunk_bytes: int = CHUNK_BYTES) -> None:
        """Create `path`, which must not exist."""
        self._chunk_bytes = chunk_bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._at = 0
        self._topics: list[Topic] = []
        self._schemas: dict[str, int] = {}
        self._sent: dict[int, int] = {}
        """Channel -> messages, of channels that stand in the file."""
        self._open: _Chunk | None = None
        self._chunk_index: list[bytes] = []
        self._first_ns, self._last_ns = 0, 0
        try:
            self._append(MAGIC + _record(_HEADER, _text("ros2") + _text("safe_o2o_ros")))
        except OSError:
            os.close(self._file)
            raise

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._at

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log times of the first and the last message; (0, 0) before any."""
        return self._first_ns, self._last_ns

    def counts(self) -> Mapping[str, int]:
        """Topic -> messages written."""
        return {self._topics[key - 1].name: count for key, count in self._sent.items()}

    def topics(self) -> list[Topic]:
        """Topics in the file."""
        return list(self._topics)

    def channel(self, topic: Topic) -> int:
        """The number under which messages of a topic are written."""
        self._topics.append(topic)
        return len(self._topics)

    def write(self, channel: int, log_ns: int, publish_ns: int, data: bytes) -> None:
        """One CDR message; it survives the death of this process when this returns."""
        new = channel not in self._sent
        prefix = self._introduction(channel) if new else b""
        body = _MESSAGE_HEAD.pack(channel, self._sent.get(channel, 0) & 0xFFFFFFFF, log_ns, publish_ns)
        size = len(prefix) + _RECORD.size + len(body) + len(data)
        chunk = self._chunk_for(size)
        offset = chunk.bytes + len(prefix)
        self._append(prefix + _RECORD.pack(_MESSAGE, len(body) + len(data)) + body + data)
        first = not chunk.index
        chunk.bytes += size
        chunk.first_ns = log_ns if first else min(chunk.first_ns, log_ns)
        chunk.last_ns = log_ns if first else max(chunk.last_ns, log_ns)
        chunk.index.setdefault(channel, []).append((log_ns, offset))
        self._schemas.setdefault(self._topics[channel - 1].kind, len(self._schemas) + 1)
        self._first_ns = log_ns if not self._sent else min(self._first_ns, log_ns)
        self._last_ns = max(self._last_ns, log_ns)
        self._sent[channel] = self._sent.get(channel, 0) + 1

    def sync(self) -> None:
        """Bring everything to the disk, so that it survives a power cut, too."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Write the index and close. Where the disk has no room for it the file stays without."""
        try:
            self._end_chunk()
            data_end = self._at
            self._append(_record(_DATA_END, b"\0\0\0\0"))
            try:
                summary = self._summary()
                footer = _record(_FOOTER, struct.pack("<QQI", self._at, 0, 0))
                self._append(summary + footer + MAGIC)
                self.sync()
            except OSError:
                os.ftruncate(self._file, data_end)
                raise
        finally:
            os.close(self._file)

    def abandon(self) -> None:
        """Close as a kill would: no index."""
        os.close(self._file)

    def _introduction(self, channel: int) -> bytes:
        """Schema and channel records, before a channel's first message."""
        topic = self._topics[channel - 1]
        key = self._schemas.get(topic.kind, len(self._schemas) + 1)
        return self._described(channel, key, schema=topic.kind not in self._schemas)

    def _described(self, channel: int, key: int, schema: bool) -> bytes:
        topic = self._topics[channel - 1]
        found = b""
        if schema:
            body = struct.pack("<H", key) + _text(topic.kind) + _text("ros2msg") + _text(topic.definition)
            found = _record(_SCHEMA, body)
        qos = _text("offered_qos_profiles") + _text(topic.qos)
        body = struct.pack("<HH", channel, key) + _text(topic.name) + _text("cdr")
        return found + _record(_CHANNEL, body + struct.pack("<I", len(qos)) + qos)

    def _chunk_for(self, size: int) -> _Chunk:
        """The chunk that takes a record of `size` bytes."""
        chunk = self._open
        if chunk is not None and chunk.bytes and chunk.bytes + size > self._chunk_bytes:
            self._end_chunk()
            chunk = None
        if chunk is None:
            # More than will come: a kill leaves a file that ends inside this chunk.
            room = max(self._chunk_bytes, size) + 1
            chunk = self._open = _Chunk(self._at)
            try:
                self._append(self._head(chunk, room))
            except OSError:
                self._open = None
                raise
        return chunk

    def _head(self, chunk: _Chunk, size: int) -> bytes:
        times = (chunk.first_ns, chunk.last_ns)
        return _RECORD.pack(_CHUNK, _CHUNK_HEAD.size + size) + _CHUNK_HEAD.pack(*times, size, 0, 0, size)

    def _end_chunk(self) -> None:
        chunk, self._open = self._open, None
        if chunk is None:
            return
        if not chunk.bytes:
            os.ftruncate(self._file, chunk.at)
            self._at = chunk.at
            return
        # In place, one write of a few bytes: a full disk cannot refuse it.
        os.pwrite(self._file, self._head(chunk, chunk.bytes), chunk.at)
        length = _HEAD_BYTES + chunk.bytes
        offsets, records = b"", b""
        for key, entries in chunk.index.items():
            offsets += struct.pack("<HQ", key, self._at + len(records))
            pairs = b"".join(struct.pack("<QQ", *entry) for entry in entries)
            records += _record(_MESSAGE_INDEX, struct.pack("<HI", key, len(pairs)) + pairs)
        self._append(records)
        body = struct.pack("<QQQQI", chunk.first_ns, chunk.last_ns, chunk.at, length, len(offsets)) + offsets
        body += struct.pack("<Q", len(records)) + _text("") + struct.pack("<QQ", chunk.bytes, chunk.bytes)
        self._chunk_index.append(_record(_CHUNK_INDEX, body))

    def _summary(self) -> bytes:
        written: set[str] = set()
        found = b""
        for channel in self._sent:
            kind = self._topics[channel - 1].kind
            found += self._described(channel, self._schemas[kind], schema=kind not in written)
            written.add(kind)
        counts = b"".join(struct.pack("<HQ", key, count) for key, count in self._sent.items())
        numbers = (
            sum(self._sent.values()),
            len(self._schemas),
            len(self._sent),
            0,
            0,
            len(self._chunk_index),
        )
        body = struct.pack("<QHIIIIQQ", *numbers, self._first_ns, self._last_ns)
        body += struct.pack("<I", len(counts)) + counts
        return found + _record(_STATISTICS, body) + b"".join(self._chunk_index)

    def _append(self, data: bytes) -> None:
        """All of it, or nothing: what a full disk took is taken back."""
        view, done = memoryview(data), 0
        try:
            while done < len(data):
                done += os.pwrite(self._file, view[done:], self._at + done)
        except OSError:
            os.ftruncate(self._file, self._at)
            raise
        self._at += len(data)
