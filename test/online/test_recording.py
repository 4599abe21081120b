"""Pieces reach the disk without anybody waiting for it, and what does not is counted."""

from __future__ import annotations

import hashlib
import threading
import time

from support.pieces import episode_pieces, open_store

from safe_o2o_ros.data.experience import ExperienceReader
from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.online.recording import NOT_WRITTEN, QUEUE_FULL, Recorder

PIECES = episode_pieces(20)


def until(condition):
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_every_piece_is_acknowledged_with_the_digest_of_what_is_stored(tmp_path):
    recorder = Recorder(lambda: open_store(tmp_path))
    assert all(recorder.offer(piece) for piece in PIECES)
    recorder.close(30.0)
    stored = dict(ExperienceReader(tmp_path).payloads_since(-1))
    assert [ack.id for ack in recorder.acks] == list(stored) == [0, 1, 2, 3, 4]
    for ack in recorder.acks:
        assert ack.sha256 == hashlib.sha256(stored[ack.id]).hexdigest()
    assert [(a.episode, a.piece, a.steps) for a in recorder.acks] == [("e0", n, 4) for n in range(5)]
    stored, waiting, lost = recorder.account()
    assert (stored, waiting, sum(lost.values())) == (20, 0, 0)
    assert recorder.size_bytes == sum(p.stat().st_size for p in tmp_path.glob("*.seg"))


def test_what_comes_while_nothing_can_be_written_is_kept_as_far_as_there_is_room_and_then_dropped(tmp_path):
    broken = threading.Event()
    broken.set()

    def store():
        if broken.is_set():
            raise StoreError("the disk is full")
        return open_store(tmp_path)

    recorder = Recorder(store, queue_pieces=2, retry_s=0.01)
    until(lambda: recorder.problem == "the disk is full")
    recorder.offer(PIECES[0])
    until(lambda: recorder.backlog == 0.0)  # in the hands of the thread
    taken = [recorder.offer(piece) for piece in PIECES[1:]]
    assert taken == [True, True, False, False]
    assert recorder.account() == (0, 12, {QUEUE_FULL: 8, NOT_WRITTEN: 0})
    broken.clear()
    until(lambda: recorder.stored == 12)
    assert recorder.problem == ""
    recorder.close(30.0)
    assert [i for i, _ in ExperienceReader(tmp_path).new_since(-1)] == [0, 1, 2]


def test_what_cannot_be_written_before_the_end_is_counted(tmp_path):
    def store():
        raise StoreError("no disk")

    recorder = Recorder(store, retry_s=0.01)
    for piece in PIECES:
        recorder.offer(piece)
    recorder.close(30.0)
    assert recorder.dropped[NOT_WRITTEN] == 20
    assert recorder.stored == 0
