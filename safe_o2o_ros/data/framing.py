"""The bytes around a record in a segment file, and the scan that finds records again.

A record is a 28-byte little-endian header and its payload:

    b"SO2R" | sequence u64 | payload length u64 | crc32 of the payload u32 | crc32 of these 24 bytes u32

The header has its own checksum, so a damaged length cannot send the scan astray: it looks for the
next header whose checksum holds.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from safe_o2o_ros.errors import CorruptRecordError, StoreError

MAGIC = b"SO2R"
_FIELDS = struct.Struct("<4sQQI")
_CHECK = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECK.size


@dataclass(frozen=True)
class RecordRef:
    """Where a record lies; `sequence` is its id, unique and growing in a store."""

    path: Path
    sequence: int
    offset: int
    """Of the header, bytes from the start of the file."""
    length: int
    """Of the payload, bytes."""
    crc: int

    def __str__(self) -> str:
        """Where it lies, for a message."""
        return f"record {self.sequence} at byte {self.offset} of {self.path}"

    @property
    def end(self) -> int:
        """The first byte behind the record."""
        return self.offset + HEADER_BYTES + self.length


@dataclass(frozen=True)
class SegmentScan:
    """What one segment file holds."""

    records: tuple[RecordRef, ...]
    gaps: tuple[tuple[int, int], ...]
    """Byte ranges (start, end) between records that are not readable."""
    tail: int
    """Bytes behind the last whole record: an append that never finished, or a damaged end."""


def frame(sequence: int, payload: bytes) -> bytes:
    """Header and payload of one record."""
    head = _FIELDS.pack(MAGIC, sequence, len(payload), zlib.crc32(payload))
    return head + _CHECK.pack(zlib.crc32(head)) + payload


def _header_at(view: mmap.mmap, offset: int, path: Path) -> RecordRef | None:
    """The record whose intact header starts at `offset` and whose payload fits the file, or None."""
    head = view[offset : offset + HEADER_BYTES]
    if len(head) < HEADER_BYTES or head[:4] != MAGIC:
        return None
    if _CHECK.unpack(head[_FIELDS.size :])[0] != zlib.crc32(head[: _FIELDS.size]):
        return None
    _, sequence, length, crc = _FIELDS.unpack(head[: _FIELDS.size])
    found = RecordRef(path, sequence, offset, length, crc)
    return found if found.end <= len(view) else None


def _next_header(view: mmap.mmap, start: int, path: Path) -> RecordRef | None:
    at = view.find(MAGIC, start)
    while at >= 0:
        found = _header_at(view, at, path)
        if found is not None and zlib.crc32(view[at + HEADER_BYTES : found.end]) == found.crc:
            return found
        at = view.find(MAGIC, at + 1)
    return None


def scan(path: Path) -> SegmentScan:
    """Find all records of a segment by their headers; raises StoreError if the file cannot be read.

    Payload checksums are verified when a record is read, except for the last record's: it alone can be
    torn by a crash. Memory use does not grow with the file.
    """
    records: list[RecordRef] = []
    gaps: list[tuple[int, int]] = []
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                return SegmentScan((), (), 0)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                offset = 0
                while offset < len(view):
                    record = _header_at(view, offset, path)
                    if record is None:
                        record = _next_header(view, offset + 1, path)
                        if record is None:
                            break
                        gaps.append((offset, record.offset))
                    records.append(record)
                    offset = record.end
                if (
                    records
                    and zlib.crc32(view[records[-1].offset + HEADER_BYTES : offset]) != records[-1].crc
                ):
                    offset = records.pop().offset
                return SegmentScan(tuple(records), tuple(gaps), len(view) - offset)
    except OSError as error:
        raise StoreError(
            f"segment {path} cannot be read ({error}); check its disk and permissions"
        ) from error


def read_payload(ref: RecordRef) -> bytes:
    """A record's payload; raises CorruptRecordError when its checksum fails, StoreError when unreadable."""
    try:
        with ref.path.open("rb") as file:
            file.seek(ref.offset + HEADER_BYTES)
            payload = file.read(ref.length)
    except OSError as error:
        raise StoreError(
            f"segment {ref.path} cannot be read ({error}); check its disk and permissions"
        ) from error
    if len(payload) != ref.length or zlib.crc32(payload) != ref.crc:
        raise CorruptRecordError(
            f"{ref} fails its checksum; it is "
            "skipped when iterating, restore the file from a copy if the record is needed"
        )
    return payload
