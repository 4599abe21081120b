"""Everything before the cut of an MCAP file whose end is missing, or that is damaged inside.

A recorder that was killed leaves no index and half a chunk. The records before can be read one by one, and
of the half chunk what its decompressor gives.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from safe_o2o_ros.errors import RecordingError

MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_HEAD = struct.Struct("<BQ")
_MOST_BYTES = 1 << 30
"""A record or chunk that claims more is taken for damage."""


@dataclass(frozen=True)
class Channel:
    """A topic of the file."""

    topic: str
    kind: str
    """Message type."""
    definition: str
    """Its text, with the types it needs; "" where the file has none."""
    encoding: str
    """Of the definition: "ros2msg", "ros2idl" or ""."""


@dataclass
class McapSalvage:
    """Reads what is whole; `losses` grows while it does."""

    path: Path
    losses: list[str] = field(default_factory=list)
    """One sentence for each part that could not be read."""

    def messages(self) -> Iterator[tuple[Channel, int, bytes]]:
        """(channel, log time in ns, CDR data) in the order of the file. Raises RecordingError."""
        self.losses.clear()
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise RecordingError(f"{self.path} does not begin as an MCAP file does: check the path")
                known = _Known()
                known.look_ahead(file, size)
                file.seek(len(MAGIC))
                yield from self._records(file, size, known)
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read ({error.strerror}): check its disk") from error

    def _records(self, file: BinaryIO, size: int, known: _Known) -> Iterator[tuple[Channel, int, bytes]]:
        while True:
            at = file.tell()
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                if head:
                    self.losses.append(f"{self.path.name} ends inside a record at byte {at}")
                return
            code, length = _HEAD.unpack(head)
            if code == _DATA_END:
                return
            body = file.read(min(length, _MOST_BYTES))
            if len(body) < length:
                self.losses.append(f"{self.path.name} ends inside a record at byte {at} of {size}")
                if code == _CHUNK:
                    yield from self._chunk(body, known, at, whole=False)
                return
            if code == _CHUNK:
                yield from self._chunk(body, known, at, whole=True)
            else:
                try:
                    message = known.take(code, body)
                except (struct.error, UnicodeDecodeError, ValueError):
                    self.losses.append(f"{self.path.name}: the record at byte {at} is damaged")
                    continue
                if message is not None:
                    yield message

    def _chunk(
        self, body: bytes, known: _Known, at: int, whole: bool
    ) -> Iterator[tuple[Channel, int, bytes]]:
        """The messages of a chunk, of a part of one as far as it goes."""
        try:
            _, _, size, crc = struct.unpack_from("<QQQI", body)
            compression, offset = _text(body, 28)
            records = body[offset + 8 :]
            if size > _MOST_BYTES:
                raise ValueError
            data = _decompress(records, compression, size)
        except (struct.error, UnicodeDecodeError, ValueError):
            self.losses.append(f"{self.path.name}: the chunk at byte {at} is damaged")
            return
        if whole and (len(data) != size or (crc and zlib.crc32(data) != crc)):
            self.losses.append(f"{self.path.name}: the chunk at byte {at} fails its checksum")
            return
        position = 0
        while position + _HEAD.size <= len(data):
            code, length = _HEAD.unpack_from(data, position)
            position += _HEAD.size
            if position + length > len(data):
                return  # the cut, which is already noted
            try:
                message = known.take(code, data[position : position + length])
            except (struct.error, UnicodeDecodeError, ValueError):
                self.losses.append(f"{self.path.name}: a record in the chunk at byte {at} is damaged")
                return
            position += length
            if message is not None:
                yield message


class _Known:
    """Schemas and channels read so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._channels: dict[int, Channel] = {}

    def look_ahead(self, file: BinaryIO, size: int) -> None:
        """Schemas and channels outside the chunks: at the end of a whole file all of them stand again."""
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            code, length = _HEAD.unpack(head)
            if file.tell() + length > size:
                return
            if code not in (_SCHEMA, _CHANNEL) or length > _MOST_BYTES:
                file.seek(length, 1)
                continue
            with contextlib.suppress(struct.error, UnicodeDecodeError, ValueError):
                self.take(code, file.read(length))

    def take(self, code: int, body: bytes) -> tuple[Channel, int, bytes] | None:
        """One record; the message if it is one of a known channel. Raises struct.error, ValueError."""
        if code == _SCHEMA:
            (key,) = struct.unpack_from("<H", body)
            name, at = _text(body, 2)
            encoding, at = _text(body, at)
            definition, _ = _text(body, at)
            self._schemas[key] = (name, encoding, definition)
        elif code == _CHANNEL:
            key, schema = struct.unpack_from("<HH", body)
            topic, _ = _text(body, 4)
            name, encoding, definition = self._schemas.get(schema, ("", "", ""))
            self._channels[key] = Channel(topic, name, definition, encoding)
        elif code == _MESSAGE:
            key, _, log_ns, _ = struct.unpack_from("<HIQQ", body)
            if key in self._channels and log_ns < 1 << 63:
                return self._channels[key], int(log_ns), body[22:]
        return None


def _text(body: bytes, at: int) -> tuple[str, int]:
    """A length-prefixed text at a place, and the place behind it. Raises struct.error, ValueError."""
    (length,) = struct.unpack_from("<I", body, at)
    at += 4
    if at + length > len(body):
        raise ValueError("a text is longer than its record")
    return body[at : at + length].decode(), at + length


def _decompress(data: bytes, compression: str, size: int) -> bytes:
    """As much as there is of `size` bytes; damage ends it. Raises ValueError on an unknown method."""
    if compression == "":
        return data[:size]
    if compression == "lz4":
        import lz4.frame

        return _pieces(lz4.frame.LZ4FrameDecompressor(), data, size, RuntimeError)
    if compression == "zstd":
        zstd = zstd_module()
        return _pieces(zstd.ZstdDecompressor(), data, size, zstd.ZstdError)
    raise ValueError(f"unknown compression {compression}")


def zstd_module() -> Any:
    """Python's own (3.14), or the package that stands in for it."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd


def _pieces(decompressor: Any, data: bytes, size: int, error: type[Exception]) -> bytes:
    """Fed piece by piece, since an error inside a piece loses that piece."""
    out = bytearray()
    for start in range(0, len(data), 4096):
        if len(out) >= size or decompressor.eof:
            break
        try:
            out += decompressor.decompress(data[start : start + 4096])
        except (error, EOFError):
            break
    return bytes(out[:size])
