"""Both ends of a transfer, without a link: what to send, what to ask for, and when."""

from __future__ import annotations

import shutil
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from safe_o2o_ros.atomic import place_directory
from safe_o2o_ros.online.chunks import CHUNK_BYTES, Chunk, Digest, Incoming, Item, Request

_KNOWN = 256
"""Items that were offered lately and may still be asked for."""
_RETRY_S = 1.0
"""Silence after which is asked again."""
_PATIENCE = 3
"""Questions without an answer after which something newer is asked for."""
_NOTE_EVERY = 32


class Sender:
    """`offer` what there is, `asked` for bytes, `next` gives them, no faster than a rate."""

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = bytes_per_s
        self._known: OrderedDict[tuple[str, str], tuple[Item, Path]] = OrderedDict()
        self._queue: deque[tuple[Item, Path, int, int]] = deque()
        self._ready_s = 0.0
        self.sent_bytes = 0

    def offer(self, files: Mapping[Item, Path]) -> None:
        """Items and where they lie."""
        for item, path in files.items():
            self._known[item.name, item.sha256] = item, path
            self._known.move_to_end((item.name, item.sha256))
        while len(self._known) > max(_KNOWN, 2 * len(files)):
            self._known.popitem(last=False)

    def asked(self, request: Request) -> None:
        """Forget what was asked before: this is what is missing now."""
        self._queue.clear()
        found = self._known.get((request.name, request.sha256))
        if found is None:
            return
        item, path = found
        for first, end in request.ranges:
            for start in range(first, min(end, item.size), CHUNK_BYTES):
                self._queue.append((item, path, start, min(end, item.size, start + CHUNK_BYTES)))

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until `next` has something; None: nothing was asked for."""
        return max(0.0, self._ready_s - now_s) if self._queue else None

    def next(self, now_s: float) -> Chunk | None:
        """The next chunk, if it is time. Raises OSError where its file has gone."""
        if not self._queue or now_s < self._ready_s:
            return None
        item, path, first, end = self._queue.popleft()
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(end - first)
        # What was not used of the rate in a pause is not made up for.
        self._ready_s = max(now_s, self._ready_s) + len(data) / self._rate
        self.sent_bytes += len(data)
        return Chunk(item.name, item.sha256, first, data)


class Receiver:
    """Fetches what a catalogue lists into a folder, one item at a time, in the catalogue's order.

    Files of a set are collected in a hidden folder, which gets its name when all are there.
    """

    def __init__(self, folder: Path, window_bytes: int = 32 * CHUNK_BYTES) -> None:
        """`window_bytes`: asked for at once. Raises OSError."""
        self._folder, self._window = folder, window_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._items: tuple[Item, ...] = ()
        self._have: dict[str, Digest] = {}
        self._current: Incoming | None = None
        self._asked: set[tuple[int, int]] = set()
        self._asked_s = -1e9
        self._unanswered = 0
        self._since_note = 0
        self.complete: deque[str] = deque()
        """Names of sets and files that became complete, for whoever uses them."""
        self.received_bytes = 0
        self.wrong = 0
        """Files whose sha256 was not right at the end."""

    @property
    def missing(self) -> tuple[Item, ...]:
        """What is listed and not here."""
        return tuple(item for item in self._items if not self._is_here(item))

    def listed(self, items: Iterable[Item]) -> None:
        """The catalogue. Reads what is here, the first time. Raises OSError."""
        self._items = tuple(items)
        for item in self._items:
            path = self._path(item)
            if item.name not in self._have and path.is_file():
                digest = Digest(path)
                digest.advance(path.stat().st_size)
                self._have[item.name] = digest
        current = self._current
        if current is not None and current.item not in self._items:
            names = {item.name for item in self._items}
            if current.item.name not in names:
                current.drop()  # it is not to be had any more
                self._current = None
        for hidden in self._folder.glob(".*.incoming"):
            if hidden.name[1 : -len(".incoming")] not in {item.set for item in self._items}:
                shutil.rmtree(hidden, ignore_errors=True)
        self._finish_sets()

    def arrived(self, chunk: Chunk) -> None:
        """Bytes came. Raises OSError."""
        current = self._current
        if current is None or (chunk.name, chunk.sha256) != (current.item.name, current.item.sha256):
            return
        current.write(chunk)
        self.received_bytes += len(chunk.data)
        self._unanswered = 0
        self._since_note += 1
        if self._since_note >= _NOTE_EVERY:
            self._since_note = 0
            current.keep()
        self._asked -= {
            span for span in self._asked if chunk.offset <= span[0] < chunk.offset + len(chunk.data)
        }

    def request(self, now_s: float) -> Request | None:
        """What to ask for now; None: nothing, or the answers are still on their way. Raises OSError."""
        self._advance()
        current = self._current
        if current is None:
            return None
        if self._asked and now_s - self._asked_s < _RETRY_S:
            return None
        if self._asked:
            self._unanswered += 1
            self._newer(current)
        ranges = current.missing(self._window)
        self._asked, self._asked_s = set(ranges), now_s
        return Request(current.item.name, current.item.sha256, ranges)

    def heard(self, now_s: float) -> None:
        """Something came: wait for the rest of it before asking again."""
        self._asked_s = now_s

    def close(self) -> None:
        """Stop; another process may go on. Raises OSError."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def _newer(self, current: Incoming) -> None:
        """What nobody sends any more is replaced by what is listed now."""
        listed = {item.name: item for item in self._items}
        newest = listed.get(current.item.name)
        if newest is not None and newest != current.item and self._unanswered >= _PATIENCE:
            self._unanswered = 0
            current.retarget(newest)

    def _advance(self) -> None:
        """Finish what is whole, start on the next."""
        while True:
            current = self._current
            if current is None:
                item = next(iter(self.missing), None)
                if item is None:
                    return
                have = self._have.get(item.name)
                self._current = current = Incoming(item, self._path(item), have)
                self._asked.clear()
            if current.missing(1):
                return
            self._current = None
            name = current.item.name
            if current.finish():
                digest = current.have or Digest(self._path(current.item))
                digest.advance(current.item.size)
                self._have[name] = digest
                if not current.item.set:
                    self.complete.append(name)
            else:
                # What is here does not begin what is there: fetch all of it.
                self.wrong += 1
                self._have.pop(name, None)
                return
            self._finish_sets()

    def _finish_sets(self) -> None:
        for name in dict.fromkeys(item.set for item in self._items if item.set):
            items = [item for item in self._items if item.set == name]
            target = self._folder / name
            if target.is_dir() or not all(self._is_here(item) for item in items):
                continue
            place_directory(self._hidden(name), target)
            self.complete.append(name)

    def _is_here(self, item: Item) -> bool:
        if item.set and (self._folder / item.set).is_dir():
            return True  # sets do not change: their names are versions
        digest = self._have.get(item.name)
        if digest is None:
            return False
        return digest.size == item.size and digest.advance(digest.size) == item.sha256

    def _path(self, item: Item) -> Path:
        name = item.name.rpartition("/")[2]
        return (self._hidden(item.set) if item.set else self._folder) / name

    def _hidden(self, name: str) -> Path:
        return self._folder / f".{name}.incoming"

    def sets(self) -> tuple[str, ...]:
        """Sets of the catalogue that are whole."""
        names = dict.fromkeys(item.set for item in self._items if item.set)
        return tuple(name for name in names if (self._folder / name).is_dir())
