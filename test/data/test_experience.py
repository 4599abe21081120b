"""A robot's experience: bounded, readable while it is written, whole after any kill."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pieces import MANIFEST, episode_pieces, open_store

from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.experience import MARKED, ExperienceReader, encode_piece
from safe_o2o_ros.errors import StoreError, UsageError

PIECES = episode_pieces(20)  # five of four steps; the second costs something, in the third a human drives
PLAIN, COSTLY, HUMAN = PIECES[0], PIECES[1], PIECES[2]


def numbered(piece, number, uid="e", padding=0):
    """The piece as the number-th of an episode, larger by some bytes."""
    extras = {**piece.extras, "padding": np.zeros((len(piece), padding), np.uint8)}
    about = {**piece.metadata, "episode": uid, "piece": number, "first": number * len(piece), "end": ""}
    return replace(piece, metadata=about, extras=extras, truncated=False)


def ids(directory: Path, after: int = -1) -> list[int]:
    return [identity for identity, _ in ExperienceReader(directory).new_since(after)]


def assert_same(a: Any, b: Any) -> None:
    assert {k: v for k, v in a.metadata.items() if k != MARKED} == b.metadata
    for name in ("actions", "rewards", "costs", "terminated", "truncated"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for left, right in ((a.images, b.images), (a.extras, b.extras)):
        assert list(left) == list(right)
        for name in left:
            assert left[name].dtype == right[name].dtype
            np.testing.assert_array_equal(left[name], right[name])


def test_pieces_are_read_back_bit_for_bit_while_more_are_written(tmp_path):
    reader = ExperienceReader(tmp_path)
    assert list(reader.new_since(-1)) == []  # nobody has written yet
    with open_store(tmp_path) as writer:
        assert [writer.append(p) for p in PIECES[:3]] == [0, 1, 2]
        first = list(reader.new_since(-1))
        assert [i for i, _ in first] == [0, 1, 2]
        for (_, found), written in zip(first, PIECES, strict=False):
            assert_same(found, written)
        assert list(reader.new_since(2)) == []
        writer.append(PIECES[3])
        assert [i for i, _ in reader.new_since(2)] == [3]
        assert [i for i, _ in reader.new_since(0)] == [1, 2, 3]
    with open_store(tmp_path) as writer:
        assert writer.append(PIECES[4]) == 4
    assert [i for i, _ in reader.new_since(3)] == [4]
    assert reader.manifest == MANIFEST
    assert len(EpisodeReader(tmp_path)) == 5  # any tool that reads a store reads this one


def test_pieces_with_a_cost_or_a_human_are_marked(tmp_path):
    with open_store(tmp_path) as writer:
        for piece in PIECES:
            writer.append(piece)
    marked = [p.metadata[MARKED] for _, p in ExperienceReader(tmp_path).new_since(-1)]
    assert marked == [False, True, True, False, False]


def small_store(directory, **changes):
    return open_store(directory, **{"segment_bytes": 10_000, "max_bytes": 60_000, **changes})


def fill(writer, kinds, start=0):
    """One piece of 10 kB, that is one segment, for each letter: p(lain), c(ost), h(uman)."""
    by_letter = {"p": PLAIN, "c": COSTLY, "h": HUMAN}
    return [writer.append(numbered(by_letter[k], start + n, padding=2500)) for n, k in enumerate(kinds)]


def test_the_store_stays_within_its_size_and_the_oldest_goes_first(tmp_path):
    with small_store(tmp_path) as writer:
        for n in range(30):
            fill(writer, "p", n)
            assert writer.size_bytes <= 60_000
            assert writer.size_bytes == sum(p.stat().st_size for p in tmp_path.glob("*.seg"))
        assert writer.evicted > 20
    kept = ids(tmp_path)
    assert kept == list(range(kept[0], 30)) and len(kept) >= 4


def test_what_holds_costs_or_interventions_is_kept_longest(tmp_path):
    with small_store(tmp_path) as writer:
        fill(writer, "pchppppppppp")
    kept = ids(tmp_path)
    assert kept[:2] == [1, 2]
    assert kept[2:] == list(range(kept[2], 12)) and len(kept) >= 4


def test_marked_segments_leave_half_of_the_room_to_new_experience(tmp_path):
    with small_store(tmp_path) as writer:
        fill(writer, "cccccccccccc" + "ppp")
        fill(writer, "pppp", 15)
    kept = ids(tmp_path)
    assert kept[-3:] == [16, 17, 18]
    assert 2 <= sum(k < 12 for k in kept) <= 3
    assert [k for k in kept if k < 12] == list(range(12 - sum(k < 12 for k in kept), 12))


def test_a_new_writer_knows_what_is_marked_and_goes_on_evicting(tmp_path):
    with small_store(tmp_path) as writer:
        fill(writer, "pcppp")
    with small_store(tmp_path) as writer:
        fill(writer, "ppppp", 5)
    assert ids(tmp_path)[0] == 1
    with small_store(tmp_path, max_bytes=40_000) as writer:
        assert writer.size_bytes <= 40_000
        assert writer.recovery.damaged == ()  # ids that were evicted are no damage


def test_ids_never_start_again_even_if_next_to_nothing_is_kept(tmp_path):
    for round_ in range(6):
        with small_store(tmp_path, max_bytes=40_000) as writer:
            assert fill(writer, "pp", 2 * round_) == [2 * round_, 2 * round_ + 1]


def test_ids_never_start_again_after_a_kill_between_a_huge_piece_and_the_next(tmp_path):
    with small_store(tmp_path, max_bytes=40_000) as writer:
        writer.append(numbered(PLAIN, 0, padding=15_000))  # larger than the whole store
    (tmp_path / "00000001.seg").touch()  # made for the next piece, which was never written
    with small_store(tmp_path, max_bytes=40_000) as writer:
        assert fill(writer, "p", 1) == [1]


def test_a_store_without_room_is_refused_before_it_is_made(tmp_path):
    with pytest.raises(UsageError, match="has no room for 4 segments"):
        open_store(tmp_path / "store", max_bytes=10**6)
    assert not (tmp_path / "store").exists()


def test_a_store_of_other_data_is_refused(tmp_path):
    with open_store(tmp_path):
        pass
    with pytest.raises(StoreError, match="write to another directory"):
        type(open_store(tmp_path))(tmp_path, replace(MANIFEST, period_s=0.1), 10**8)


def test_a_damaged_record_is_skipped_and_named_once(tmp_path):
    with open_store(tmp_path) as writer:
        for piece in PIECES:
            writer.append(piece)
    path = tmp_path / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = ExperienceReader(tmp_path)
    for _ in range(2):
        kept = [i for i, _ in reader.new_since(-1)]
        assert len(kept) == 4
    (lost,) = set(range(5)) - set(kept)
    assert len(reader.skipped) == 1
    assert f"record {lost} at byte" in reader.skipped[0] and "00000000.seg" in reader.skipped[0]


def test_a_segment_of_garbage_is_skipped_and_named(tmp_path):
    with small_store(tmp_path) as writer:
        fill(writer, "ppp")
    (tmp_path / "00000001.seg").write_bytes(b"\x00" * 5000)
    reader = ExperienceReader(tmp_path)
    assert [i for i, _ in reader.new_since(-1)] == [0, 2]
    assert reader.skipped == ["00000001.seg: its last 5000 bytes are not a record"]
    with small_store(tmp_path) as writer:
        assert fill(writer, "p", 3) == [3]


def test_a_reader_outlives_the_eviction_of_what_it_is_about_to_read(tmp_path):
    with small_store(tmp_path) as writer:
        fill(writer, "ppppp")
        reader = ExperienceReader(tmp_path)
        stream = reader.new_since(-1)
        seen = [next(stream)[0]]
        fill(writer, "pppppppp", 5)
        seen += [i for i, _ in stream]
        assert seen[0] == 0 and seen == sorted(set(seen))
        kept = [i for i, _ in reader.new_since(seen[-1])]
        assert kept == list(range(kept[0], 13)) and kept[0] > seen[-1]
        assert reader.skipped == []


KILLED = textwrap.dedent("""
    import sys
    from pathlib import Path
    from support.pieces import open_store
    from test_experience import COSTLY, PLAIN, numbered
    writer = open_store(Path(sys.argv[1]), segment_bytes=10_000, max_bytes=50_000)
    number = 0
    while True:
        piece = numbered(COSTLY if number % 7 == 3 else PLAIN, number, padding=1000)
        print(writer.append(piece), flush=True)
        number += 1
