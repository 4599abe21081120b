"""Takes: bags of their own, finished after a death, gone when discarded."""

import json
import os

import pytest
from rosbags.rosbag2 import Reader
from support.recordings import STORE, message

from safe_o2o_ros.data.bags import origin
from safe_o2o_ros.data.takes import TakeFolder, is_being_recorded, remove
from safe_o2o_ros.errors import StoreError

BOOL = "std_msgs/msg/Bool"
CUSTOM = {"safe_o2o": json.dumps({"period_s": 0.1})}


@pytest.fixture
def folder(tmp_path):
    folder = TakeFolder(tmp_path / "out")
    yield folder
    folder.close()


def fill(take, count):
    for k in range(count):
        data = bytes(STORE.serialize_cdr(message(BOOL, data=bool(k % 2)), BOOL))
        take.write("/bumper", BOOL, 100 + k, 100 + k, data)


def count(path):
    with Reader(path) as reader:
        return reader.message_count


def test_a_finished_take_is_a_rosbag2_with_what_travels_along(folder):
    take = folder.new(CUSTOM)
    fill(take, 7)
    take.finish()
    path = folder.directory / "take_0001"
    assert sorted(p.name for p in path.iterdir()) == ["metadata.yaml", "take_0001_0.mcap"]
    assert count(path) == 7 and origin(path) == {"period_s": 0.1}
    assert folder.repair() == []
    assert folder.new({}).folder.name == "take_0002"


def test_what_a_recorder_that_died_has_left_is_finished_without_its_last_half_message(folder):
    for kept in (5, 1):
        take = folder.new(CUSTOM)
        fill(take, kept)
        take._log.abandon()
        file = take.folder / f"{take.folder.name}_0.mcap"
        whole = file.read_bytes()
        fill_more = whole + whole[-20:-3]  # half a record
        file.write_bytes(fill_more)
    assert folder.repair() == [
        "take_0001: was cut off; 5 messages are kept",
        "take_0002: was cut off; 1 messages are kept",
    ]
    assert [count(folder.directory / name) for name in folder.names()] == [5, 1]
    assert origin(folder.directory / "take_0001") == {"period_s": 0.1}
    assert folder.repair() == []


def test_a_death_between_index_and_metadata_and_one_before_any_message(folder):
    take = folder.new(CUSTOM)
    fill(take, 4)
    take.finish()
    (take.folder / "metadata.yaml").unlink()
    empty = folder.new(CUSTOM)
    empty._log.abandon()
    none = folder.new(CUSTOM)
    (none.folder / "take_0003_0.mcap").unlink()
    assert [s.split(": ")[1].split(";")[0] for s in folder.repair()] == [
        "was cut off",
        "nothing was recorded, removed",
        "nothing was recorded, removed",
    ]
    assert folder.names() == ["take_0001"] and count(folder.directory / "take_0001") == 4


def test_a_discarded_take_is_gone_and_half_a_deletion_is_completed(folder):
    first, second = folder.new({}), folder.new({})
    fill(first, 3)
    first.discard()
    fill(second, 3)
    second.finish()
    assert folder.names() == ["take_0002"]
    second.folder.rename(folder.directory / ".discarded-take_0002")
    folder.close()
    again = TakeFolder(folder.directory)
    assert [p.name for p in folder.directory.iterdir()] == [".lock"]
    with pytest.raises(OSError):
        remove(second.folder)
    folder._lock = again._lock


def test_the_name_of_a_take_that_was_kept_never_comes_again(folder):
    take = folder.new({})
    fill(take, 3)
    take.finish()
    folder.keep(take.folder)
    remove(take.folder)
    assert folder.new({}).folder.name == "take_0002"
    folder.new({}).discard()
    assert folder.new({}).folder.name == "take_0003"


def test_only_an_unfinished_take_of_a_living_recorder_is_being_recorded(folder):
    done, running = folder.new({}), folder.new({})
    for take in (done, running):
        fill(take, 3)
    done.finish()
    assert [is_being_recorded(t.folder) for t in (done, running)] == [False, True]
    folder.close()
    assert not is_being_recorded(running.folder)
    assert not is_being_recorded(folder.directory.parent / "elsewhere")
    folder._lock = os.open(folder.directory / ".lock", os.O_RDWR)


def test_two_recorders_do_not_share_a_folder(folder):
    with pytest.raises(StoreError, match="another recorder writes"):
        TakeFolder(folder.directory)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be recorded to"):
        TakeFolder(tmp_path / "file" / "out")
