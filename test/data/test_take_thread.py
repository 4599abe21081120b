"""The thread between messages and disk: order, account, and what it does when it cannot keep up."""

import threading

import pytest
from rosbags.rosbag2 import Reader
from support.recordings import STORE, message

from safe_o2o_ros.data.record_report import RecordReport
from safe_o2o_ros.data.take_events import Heard
from safe_o2o_ros.data.take_thread import TakeThread
from safe_o2o_ros.data.takes import TakeFolder
from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.types import Level

TEXT = "std_msgs/msg/String"


@pytest.fixture
def made(tmp_path):
    """A thread for takes of this folder."""
    threads = []

    def make(queue_bytes=1_000_000, min_free_bytes=0):
        folder = TakeFolder(tmp_path / "out")
        threads.append((TakeThread(folder, queue_bytes, min_free_bytes), folder))
        return threads[-1][0]

    yield make
    for thread, folder in threads:
        assert thread.close(20.0)
        folder.close()


def heard(text, topic="/text", frame=True, change=None):
    data = bytes(STORE.serialize_cdr(message(TEXT, data=text), TEXT))
    return Heard(topic, TEXT, 1, 1, data, frame, change)


def texts(path):
    with Reader(path) as reader:
        return [(c.topic, STORE.deserialize_cdr(d, TEXT).data) for c, _, d in reader.messages()]


def check_account(thread, waiting=0):
    for topic, count in thread.offered.items():
        dropped = thread.dropped_of[topic]
        assert count == thread.written[topic] + dropped + waiting
    assert sum(thread.dropped_of.values()) == sum(thread.dropped.values())


def test_commands_and_messages_keep_their_order(made, tmp_path):
    thread = made()
    for name in ("a", "b"):
        thread.open({}, heard("first", "/mark", frame=False))
        for k in range(50):
            assert thread.offer(heard(f"{name}{k}"))
        thread.end("success", heard("last", "/mark", frame=False))
    finished = [thread.finished.get(timeout=20.0) for _ in range(2)]
    assert [(f.name, f.ending, f.messages, f.frames) for f in finished] == [
        ("take_0001", "success", 52, 50), ("take_0002", "success", 52, 50),
    ]  # fmt: skip
    found = texts(tmp_path / "out" / "take_0002")
    assert found == [("/mark", "first"), *[("/text", f"b{k}") for k in range(50)], ("/mark", "last")]
    check_account(thread)


def test_what_does_not_fit_in_memory_is_dropped_and_counted_and_the_rest_is_written(made, tmp_path):
    slow, begun = threading.Event(), threading.Event()

    def wait(data):
        begun.set()
        assert slow.wait(20.0)
        return data

    size = len(heard("0000").data)
    thread = made(queue_bytes=10 * size)
    thread.open({})
    assert thread.offer(heard("wait", change=wait))
    assert begun.wait(20.0)
    taken = [thread.offer(heard(f"{k:04d}")) for k in range(25)]
    # The one that is being written counts, too.
    assert taken == [True] * 9 + [False] * 16
    check_account(thread, waiting=10)
    slow.set()
    thread.end("success")
    thread.finished.get(timeout=20.0)
    check_account(thread)
    assert thread.dropped["queue_full"] == 16 and thread.waiting_bytes == 0
    assert [t for _, t in texts(tmp_path / "out" / "take_0001")] == ["wait", *(f"{k:04d}" for k in range(9))]


def test_a_picture_that_is_none_is_left_out_by_name(made, tmp_path):
    def broken(data):
        raise FrameError("no picture")

    thread = made()
    thread.open({})
    thread.offer(heard("good"))
    thread.offer(heard("bad", change=broken))
    thread.end("timeout")
    assert thread.finished.get(timeout=20.0).messages == 1
    assert thread.dropped["unreadable"] == 1
    check_account(thread)


def test_a_take_without_a_picture_is_not_kept(made, tmp_path):
    thread = made()
    thread.open({}, heard("first", "/mark", frame=False))
    thread.end("success")
    assert thread.finished.get(timeout=20.0).ending == "empty"
    assert (thread.kept, thread.discarded, list((tmp_path / "out").glob("take_*"))) == (0, 0, [])


def test_discard_takes_the_running_take_then_the_kept_ones_from_the_last_on(made, tmp_path):
    thread = made()
    for _ in range(3):
        thread.open({})
        thread.offer(heard("x"))
        thread.end("success")
    thread.open({})
    thread.offer(heard("x"))
    for _ in range(3):
        thread.discard()
    gone = [thread.finished.get(timeout=20.0) for _ in range(6)][3:]
    assert [f.name for f in gone] == ["take_0004", "take_0003", "take_0002"]
    assert [p.name for p in (tmp_path / "out").glob("take_*")] == ["take_0001"]
    assert (thread.kept, thread.discarded) == (1, 3)


def test_a_disk_without_room_takes_nothing_and_says_so(made, tmp_path):
    thread = made(min_free_bytes=10**18)
    report = RecordReport(thread, ("/text",))
    assert report.state("")[0] is Level.OK
    thread.open({})
    thread.offer(heard("x"))
    thread.end("success")
    thread.open({})
    assert thread.close(20.0)
    level, text = report.state("")
    assert not thread.has_room() and thread.failures == 2 and thread.dropped["disk"] == 1
    assert "less than 1e+09 GB are free" in thread.problem and list((tmp_path / "out").glob("take_*")) == []
    check_account(thread)
    assert level is Level.ERROR and "stopped" in text


def test_the_report_counts_recorded_time_frames_and_what_an_hour_takes(made):
    thread = made()
    report = RecordReport(thread, ("/text",))
    assert report.values(5.0)["gigabytes_per_hour"] == 0.0
    report.opened(10.0)
    thread.open({})
    for _ in range(4):
        thread.offer(heard("x" * 1000))
    thread.offer(heard("y", "/other", frame=False))
    thread.end("success")
    thread.finished.get(timeout=20.0)
    report.ended(12.0)
    values = report.values(100.0)
    assert (values["seconds"], values["frames"], values["written"], values["waiting"]) == (2.0, 4, 5, 0)
    assert values["gigabytes_per_hour"] == pytest.approx(thread.bytes * 1800 / 1e9, abs=1e-3)
    assert thread.bytes > 4000
