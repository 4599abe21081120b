"""Episodes survive the store unchanged, and what is not an episode is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safe_o2o_ros.data import Episode, EpisodeReader, EpisodeWriter, Manifest, read_manifest
from safe_o2o_ros.data.codec import decode, encode
from safe_o2o_ros.data.store import decode_episode, encode_episode
from safe_o2o_ros.errors import CorruptRecordError, FrameError, NonFiniteError, StoreError, UsageError
from safe_o2o_ros.robot import POINT

MANIFEST = Manifest(
    task="PointGoal1",
    cameras=("front", "back"),
    adapter=POINT.to_json(),
    period_s=0.08,
    action_repeat=4,
    version="0.1.0",
    command="safe-o2o collect",
    seeds=(0, 9),
    mix={"safe": 1.0},
)


def make(steps: int = 20, seed: int = 0, **changes: Any) -> Episode:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "images": {c: rng.integers(0, 256, (steps + 1, 64, 64, 3), np.uint8) for c in ("front", "back")},
        "actions": rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
        "rewards": rng.standard_normal(steps).astype(np.float32),
        "costs": rng.integers(0, 5, steps).astype(np.float32),
        "terminated": False,
        "truncated": True,
        "metadata": {"seed": seed, "demonstrator": "safe", "adapter": POINT.to_json()},
        "extras": {
            "policy": np.arange(steps, dtype=np.uint8),
            "pose": rng.random((steps + 1, 3), np.float32),
        },
    }
    return Episode(**(fields | changes))


def assert_same(a: Episode, b: Episode) -> None:
    assert list(a.images) == list(b.images)
    for name in a.images:
        np.testing.assert_array_equal(a.images[name], b.images[name])
    for name in ("actions", "rewards", "costs"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype == np.float32
        np.testing.assert_array_equal(left, right)
    assert (a.terminated, a.truncated, a.metadata) == (b.terminated, b.truncated, b.metadata)
    assert list(a.extras) == list(b.extras)
    for name in a.extras:
        assert a.extras[name].dtype == b.extras[name].dtype
        np.testing.assert_array_equal(a.extras[name], b.extras[name])


@pytest.mark.parametrize("codec", ["png", "zlib", "raw"])
@pytest.mark.parametrize("steps", [1, 15, 16, 20])
def test_lossless_codecs_keep_every_bit(codec: str, steps: int) -> None:
    episode = make(steps)
    assert_same(decode_episode(encode_episode(episode, codec)), episode)


def test_jpeg_keeps_colours_and_places_of_frames() -> None:
    flat = np.zeros((18, 64, 64, 3), np.uint8)
    flat[:] = np.arange(18, dtype=np.uint8)[:, None, None, None] * 12
    flat[..., 0] = 200  # red, so that swapped channels would show
    back = decode_episode(encode_episode(make(17, images={"front": flat}), "jpeg")).images["front"]
    assert np.abs(back.astype(int) - flat.astype(int)).max() <= 6


def test_a_png_record_of_plain_pictures_is_smaller_than_raw() -> None:
    plain = make(20, images={"front": np.full((21, 64, 64, 3), 77, np.uint8)})
    assert len(encode_episode(plain, "png")) < len(encode_episode(plain, "raw")) / 50


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(UsageError, match="no image codec 'webp'"):
        encode_episode(make(2), "webp")


def test_arrays_of_any_shape_and_type_come_back() -> None:
    arrays = {"a": np.array([[1, 2]], ">i4"), "empty": np.zeros((0, 3), np.float64), "flag": np.array([True])}
    meta, back = decode(encode({"k": [1, None, "x"]}, arrays, {"a": "zlib"}))
    assert meta == {"k": [1, None, "x"]}
    np.testing.assert_array_equal(back["a"], [[1, 2]])
    assert back["empty"].shape == (0, 3) and back["flag"].tolist() == [True]


def test_bytes_that_are_not_an_episode_are_refused() -> None:
    with pytest.raises(CorruptRecordError, match="not written by this store"):
        decode_episode(b"\x10\x00\x00\x00garbage")
    with pytest.raises(CorruptRecordError, match="is not an episode"):
        decode_episode(encode({}, {}, {}))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"rewards": np.zeros(3, np.float32)}, StoreError, r"rewards must be float32 \(4,\)"),
        ({"costs": np.zeros(4)}, StoreError, r"costs must be float32 \(4,\), not float64"),
        ({"actions": np.zeros((0, 2), np.float32)}, StoreError, "T > 0"),
        ({"actions": np.full((4, 2), 1.5, np.float32)}, StoreError, r"raw actions in \[-1, 1\]"),
        (
            {"rewards": np.array([0, np.nan, 0, 0], np.float32)},
            NonFiniteError,
            "rewards are not finite at step 1",
        ),
        (
            {"actions": np.full((4, 2), np.inf, np.float32)},
            NonFiniteError,
            "actions are not finite at step 0",
        ),
        ({"images": {}}, FrameError, "at least one camera"),
        (
            {"images": {"front": np.zeros((4, 64, 64, 3), np.uint8)}},
            FrameError,
            r"'front' must be uint8 \(5,",
        ),
        ({"extras": {"pose": np.zeros(9)}}, StoreError, "'pose' must have 4 or 5 rows"),
    ],
)
def test_an_impossible_episode_is_refused_by_name(changes: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        make(4, **changes)


def test_a_store_is_read_back_in_order_and_metadata_without_images(tmp_path: Path) -> None:
    episodes = [make(5, seed) for seed in range(3)]
    with EpisodeWriter(tmp_path, MANIFEST) as writer:
        assert [writer.append(e) for e in episodes] == [0, 1, 2]
    reader = EpisodeReader(tmp_path)
    assert len(reader) == 3 and reader.manifest == MANIFEST
    for episode, back in zip(episodes, reader, strict=True):
        assert_same(back, episode)
    assert_same(reader.load(1), episodes[1])
    assert [m["seed"] for m in reader.metadata()] == [0, 1, 2]
    assert all(m["steps"] == 5 and m["truncated"] for m in reader.metadata())


def test_a_damaged_episode_is_skipped_and_named(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path, MANIFEST) as writer:
        for seed in range(3):
            writer.append(make(2, seed))
    path = tmp_path / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    reader = EpisodeReader(tmp_path)
    assert [e.metadata["seed"] for e in reader] == [0, 2]
    assert len(reader.skipped) == 1 and reader.skipped[0].startswith("record 1 ")


def test_a_store_is_continued_only_with_the_same_kind_of_data(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path, MANIFEST):
        pass
    with EpisodeWriter(tmp_path, replace(MANIFEST, seeds=(0, 19))):
        pass
    assert read_manifest(tmp_path).seeds == (0, 19)
    with pytest.raises(StoreError, match="write to another directory"):
        EpisodeWriter(tmp_path, replace(MANIFEST, period_s=0.1))
    with EpisodeWriter(tmp_path, MANIFEST):  # the refused writer has let go of the lock
        pass


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="is not the manifest of a store"):
        EpisodeReader(tmp_path)
