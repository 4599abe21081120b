"""The log that a recorder writes: whole at every moment, an ordinary indexed MCAP file when it is closed."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from support.recordings import STORE, message

from safe_o2o_ros.data.bag_folder import topic
from safe_o2o_ros.data.mcap_log import McapLog
from safe_o2o_ros.data.mcap_salvage import McapSalvage
from safe_o2o_ros.errors import RecordingError

NUMBER = "std_msgs/msg/Float32"


def cdr(value):
    return bytes(STORE.serialize_cdr(message(NUMBER, data=float(value)), NUMBER))


def written(path, count, chunk_bytes=700):
    """A log with numbers on /a, every third on /b; the size of the file after each message."""
    log = McapLog(path, chunk_bytes)
    channels = [log.channel(topic(name, NUMBER)) for name in ("/a", "/b")]
    sizes = []
    for k in range(count):
        log.write(channels[k % 3 == 2], 1000 + k, 1000 + k, cdr(k))
        sizes.append(log.size_bytes)
    return log, sizes


def numbers(path):
    return [STORE.deserialize_cdr(data, NUMBER).data for _, _, data in McapSalvage(path).messages()]


def test_a_file_cut_anywhere_gives_every_message_that_was_written_before_the_cut(tmp_path):
    log, sizes = written(tmp_path / "log.mcap", 60)
    log.abandon()
    data, cut = (tmp_path / "log.mcap").read_bytes(), tmp_path / "cut.mcap"
    assert len(data) == sizes[-1]
    for end in range(100, len(data) + 1):
        cut.write_bytes(data[:end])
        assert numbers(cut) == list(range(sum(size <= end for size in sizes)))


def test_a_closed_file_has_an_index_and_readers_find_everything(tmp_path):
    log, _ = written(tmp_path / "log.mcap", 60)
    log.close()
    with Reader(tmp_path / "log.mcap") as reader:
        assert {name: t.msgcount for name, t in reader.topics.items()} == {"/a": 40, "/b": 20}
        assert (reader.start_time, reader.end_time - 1) == (1000, 1059)
        assert [STORE.deserialize_cdr(data, NUMBER).data for _, _, data in reader.messages()] == list(
            range(60)
        )
        (only,) = [c for c in reader.connections if c.topic == "/b"]
        found = [(t, STORE.deserialize_cdr(data, NUMBER).data) for _, t, data in reader.messages([only])]
        assert found == [(1000 + k, k) for k in range(60) if k % 3 == 2]
    salvage = McapSalvage(tmp_path / "log.mcap")
    assert len(list(salvage.messages())) == 60 and salvage.losses == []


@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=30), chunk=st.integers(1, 4000))
def test_messages_of_any_size_come_back_whatever_the_chunks(tmp_path_factory, sizes, chunk):
    path = tmp_path_factory.mktemp("log") / "log.mcap"
    log = McapLog(path, chunk)
    channel = log.channel(topic("/text", "std_msgs/msg/String"))
    wanted = [bytes([k % 256]) * size for k, size in enumerate(sizes)]
    for k, data in enumerate(wanted):
        log.write(channel, 100 - k, 5, data)  # also when time runs backwards
    assert [data for _, _, data in McapSalvage(path).messages()] == wanted
    log.close()
    assert [data for _, _, data in McapSalvage(path).messages()] == wanted
    with Reader(path) as reader:
        assert reader.message_count == len(wanted)
        assert reader.start_time == 101 - len(wanted)


@pytest.mark.parametrize("room", [0, 1, 20, 40, 200])
def test_a_full_disk_takes_back_half_a_message_and_the_file_is_whole(tmp_path, room):
    log, sizes = written(tmp_path / "log.mcap", 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[-1] + room, limits[1]))
    try:
        with pytest.raises(OSError):
            for k in range(20, 40):
                log.write(1, 1000 + k, 1000 + k, cdr(k))
        with pytest.raises(OSError):
            log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    found = numbers(tmp_path / "log.mcap")
    assert found == list(range(len(found))) and 20 <= len(found) < 26


def test_a_type_nobody_knows_is_refused_by_name():
    with pytest.raises(RecordingError, match=r"/x is a my_msgs/msg/Odd"):
        topic("/x", "my_msgs/msg/Odd")
