"""What there is to transfer: whole records only, read once; the newest whole bundle only."""

import hashlib
import os

from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.data.segments import SegmentWriter
from safe_o2o_ros.online import listing
from safe_o2o_ros.online.listing import StoreListing, newest_bundle


def names(found):
    return [item.name for item in found]


def true(found):
    """Every item's sha256 is that of the first `size` bytes of its file."""
    return all(
        hashlib.sha256(path.read_bytes()[: item.size]).hexdigest() == item.sha256
        for item, path in found.items()
    )


def test_a_store_is_listed_up_to_its_last_whole_record_and_as_it_grows(tmp_path):
    look = StoreListing(tmp_path / "store").look
    assert look() == {}
    with SegmentWriter(tmp_path / "store", 1000) as writer:
        (tmp_path / "store" / "manifest.json").write_text("{}")
        writer.append(b"x" * 600)
        first = look()
        assert names(first) == ["manifest.json", "00000000.seg"] and true(first)
        writer.append(b"y" * 600)
        writer.append(b"z" * 600)
        last = tmp_path / "store" / "00000001.seg"
        whole = last.stat().st_size
        with last.open("ab") as file:
            file.write(b"half a record")
        found = look()
        assert names(found) == ["manifest.json", "00000000.seg", "00000001.seg"] and true(found)
        assert [i.size for i in found][-1] == whole
        assert look() == found
    last.unlink()
    assert names(look()) == ["manifest.json", "00000000.seg"]


def test_a_large_store_is_listed_bit_by_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "_LOOK_BYTES", 1500)
    with SegmentWriter(tmp_path, 1000) as writer:
        for _ in range(3):
            writer.append(bytes(1100))
    look = StoreListing(tmp_path).look
    seen = [len(look()) for _ in range(4)]
    assert seen == [1, 2, 3, 3]
    assert true(look())


def test_a_file_that_shrank_is_read_anew(tmp_path):
    look = StoreListing(tmp_path).look
    with SegmentWriter(tmp_path) as writer:
        writer.append(b"a" * 500)
        writer.append(b"b" * 500)
    assert true(look())
    path = tmp_path / "00000000.seg"
    path.unlink()
    with SegmentWriter(tmp_path) as writer:
        writer.append(b"c" * 400)
    assert true(look()) and len(look()) == 1


def test_of_several_bundles_the_newest_whole_one_is_listed(tmp_path):
    assert newest_bundle(tmp_path) == {}
    for age, version in ((20, "old"), (10, "new"), (0, "broken")):
        write_tiny_bundle(tmp_path / version, version=version)
        at = (tmp_path / version / "manifest.json").stat().st_mtime - age
        os.utime(tmp_path / version / "manifest.json", (at, at))
    (tmp_path / "broken" / "policy.onnx").unlink()
    found = newest_bundle(tmp_path)
    assert {name.split("/")[0].rsplit("-", 1)[0] for name in names(found)} == {"new"}
    assert {name.split("/")[1] for name in names(found)} == {
        "manifest.json", "encoder.onnx", "policy.onnx", "safety.onnx",
    }  # fmt: skip
    assert true(found)
