"""Files over a link that loses, repeats, reorders and breaks: pieces of them, and what puts them together.

A file is an `Item`: name, size, sha256. It travels in chunks; whoever receives asks for the ranges it lacks,
as often as it takes, writes them beside what it has, and lets nothing be seen before its sha256 is right.
Of files that grow at their end (segments of a store) only what is new travels.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.atomic import sync_directory
from safe_o2o_ros.errors import TransferError

CHUNK_BYTES = 32 * 1024
"""Of a file in one message: with its header it fits one datagram."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127})?")
_HEAD = struct.Struct("<4sH32sQI")
_MAGIC = b"SO2C"
_HASH_BYTES = 1 << 22


@dataclass(frozen=True)
class Item:
    """One file as it is at one time."""

    name: str
    """Plain file name, or "set/file": files of one set are of use together."""
    size: int
    """Bytes."""
    sha256: str
    """Hex."""

    @property
    def set(self) -> str:
        """Name of the set, or ""."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True)
class Request:
    """Send these bytes."""

    name: str
    sha256: str
    """Of the item: says which content is meant."""
    ranges: tuple[tuple[int, int], ...]
    """First byte, and first behind."""


@dataclass(frozen=True)
class Chunk:
    """Some bytes of an item."""

    name: str
    sha256: str
    offset: int
    data: bytes


def chunk_to_bytes(chunk: Chunk) -> bytes:
    """As it travels: a header with a checksum of the data, the name, the data."""
    name = chunk.name.encode("ascii")
    head = _HEAD.pack(_MAGIC, len(name), bytes.fromhex(chunk.sha256), chunk.offset, zlib.crc32(chunk.data))
    return head + name + chunk.data


def chunk_from_bytes(data: bytes) -> Chunk:
    """Inverse of `chunk_to_bytes`. Raises TransferError."""
    if len(data) < _HEAD.size:
        raise TransferError("a chunk is too short: check what publishes it")
    magic, length, digest, offset, crc = _HEAD.unpack_from(data)
    name, payload = data[_HEAD.size : _HEAD.size + length], data[_HEAD.size + length :]
    if magic != _MAGIC or len(name) != length or zlib.crc32(payload) != crc:
        raise TransferError("a chunk is damaged, or none: check what publishes it")
    return Chunk(_checked_name(name.decode("ascii", "replace")), digest.hex(), offset, payload)


def catalogue_to_json(items: Iterable[Item]) -> str:
    """Everything there is to be had, one line."""
    return json.dumps({"items": [[i.name, i.size, i.sha256] for i in items]})


def catalogue_from_json(text: str) -> tuple[Item, ...]:
    """Inverse of `catalogue_to_json`. Raises TransferError naming what is wrong."""
    try:
        rows = json.loads(text)["items"]
        items = tuple(Item(_checked_name(name), size, digest) for name, size, digest in rows)
        for item in items:
            if type(item.size) is not int or item.size < 0 or len(bytes.fromhex(item.sha256)) != 32:
                raise TransferError(f"the catalogue's '{item.name}' has no size or sha256 that can be")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError(f"not a catalogue ({error!r}): check what publishes it") from error
    if len({item.name for item in items}) != len(items):
        raise TransferError("the catalogue has a name twice: check what publishes it")
    return items


def request_to_json(request: Request) -> str:
    """One line."""
    return json.dumps({"name": request.name, "sha256": request.sha256, "ranges": request.ranges})


def request_from_json(text: str) -> Request:
    """Inverse of `request_to_json`. Raises TransferError."""
    try:
        data = json.loads(text)
        ranges = tuple((int(first), int(end)) for first, end in data["ranges"])
        if any(not 0 <= first < end for first, end in ranges):
            raise TransferError("a request asks for a range that is none: check what publishes it")
        return Request(_checked_name(data["name"]), str(data["sha256"]), ranges)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransferError(f"not a request ({error!r}): check what publishes it") from error


def _checked_name(name: Any) -> str:
    # No way out of the folder, no hidden file.
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TransferError(f"'{str(name)[:80]}' is no name for a file that travels: check what publishes it")
    return name


class Ranges:
    """A set of bytes of a file."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self.spans: list[tuple[int, int]] = []
        """Sorted, apart from each other; first byte, and first behind."""
        for first, end in spans:
            self.add(first, end)

    def add(self, first: int, end: int) -> None:
        """Bytes `first` to before `end` are in it."""
        if first >= end:
            return
        apart = [s for s in self.spans if s[1] < first or s[0] > end]
        touching = [s for s in self.spans if not (s[1] < first or s[0] > end)]
        merged = (min([first, *(s[0] for s in touching)]), max([end, *(s[1] for s in touching)]))
        self.spans = sorted([*apart, merged])

    def missing(self, first: int, end: int) -> list[tuple[int, int]]:
        """What of `first` to before `end` is not in it."""
        found, at = [], first
        for start, stop in self.spans:
            if stop <= at:
                continue
            if start >= end:
                break
            if start > at:
                found.append((at, start))
            at = stop
        return [*found, *([(at, end)] if at < end else [])]


