"""What a robot lived through: pieces of episodes in a segment store of bounded size.

One process writes, others read meanwhile. A piece is acknowledged when `append` returns its id.

Eviction: when the store is larger than it may be, whole segments are deleted, the oldest first. Those that
hold a cost or an intervention ("marked") are kept until there is no other, or until they fill half of the
room: then the oldest of them goes, so that new experience always has its place. The segment that is written
and the last one before it are never deleted. A deletion is one unlink: a kill in the middle leaves a store
that is whole, and too large until it is opened again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from safe_o2o_ros.data.codec import decode_meta, peek_meta
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.framing import HEADER_BYTES, SegmentScan, read_payload, scan
from safe_o2o_ros.data.segments import SegmentWriter, sync_directory
from safe_o2o_ros.data.store import (
    UNUSABLE,
    Manifest,
    check_same_data,
    decode_episode,
    encode_episode,
    read_manifest,
    write_manifest,
)
from safe_o2o_ros.errors import CorruptRecordError, StoreError, UsageError

MARKED = "marked"
"""Metadata of a stored piece: it holds a cost or an intervention."""
INTERVENTION = "intervention"
"""Optional column of a piece, (T,) uint8: a human drove."""
SEGMENT_BYTES = 4 * 1024 * 1024
_LEAST_SEGMENTS = 4
_MARKED_SHARE = 0.5


@dataclass
class _Segment:
    bytes: int
    marked: bool


def encode_piece(piece: Episode, image_codec: str = "png") -> bytes:
    """One record's payload."""
    intervened = bool(INTERVENTION in piece.extras and piece.extras[INTERVENTION].any())
    marked = bool(piece.costs.max() > 0.0) or intervened
    return encode_episode(replace(piece, metadata={**piece.metadata, MARKED: marked}), image_codec)


class ExperienceWriter:
    """The one writer of a store of experience."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        max_bytes: int,
        image_codec: str = "png",
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Create or continue a store of at most `max_bytes` (and a segment more, while it is written).

        Raises UsageError where so few segments would fit that little could be kept, StoreError where the
        store is of other data, has another writer, or the disk does not take it.
        """
        if max_bytes < _LEAST_SEGMENTS * segment_bytes:
            raise UsageError(
                f"a store of {max_bytes} bytes has no room for {_LEAST_SEGMENTS} segments of {segment_bytes} "
                "bytes: make the store larger or its segments smaller"
            )
        self._directory, self._codec, self._max_bytes = directory, image_codec, max_bytes
        self._writer = SegmentWriter(directory, segment_bytes, evicted=True)
        self.recovery = self._writer.recovery
        self.evicted = 0
        """Segments deleted to make room."""
        self._problem = ""
        """Why no room can be made, "" if it can."""
        try:
            check_same_data(directory, manifest)
            write_manifest(directory, manifest)
            self._segments = {path: _inspect(path) for path in sorted(directory.glob("*.seg"))}
            self._evict()
        except StoreError:
            self._writer.close()
            raise

    @property
    def size_bytes(self) -> int:
        """Size of all segments."""
        return sum(segment.bytes for segment in self._segments.values())

    def append(self, piece: Episode) -> int:
        """Store a piece; returns its id once it is on disk. Raises StoreError; the next call tries anew."""
        return self.append_encoded(encode_piece(piece, self._codec))

    def append_encoded(self, payload: bytes) -> int:
        """Store what `encode_piece` made."""
        if self._problem:
            self._evict()
        if self._problem:
            raise StoreError(self._problem)
        identity = self._writer.append(payload)
        written = self._segments.setdefault(self._writer.current, _Segment(0, False))
        written.bytes += HEADER_BYTES + len(payload)
        written.marked |= bool(decode_meta(payload).get(MARKED))
        self._evict()
        return identity

    def _evict(self) -> None:
        self._problem = ""
        while self.size_bytes > self._max_bytes:
            # Ids go on from the newest record: the last segments must not all be empty.
            closed = sorted(path for path in self._segments if path != self._writer.current)[:-1]
            if not closed:
                return
            plain = [path for path in closed if not self._segments[path].marked]
            marked = [path for path in closed if self._segments[path].marked]
            full = sum(self._segments[p].bytes for p in marked) > _MARKED_SHARE * self._max_bytes
            victim = marked[0] if marked and (full or not plain) else plain[0]
            try:
                victim.unlink(missing_ok=True)
                sync_directory(self._directory)
            except OSError as error:
                # Not raised: the piece that was just appended is stored.
                self._problem = f"segment {victim} cannot be deleted to make room ({error}): delete it"
                return
            del self._segments[victim]
            self.evicted += 1

    def close(self) -> None:
        """Release the store; may be called twice."""
        self._writer.close()

    def __enter__(self) -> ExperienceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inspect(path: Path) -> _Segment:
    """Size of a segment, and whether any of its records is marked; only headers are read."""
    found = scan(path)
    return _Segment(path.stat().st_size, any(_is_marked(path, r.offset) for r in found.records))


def _is_marked(path: Path, offset: int) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(offset + HEADER_BYTES)
            return bool(peek_meta(file).get(MARKED))
    except CorruptRecordError:
        return False
    except OSError as error:
        raise StoreError(f"segment {path} cannot be read ({error}); check its disk") from error


class ExperienceReader:
    """Reads a store of experience while another process writes it; the store need not be there yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._scans: dict[Path, tuple[int, SegmentScan]] = {}
        """Size of a segment when it was scanned, and what it held."""
        self._named: set[str] = set()
        self.skipped: list[str] = []
        """One sentence for each record or range of bytes that is damaged, once."""

    @property
    def manifest(self) -> Manifest:
        """Raises StoreError where there is no store yet."""
        return read_manifest(self.directory)

    def new_since(self, after: int) -> Iterator[tuple[int, Episode]]:
        """(id, piece) of every intact piece with an id greater than `after`, in order; -1 = all.

        One piece is in memory at a time. Damaged ones are named in `skipped`; evicted ones are just gone.
        """
        for identity, payload in self.payloads_since(after):
            try:
                piece = decode_episode(payload)
            except UNUSABLE as error:
                self._name(f"record {identity}: {error}")
                continue
            yield identity, piece

    def payloads_since(self, after: int) -> Iterator[tuple[int, bytes]]:
        """The same, as stored."""
        paths = sorted(self.directory.glob("*.seg"))
        self._scans = {path: found for path, found in self._scans.items() if path in paths}
        for path in paths:
            found = self._scan(path, last=path == paths[-1])
            for ref in found.records if found is not None else ():
                if ref.sequence <= after:
                    continue
                try:
                    payload = read_payload(ref)
                except CorruptRecordError as error:
                    self._name(str(error))
                    continue
                except StoreError:
                    if path.exists():
                        raise
                    break  # evicted meanwhile
                yield ref.sequence, payload

    def _scan(self, path: Path, last: bool) -> SegmentScan | None:
        """What a segment holds now; None where it was evicted meanwhile."""
        try:
            size = os.stat(path).st_size
            known = self._scans.get(path)
            found = known[1] if known is not None and known[0] == size else scan(path)
        except (FileNotFoundError, StoreError):
            if path.exists():
                raise
            return None
        self._scans[path] = (size, found)
        for start, end in found.gaps:
            self._name(f"{path.name}: bytes {start} to {end} are not a record")
        if found.tail and not last:  # of the last one: an append that is under way
            self._name(f"{path.name}: its last {found.tail} bytes are not a record")
        return found

    def _name(self, sentence: str) -> None:
        if sentence not in self._named:
            self._named.add(sentence)
            self.skipped.append(sentence)
