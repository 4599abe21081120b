"""The append-only segment store: a directory of checksummed record files.

An append is acknowledged by its return: the record's id is handed out after fsync. Opening for
writing cuts the tail of the last segment that a crash left behind; nothing acknowledged lies there.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from safe_o2o_ros.data.framing import RecordRef, SegmentScan, frame, read_payload, scan
from safe_o2o_ros.errors import CorruptRecordError, StoreError

_LOG = logging.getLogger(__name__)
_SUFFIX = ".seg"
DEFAULT_SEGMENT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Recovery:
    """What opening a store found."""

    records: int
    """Whole records (their payloads are verified when read)."""
    tail_bytes: int
    """Bytes of unfinished or damaged appends at the end; cut by a writer, ignored by a reader."""
    damaged: tuple[str, ...]
    """One sentence for each unreadable range between records."""


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{_SUFFIX}"))


def _summary(paths: Sequence[Path], scans: Sequence[SegmentScan], evicted: bool = False) -> Recovery:
    """`evicted`: whole segments may have been deleted on purpose."""
    damaged = [
        f"{path.name}: bytes {start} to {end} are not a record"
        for path, found in zip(paths, scans, strict=True)
        for start, end in found.gaps
    ]
    for path, found in list(zip(paths, scans, strict=True))[:-1]:
        if found.tail:
            damaged.append(f"{path.name}: its last {found.tail} bytes are not a record")
    damaged += [] if evicted else _missing(paths, scans)
    tail = scans[-1].tail if scans else 0
    for sentence in damaged:
        _LOG.warning("%s", sentence)
    if tail:
        _LOG.warning("%s ends in %d bytes of an unfinished record", paths[-1].name, tail)
    return Recovery(sum(len(s.records) for s in scans), tail, tuple(damaged))


def _missing(paths: Sequence[Path], scans: Sequence[SegmentScan]) -> list[str]:
    """One sentence for each run of ids that is in no file: a segment was cut between records or deleted."""
    missing = []
    last: int | None = None
    for path, found in zip(paths, scans, strict=True):
        if found.records and last is not None:
            first = found.records[0].sequence
            whole = not found.gaps or found.gaps[0][0] > 0  # else the loss is named as bytes of this file
            if first > last + 1 and whole:
                missing.append(f"{path.name}: records {last + 1} to {first - 1} before it are missing")
        if found.tail:
            last = None  # named as bytes of that file
        elif found.records:
            last = found.records[-1].sequence
    return missing


class SegmentWriter:
    """The one writer of a store; a second one in any process is refused with StoreError."""

    def __init__(
        self, directory: Path, segment_bytes: int = DEFAULT_SEGMENT_BYTES, evicted: bool = False
    ) -> None:
        """Open or create; a segment is closed when it has grown past `segment_bytes`.

        `evicted`: whole segments are deleted by design, so ids that are in no file are no damage.
        """
        self._directory, self._evicted = directory, evicted
        self._limit = segment_bytes
        self._file: int | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"store {directory} cannot be opened for writing ({error})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreError(
                f"store {directory} has another writer; wait for it to end or write to another directory"
            ) from error
        try:
            self._open_last()
        except StoreError:
            os.close(self._lock)
            raise

    def _open_last(self) -> None:
        paths = _segments(self._directory)
        scans = [scan(path) for path in paths]
        self.recovery = _summary(paths, scans, self._evicted)
        self._next = 1 + max((r.sequence for s in scans for r in s.records), default=-1)
        self._number = int(paths[-1].stem) if paths else -1
        if not paths:
            self._rotate()
            return
        try:
            self._file = os.open(paths[-1], os.O_RDWR | os.O_CLOEXEC)
            self._size = os.fstat(self._file).st_size - scans[-1].tail
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError as error:
            raise StoreError(f"segment {paths[-1]} cannot be opened for writing ({error})") from error

    @property
    def current(self) -> Path:
        """The segment that is written."""
        return self._directory / f"{self._number:08d}{_SUFFIX}"

    def _rotate(self) -> None:
        # The old segment stays open until the new one is there: on a full disk that may take a while.
        path = self._directory / f"{self._number + 1:08d}{_SUFFIX}"
        try:
            # It may be there: made by an attempt that failed behind its creation, and empty then.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"segment {path} cannot be created ({error})") from error
        try:
            sync_directory(self._directory)
        except OSError as error:
            os.close(file)
            raise StoreError(f"segment {path} cannot be created ({error})") from error
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = file, 0
        self._number += 1

    def append(self, payload: bytes) -> int:
        """Write one record; returns its id once it is on disk."""
        return self.append_batch([payload])[0]

    def append_batch(self, payloads: Iterable[bytes]) -> list[int]:
        """Write records with one fsync; returns their ids once all are on disk.

        On an error (a full disk) the segment is cut back to what was acknowledged and StoreError says why.
        """
        if self._file is None:
            raise StoreError(f"store {self._directory} is closed; open it again to append")
        if self._size >= self._limit:
            self._rotate()
        ids: list[int] = []
        end = self._size
        try:
            for payload in payloads:
                data = memoryview(frame(self._next + len(ids), payload))
                while data:
                    written = os.pwrite(self._file, data, end)
                    data, end = data[written:], end + written
                ids.append(self._next + len(ids))
            os.fsync(self._file)
        except OSError as error:
            self._cut_back()
            raise StoreError(
                f"store {self._directory} cannot be written ({error}); earlier records are safe, "
                "free space and retry"
            ) from error
        self._size = end
        self._next += len(ids)
        return ids

    def _cut_back(self) -> None:
        assert self._file is not None
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            # The next append writes over what is left there, and a reader takes it for an unfinished one.
            _LOG.warning("%s cannot be cut back to its last whole record (%s)", self.current, error)

    def close(self) -> None:
        """Release the files and the lock; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            os.close(self._lock)
            self._file = None

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SegmentReader:
    """Reads a store, also while it is written: sees what was there when it was opened."""

    def __init__(self, directory: Path) -> None:
        """Scan the headers; raises StoreError when the directory has no segments."""
        paths = _segments(directory)
        if not paths:
            raise StoreError(
                f"{directory} is not a segment store (it has no {_SUFFIX} files); check the path"
            )
        scans = [scan(path) for path in paths]
        self.recovery = _summary(paths, scans)
        self.refs: tuple[RecordRef, ...] = tuple(r for s in scans for r in s.records)
        self.skipped: list[str] = []
        """One sentence for each record that iteration left out because its checksum failed."""

    def __len__(self) -> int:
        return len(self.refs)

    def name(self, index: int) -> str:
        """Where the index-th record lies, for a message."""
        return str(self.refs[index])

    def read(self, index: int) -> bytes:
        """Payload of the index-th record; raises CorruptRecordError."""
        return read_payload(self.refs[index])

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """(id, payload) of every intact record, one in memory at a time; damaged ones go to `skipped`."""
        for ref in self.refs:
            try:
                payload = read_payload(ref)
            except CorruptRecordError as error:
                _LOG.warning("%s", error)
                self.skipped.append(str(error))
                continue
            yield ref.sequence, payload


def sync_directory(directory: Path) -> None:
    """Make a created or renamed file's directory entry durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
