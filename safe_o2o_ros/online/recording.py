"""Pieces to disk in a thread of its own, so that nobody who drives ever waits for a disk."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.experience import ExperienceWriter, encode_piece
from safe_o2o_ros.errors import StoreError

QUEUE_FULL, NOT_WRITTEN = "queue_full", "not_written"
"""Causes of losses: the disk did not keep up; it did not come back before the end."""


@dataclass(frozen=True)
class Ack:
    """A piece that is on disk."""

    id: int
    episode: str
    piece: int
    steps: int
    sha256: str
    """Of the stored payload, hex."""


class Recorder:
    """Takes pieces, writes them in order, keeps what does not fit in memory for a while; then drops, by name.

    Thread-safe. While the store cannot be written, `problem` says why, and the first piece is tried again
    every `retry_s` seconds until it can.
    """

    def __init__(
        self,
        open_store: Callable[[], ExperienceWriter],
        image_codec: str = "png",
        queue_pieces: int = 64,
        retry_s: float = 1.0,
    ) -> None:
        """`open_store` may raise StoreError and is then called again later; it is called in the thread."""
        self._open_store, self._codec, self._retry_s = open_store, image_codec, retry_s
        self._queue: queue.Queue[Episode] = queue.Queue(queue_pieces)
        self._capacity = queue_pieces
        self._stop = threading.Event()
        self.dropped: Counter[str] = Counter({QUEUE_FULL: 0, NOT_WRITTEN: 0})
        """Transitions lost here, by cause."""
        self._accepted = 0
        self.stored = 0
        """Transitions on disk."""
        self.size_bytes = 0
        """Size of the store."""
        self.evicted = 0
        """Segments deleted to make room."""
        self.problem = ""
        """Why nothing can be written at the moment, "" if it can."""
        self.acks: deque[Ack] = deque(maxlen=4096)
        """Newly stored pieces, for the owner to take out."""
        self._store: ExperienceWriter | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """The thread runs; it ends before `close` only by a defect."""
        return self._thread.is_alive() or self._stop.is_set()

    @property
    def backlog(self) -> float:
        """Share of the queue that is full, 0 to 1."""
        return self._queue.qsize() / self._capacity

    def account(self) -> tuple[int, int, Counter[str]]:
        """Transitions on disk, in memory, and dropped: at one time, though the thread goes on."""
        stored, dropped = self.stored, Counter(self.dropped)
        return stored, self._accepted - stored - dropped[NOT_WRITTEN], dropped

    @property
    def waiting(self) -> int:
        """Pieces not written yet."""
        return self._queue.unfinished_tasks

    def offer(self, piece: Episode) -> bool:
        """Hand over a piece; False if it had to be dropped. Never waits."""
        try:
            self._queue.put_nowait(piece)
        except queue.Full:
            self.dropped[QUEUE_FULL] += len(piece)
            return False
        self._accepted += len(piece)
        return True

    def close(self, timeout_s: float) -> None:
        """Write what waits, for `timeout_s` seconds at most; the rest is dropped by name."""
        self._stop.set()
        self._thread.join(timeout_s)
        while True:
            try:
                self.dropped[NOT_WRITTEN] += len(self._queue.get_nowait())
            except queue.Empty:
                return

    def _run(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            try:
                piece = self._queue.get(timeout=0.1)
            except queue.Empty:
                if self._store is None:
                    self._open()
                continue
            self._write(piece)
            self._queue.task_done()
        if self._store is not None:
            self._store.close()

    def _write(self, piece: Episode) -> None:
        payload = encode_piece(piece, self._codec)
        while not self._append(piece, payload):
            if self._stop.wait(self._retry_s):
                self.dropped[NOT_WRITTEN] += len(piece)
                return

    def _open(self) -> bool:
        try:
            self._store = self._open_store()
        except StoreError as error:
            self.problem = str(error)
            self._stop.wait(self._retry_s)
            return False
        self.size_bytes, self.problem = self._store.size_bytes, ""
        return True

    def _append(self, piece: Episode, payload: bytes) -> bool:
        if self._store is None and not self._open():
            return False
        assert self._store is not None
        try:
            identity = self._store.append_encoded(payload)
        except StoreError as error:
            self.problem = str(error)
            return False
        self.problem = ""
        self.stored += len(piece)
        self.size_bytes, self.evicted = self._store.size_bytes, self._store.evicted
        about = piece.metadata
        digest = hashlib.sha256(payload).hexdigest()
        self.acks.append(Ack(identity, about["episode"], about["piece"], len(piece), digest))
        return True
