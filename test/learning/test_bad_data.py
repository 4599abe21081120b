"""Real segment files with something wrong in them: what is wrong is named, the rest is trained on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tiny_store import make_episode, manifest, write_tiny_store

from safe_o2o_ros.data import EpisodeReader, EpisodeWriter
from safe_o2o_ros.data.codec import decode, encode
from safe_o2o_ros.data.framing import HEADER_BYTES
from safe_o2o_ros.data.segments import SegmentReader, SegmentWriter
from safe_o2o_ros.data.store import encode_episode
from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.learning.dataset import load_dataset

Arrays = dict[str, NDArray[Any]]
BAD = 1
"""Index, and seed, of the episode that is damaged."""


def write(directory: Path, spoil: Callable[[Arrays], Mapping[str, Any]], episodes: int = 4) -> None:
    """A store whose record BAD is what a broken recorder would write: well framed, with wrong content."""
    with EpisodeWriter(directory, manifest()):
        pass
    with SegmentWriter(directory) as writer:
        for seed in range(episodes):
            payload = encode_episode(make_episode(5, seed), "raw")
            if seed == BAD:
                meta, arrays = decode(payload)
                payload = encode(meta, dict(spoil(arrays)), {})
            writer.append(payload)


def changed(name: str, index: object, value: float) -> Callable[[Arrays], Mapping[str, Any]]:
    def spoil(arrays: Arrays) -> Arrays:
        arrays[name][index] = value
        return arrays

    return spoil


def replaced(**arrays: NDArray[Any] | None) -> Callable[[Arrays], Mapping[str, Any]]:
    """`__` in a name stands for "/"; None leaves the array out."""
    new = {name.replace("__", "/"): array for name, array in arrays.items()}
    return lambda old: {name: array for name, array in (old | new).items() if array is not None}


FRAMES = np.zeros((6, 64, 64, 3), np.uint8)

SPOILT = {
    "nan reward": (changed("rewards", 3, np.nan), "episode rewards are not finite at step 3"),
    "infinite cost": (changed("costs", 2, np.inf), "episode costs are not finite at step 2"),
    "nan action": (changed("actions", (4, 1), np.nan), "episode actions are not finite at step 4"),
    "negative cost": (changed("costs", 1, -0.5), "episode costs are negative at step 1"),
    "action too large": (changed("actions", (0, 0), 1.5), r"raw actions in \[-1, 1\]"),
    "another robot's actions": (replaced(actions=np.zeros((5, 3), np.float32)), r"its actions are \(5, 3\)"),
    "fewer rewards": (replaced(rewards=np.zeros(4, np.float32)), r"rewards must be float32 \(5,\)"),
    "fewer costs": (replaced(costs=np.zeros(4, np.float32)), r"costs must be float32 \(5,\)"),
    "no costs": (replaced(costs=None), "a record has no 'costs'"),
    "no actions": (replaced(actions=None), r"its actions are \(\)"),
    "fewer frames": (replaced(image__back=FRAMES[:5]), r"'back' must be uint8 \(6,"),
    "no camera": (replaced(image__back=None), "it has no frames of camera 'back'"),
    "frames without colour": (replaced(image__front=FRAMES[..., 0]), "'front' are .*, not images"),
    "smaller frames": (
        replaced(image__front=FRAMES[:, :32, :32], image__back=FRAMES[:, :32, :32]),
        "its frames are 32 x 32, most episodes' 64 x 64",
    ),
    "one smaller camera": (
        replaced(image__back=FRAMES[:, :48]),
        "its frames are 64 x 64, 48 x 64, most episodes' 64 x 64",
    ),
    "margins of another length": (replaced(extra__clearance=np.zeros(5)), r"'clearance' must be \(6,\)"),
    "sources in two columns": (replaced(extra__policy=np.zeros((5, 2))), r"'policy' must be \(6,\)"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_bad_episode_is_named_and_the_others_are_used(case: str, tmp_path: Path) -> None:
    spoil, words = SPOILT[case]
    write(tmp_path, spoil)
    seen: list[tuple[int, int]] = []
    data = load_dataset(tmp_path, 5, lambda done, total: seen.append((done, total)))
    assert [m["seed"] for m in data.metadata] == [0, 2, 3]
    assert data.start.tolist() == [0, 6, 12] and len(data.image) == len(data.reward) == 18
    for row, seed in zip(data.start, (0, 2, 3), strict=True):
        assert np.array_equal(data.reward[row : row + 5], make_episode(5, seed).rewards)
        assert np.array_equal(data.image[row, ..., :3], make_episode(5, seed).images["front"][0])
    (sentence,) = data.skipped
    assert re.search(words, sentence), sentence
    assert sentence.startswith("record 1 at byte ") and "00000000.seg (seed 1): " in sentence
    assert seen[-1][0] == seen[-1][1]


def test_the_size_of_most_episodes_is_the_right_one_wherever_the_odd_one_stands(tmp_path: Path) -> None:
    small = FRAMES[:, :32, :32]
    with EpisodeWriter(tmp_path, manifest()) as writer:
        for seed in range(3):
            episode = make_episode(5, seed)
            images = {"front": small, "back": small} if seed == 0 else episode.images
            writer.append(dataclasses.replace(episode, images=images))
    data = load_dataset(tmp_path, 5)
    assert [m["seed"] for m in data.metadata] == [1, 2] and data.image.shape[1:3] == (64, 64)
    assert len(data.skipped) == 1 and "(seed 0): its frames are 32 x 32" in data.skipped[0]


def record_bytes(directory: Path) -> list[int]:
    """Where each record of a one-segment store starts, and where the last one ends."""
    refs = SegmentReader(directory).refs
    return [*(ref.offset for ref in refs), refs[-1].end]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99])
def test_a_segment_cut_inside_a_record_loses_what_is_behind_the_cut(share: float, tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (5, 5, 5, 5))
    starts = record_bytes(tmp_path)
    end = max(starts[2] + 1, int(starts[2] + share * (starts[3] - starts[2])))
    path = tmp_path / "00000000.seg"
    path.write_bytes(path.read_bytes()[:end])
    data = load_dataset(tmp_path, 5)
    assert [m["seed"] for m in data.metadata] == [0, 1]
    assert data.skipped == (f"the last segment ends in {end - starts[2]} bytes that are not a record",)


def test_a_cut_in_an_earlier_segment_leaves_the_later_ones_usable(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path, manifest(), segment_bytes=1) as writer:
        for seed in range(3):  # a segment each
            writer.append(make_episode(5, seed))
    path = tmp_path / "00000001.seg"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    data = load_dataset(tmp_path, 5)
    assert [m["seed"] for m in data.metadata] == [0, 2]
    assert data.skipped == (f"00000001.seg: its last {len(whole) // 2} bytes are not a record",)
    # Cut to nothing, or deleted: no byte tells, but the ids do.
    for vanish in (lambda: path.write_bytes(b""), path.unlink):
        vanish()
        data = load_dataset(tmp_path, 5)
        assert [m["seed"] for m in data.metadata] == [0, 2]
        assert data.skipped == ("00000002.seg: records 1 to 1 before it are missing",)


def test_a_flipped_byte_anywhere_loses_one_episode_which_is_named_once(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (5, 5, 5))
    path = tmp_path / "00000000.seg"
    whole, starts = path.read_bytes(), record_bytes(tmp_path)
    for record in range(3):
        length = starts[record + 1] - starts[record]
        # In the frame, in the header of the payload, in the images, in the last byte.
        for place in (0, 9, HEADER_BYTES, HEADER_BYTES + 40, length // 2, length - 1):
            damaged = bytearray(whole)
            damaged[starts[record] + place] ^= 0xFF
            path.write_bytes(damaged)
            data = load_dataset(tmp_path, 5)
            assert [m["seed"] for m in data.metadata] == [s for s in range(3) if s != record]
            assert len(data.skipped) == 1, data.skipped


def test_when_nothing_is_usable_the_error_names_the_reasons(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path, manifest()):
        pass
    with SegmentWriter(tmp_path) as writer:
        for seed in range(5):
            meta, arrays = decode(encode_episode(make_episode(5, seed), "raw"))
            arrays["rewards"][seed] = np.nan
            writer.append(encode(meta, arrays, {}))
    with pytest.raises(StoreError, match=r"no usable episode of at least 5 steps \(record 0 .* step 0; drop"):
        load_dataset(tmp_path, 5)
    with pytest.raises(StoreError, match=r"and 2 more\): collect some"):
        load_dataset(tmp_path, 5)


def test_an_empty_store_is_refused(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path, manifest()):
        pass
    with pytest.raises(StoreError, match="it is empty"):
        load_dataset(tmp_path, 5)


def test_a_single_episode_is_enough_when_it_is_long_enough(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (8,))
    data = load_dataset(tmp_path, 8)
    batch = data.windows(np.random.default_rng(0), batch=3, length=8)
    assert batch["image"].shape == (3, 8, 64, 64, 6) and data.skipped == ()
    with pytest.raises(StoreError, match=r"at least 9 steps \(1 of 1 episodes have fewer than 9 steps\)"):
        load_dataset(tmp_path, 9)


def test_short_episodes_are_counted_among_what_is_left_out(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (6, 2, 4))
    assert load_dataset(tmp_path, 4).skipped == ("1 of 3 episodes have fewer than 4 steps",)


def test_reading_on_past_a_record_that_is_no_episode(tmp_path: Path) -> None:
    write(tmp_path, changed("rewards", 0, np.nan))
    with SegmentWriter(tmp_path) as writer:
        writer.append(b"\x02\x00\x00\x00[]")
        writer.append(encode({"seed": 9}, {}, {}))
    reader = EpisodeReader(tmp_path)
    assert [e.metadata["seed"] for e in reader] == [0, 2, 3]
    assert len(reader.skipped) == 3 and reader.skipped[0].startswith("record 1: episode rewards are not")
    assert [m["seed"] for m in EpisodeReader(tmp_path).metadata()] == [0, 1, 2, 3, 9]
    assert len(load_dataset(tmp_path, 1).skipped) == 3


def test_a_manifest_that_is_no_object_is_named(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, (5,))
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(StoreError, match="is not the manifest of a store"):
        load_dataset(tmp_path, 1)
