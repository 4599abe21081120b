"""The segment store keeps every acknowledged record, whatever happens to the process or the file."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

from safe_o2o_ros.data.framing import HEADER_BYTES
from safe_o2o_ros.data.segments import SegmentReader, SegmentWriter
from safe_o2o_ros.errors import CorruptRecordError, StoreError

PAYLOADS = [b"first", b"second record", b"", b"last one"]


def fill(directory: Path, payloads: list[bytes] = PAYLOADS) -> Path:
    with SegmentWriter(directory) as writer:
        writer.append_batch(payloads)
    return directory / "00000000.seg"


def contents(directory: Path) -> list[bytes]:
    return [payload for _, payload in SegmentReader(directory)]


def test_records_come_back_in_order_with_growing_ids(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path) as writer:
        assert writer.append(b"a") == 0
        assert writer.append_batch([b"b", b"c"]) == [1, 2]
    with SegmentWriter(tmp_path) as writer:
        assert writer.append(b"d") == 3
    assert list(SegmentReader(tmp_path)) == [(0, b"a"), (1, b"b"), (2, b"c"), (3, b"d")]


def test_a_record_has_the_documented_bytes(tmp_path: Path) -> None:
    data = fill(tmp_path, [b"xyz"]).read_bytes()
    head = struct.pack("<4sQQI", b"SO2R", 0, 3, zlib.crc32(b"xyz"))
    assert data == head + struct.pack("<I", zlib.crc32(head)) + b"xyz"


def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path, segment_bytes=100) as writer:
        for number in range(6):
            writer.append(bytes([number]) * 60)
    assert len(list(tmp_path.glob("*.seg"))) == 3  # 88 bytes a record: two reach the 100
    assert contents(tmp_path) == [bytes([number]) * 60 for number in range(6)]


def test_a_cut_at_any_byte_of_the_last_record_loses_only_that_record(tmp_path: Path) -> None:
    path = fill(tmp_path)
    whole = path.read_bytes()
    start = len(whole) - HEADER_BYTES - len(PAYLOADS[-1])
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        assert contents(tmp_path) == PAYLOADS[:-1]
        with SegmentWriter(tmp_path) as writer:
            assert writer.recovery.tail_bytes == end - start
            writer.append(b"after")
        assert contents(tmp_path) == [*PAYLOADS[:-1], b"after"]


def test_a_flipped_bit_anywhere_loses_only_the_record_it_is_in(tmp_path: Path) -> None:
    path = fill(tmp_path)
    whole = path.read_bytes()
    owner = [i for i, p in enumerate(PAYLOADS) for _ in range(HEADER_BYTES + len(p))]
    for place, lost in enumerate(owner):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        reader = SegmentReader(tmp_path)
        assert [p for _, p in reader] == [p for i, p in enumerate(PAYLOADS) if i != lost]
        found = len(reader.skipped) + len(reader.recovery.damaged) + (reader.recovery.tail_bytes > 0)
        assert found == 1


def test_a_damaged_record_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    path = fill(tmp_path)
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptRecordError, match=r"record 0 at byte 0 of .*00000000.seg fails its checksum"):
        SegmentReader(tmp_path).read(0)


def test_appending_behind_a_damaged_middle_keeps_both_sides(tmp_path: Path) -> None:
    path = fill(tmp_path)
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    with SegmentWriter(tmp_path) as writer:
        assert writer.recovery.damaged == (f"00000000.seg: bytes 0 to {HEADER_BYTES + 5} are not a record",)
        assert writer.append(b"new") == 4
    assert contents(tmp_path) == [*PAYLOADS[1:], b"new"]


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path) as writer:
        with pytest.raises(StoreError, match="has another writer"):
            SegmentWriter(tmp_path)
        writer.append(b"still writing")
        assert contents(tmp_path) == [b"still writing"]
    with SegmentWriter(tmp_path) as writer:
        writer.append(b"next")


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    writer.close()
    with pytest.raises(StoreError, match="is closed"):
        writer.append(b"late")


def test_a_directory_without_segments_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a segment store"):
        SegmentReader(tmp_path)


KILLED_WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from safe_o2o_ros.data.segments import SegmentWriter
    writer = SegmentWriter(Path(sys.argv[1]), segment_bytes=200_000)
    number = 0
    while True:
        identity = writer.append(number.to_bytes(4, "little") * 5_000)
        print(identity, flush=True)
        number += 1
""")


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(25):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        last = acknowledged[-1] if acknowledged else 24
        stored = [identity for identity, _ in SegmentReader(tmp_path)]
        assert stored == list(range(len(stored)))
        assert len(stored) > last
    assert len(list(tmp_path.glob("*.seg"))) > 1


FULL_DISK = textwrap.dedent("""
    import resource, sys
    from pathlib import Path
    from safe_o2o_ros.data.segments import SegmentWriter
    from safe_o2o_ros.errors import StoreError
    # The limit makes write fail half-way through a record, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    writer = SegmentWriter(Path(sys.argv[1]))
    writer.append(b"x" * 500)
    try:
        writer.append(b"y" * 800)
    except StoreError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(writer.append(b"z"))
""")


def test_a_full_disk_is_named_and_leaves_the_store_usable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    message, identity = done.stdout.splitlines()
    assert "cannot be written" in message and "free space and retry" in message
    assert identity == "1"
    assert contents(tmp_path) == [b"x" * 500, b"z"]
    assert os.path.getsize(tmp_path / "00000000.seg") == 2 * HEADER_BYTES + 501