class Digest:
    """The sha256 of the beginning of a file that grows: no byte is read twice."""

    def __init__(self, path: Path) -> None:
        self._path, self._hash, self.size = path, hashlib.sha256(), 0

    def advance(self, size: int) -> str:
        """Hex digest of the first `size` bytes, no less than before. Raises OSError, TransferError."""
        if size == self.size:
            return self._hash.hexdigest()
        with self._path.open("rb") as file:
            file.seek(self.size)
            while self.size < size:
                block = file.read(min(_HASH_BYTES, size - self.size))
                if not block:
                    raise TransferError(f"{self._path} has become shorter than {size} bytes")
                self._hash.update(block)
                self.size += len(block)
        return self._hash.hexdigest()

    def extended(self, path: Path) -> str:
        """Hex digest of these bytes and then a whole other file."""
        digest = self._hash.copy()
        with path.open("rb") as file:
            while block := file.read(_HASH_BYTES):
                digest.update(block)
        return digest.hexdigest()


class Incoming:
    """One file on its way: bytes go to NAME.part, with a note of what is there; `finish` makes it one."""

    def __init__(self, item: Item, target: Path, have: Digest | None = None) -> None:
        """`have`: the file at `target` so far, whose bytes begin the item's; None: all is new.

        Raises OSError. What an earlier process has received of the same is taken up.
        """
        self.item, self._target = item, target
        self.have = have if have is not None and have.size <= item.size else None
        """The file as it was before, if this goes on with it."""
        self._base = self.have.size if self.have else 0
        self._part = target.with_name(f".{target.name}.part")
        self._note = target.with_name(f".{target.name}.note")
        target.parent.mkdir(parents=True, exist_ok=True)
        self._got = Ranges(self._noted())
        self._part.touch()
        self._file = self._part.open("r+b")

    def _noted(self) -> list[tuple[int, int]]:
        try:
            note = json.loads(self._note.read_text(encoding="ascii"))
            size = self._part.stat().st_size
            if note["base"] == self._base:
                return [(a, b) for a, b in note["spans"] if self._base <= a < b <= self._base + size]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing usable from before
        self._part.unlink(missing_ok=True)
        return []

    def retarget(self, item: Item) -> None:
        """The file has grown, or changed: go on with what it is now. A wrong guess is found by `finish`."""
        self.item = item

    def write(self, chunk: Chunk) -> None:
        """Take a chunk of this item; others, and bytes beyond its end, are ignored. Raises OSError."""
        if (chunk.name, chunk.sha256) != (self.item.name, self.item.sha256):
            return
        first = max(chunk.offset, self._base)
        end = min(chunk.offset + len(chunk.data), self.item.size)
        if first < end:
            self._file.seek(first - self._base)
            self._file.write(chunk.data[first - chunk.offset : end - chunk.offset])
            self._got.add(first, end)

    def missing(self, most: int) -> tuple[tuple[int, int], ...]:
        """The first `most` bytes that are not there, as ranges of at most a chunk."""
        found: list[tuple[int, int]] = []
        for first, end in self._got.missing(self._base, self.item.size):
            while first < end and most > 0:
                stop = min(end, first + min(CHUNK_BYTES, most))
                found.append((first, stop))
                most -= stop - first
                first = stop
        return tuple(found)

    def keep(self) -> None:
        """Note what is there, for a process that goes on after this one. Raises OSError."""
        self._file.flush()
        draft = self._note.with_suffix(".draft")
        draft.write_text(json.dumps({"base": self._base, "spans": self._got.spans}), encoding="ascii")
        draft.replace(self._note)

    def finish(self) -> bool:
        """With nothing missing: verify, then put it at its place, on disk when this returns.

        False: the sha256 is another; all of it has to come again, for which this one is of no use any more.
        Raises OSError.
        """
        self._file.truncate(self.item.size - self._base)
        self._file.flush()
        os.fsync(self._file.fileno())
        right = (self.have or Digest(self._part)).extended(self._part) == self.item.sha256
        if right and self.have is not None:
            with self._target.open("r+b") as file, self._part.open("rb") as part:
                file.seek(self._base)
                while block := part.read(_HASH_BYTES):
                    file.write(block)
                file.truncate(self.item.size)
                file.flush()
                os.fsync(file.fileno())
        elif right:
            self._part.replace(self._target)
        self.drop()
        sync_directory(self._target.parent)
        return right

    def drop(self) -> None:
        """Leave nothing but the target. Raises OSError."""
        self._file.close()
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop for now; another process may go on. Raises OSError."""
        self.keep()
        self._file.close()