""")


def test_a_writer_that_is_killed_while_it_evicts_leaves_a_whole_store(tmp_path):
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n" + KILLED
    last = -1
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(30):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        reader = ExperienceReader(tmp_path)
        found = dict(reader.new_since(-1))
        assert reader.skipped == []
        # The newest, in the segment that was written and the one before, are never evicted.
        newest = max(found)
        assert newest >= max([*acknowledged, last + 30])
        assert {newest - 2, newest - 1, newest} <= set(found)
        for identity, piece in found.items():
            expected = COSTLY if piece.metadata["piece"] % 7 == 3 else PLAIN
            np.testing.assert_array_equal(piece.actions, expected.actions)
            np.testing.assert_array_equal(piece.images["front"], expected.images["front"])
            assert identity <= newest
        assert sum(p.stat().st_size for p in tmp_path.glob("*.seg")) <= 50_000 + 12_000
        last = newest


FULL = textwrap.dedent("""
    import resource, sys
    from pathlib import Path
    from support.pieces import open_store
    from test_experience import PLAIN, numbered
    from safe_o2o_ros.errors import StoreError
    writer = open_store(Path(sys.argv[1]), segment_bytes=10_000, max_bytes=10**6)
    print(writer.append(numbered(PLAIN, 0, padding=2500)))
    # As on a full disk, neither a record nor a new segment with one in it can be written.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    for number in (1, 2):
        try:
            print(writer.append(numbered(PLAIN, number)))
        except StoreError as error:
            print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(writer.append(numbered(PLAIN, 3)))
""")


def test_a_full_disk_is_named_and_writing_goes_on_when_there_is_room_again(tmp_path):
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]\n" + FULL
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stderr == ""
    first, *refused, last = done.stdout.splitlines()
    assert (first, last) == ("0", "1")
    assert len(refused) == 2 and all(
        re.search("cannot be written|cannot be created", line) for line in refused
    )
    found = list(ExperienceReader(tmp_path).new_since(-1))
    assert [p.metadata["piece"] for _, p in found] == [0, 3]


def test_encoding_keeps_what_a_piece_says_of_itself():
    assert encode_piece(PLAIN) == encode_piece(replace(PLAIN, metadata=dict(PLAIN.metadata)))
