"""A bag as a camera: what is whole comes in order under its stamp, what is damaged is named, nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recordings import NS, drive, image, number_of, picture, write_bag

from safe_o2o_ros.data.bag_camera import BagCamera
from safe_o2o_ros.errors import FrameError, RecordingError, SafeO2OError
from safe_o2o_ros.types import ImageArray

TOPIC = "/camera/image_raw"
FRAMES = 20


def frames(path: Path, topic: str = "") -> list[tuple[int, ImageArray | FrameError]]:
    camera = BagCamera(path, topic, "front")
    try:
        return list(camera.frames())
    finally:
        camera.close()


def events(count: int = FRAMES) -> list[tuple[str, int, object]]:
    return [(TOPIC, (100 + k) * NS + 3, image(picture(k), (100 + k) * NS)) for k in range(count)]


@pytest.mark.parametrize("storage", ["mcap", "zstd", "sqlite3"])
def test_pictures_come_in_order_under_the_stamps_of_their_headers(storage: str, tmp_path: Path) -> None:
    found = frames(write_bag(tmp_path / "bag", events(), storage))
    assert [(s // NS, number_of(i)) for s, i in found if not isinstance(i, FrameError)] == [
        (100 + k, k) for k in range(FRAMES)
    ]
    assert all(s % NS == 0 for s, _ in found)


def test_a_stamp_of_another_clock_gives_way_to_the_time_of_receipt(tmp_path: Path) -> None:
    stamps = [0, 2**31 * NS - NS, 102 * NS]
    bag = write_bag(
        tmp_path / "b", [(TOPIC, (100 + k) * NS, image(picture(k), s)) for k, s in enumerate(stamps)]
    )
    assert [s // NS for s, _ in frames(bag)] == [100, 101, 102]


BAD = {
    "step": {"step": 7},
    "encoding": {"encoding": "32FC1"},
    "zero": {"height": 0, "width": 0, "step": 0, "data": np.zeros(0, np.uint8)},
    "no data": {"data": np.zeros(0, np.uint8)},
    "short": {"data": np.zeros(10, np.uint8)},
    "huge": {"height": 2**31, "width": 2**31},
}


@pytest.mark.parametrize("kind", BAD)
def test_an_impossible_image_is_named_and_its_neighbours_are_whole(kind: str, tmp_path: Path) -> None:
    given_ = [
        (TOPIC, (100 + k) * NS, image(picture(k), (100 + k) * NS, **(BAD[kind] if k == 1 else {})))
        for k in range(3)
    ]
    found = frames(write_bag(tmp_path / "bag", given_))
    assert [s // NS for s, _ in found] == [100, 101, 102]
    assert isinstance(found[1][1], FrameError)
    assert [number_of(found[k][1]) for k in (0, 2)] == [0, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", ["/nowhere", "/cmd_vel"])
def test_a_topic_without_images_is_refused_by_name(topic: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=f"has no images on '{topic}', but on /camera/image_raw"):
        BagCamera(write_bag(tmp_path / "bag", drive(5)), topic, "front")


def test_of_several_cameras_the_one_of_that_name_is_taken_or_all_are_named(tmp_path: Path) -> None:
    both = [
        (f"/{name}/image_raw", (100 + k) * NS, image(picture(k + offset), (100 + k) * NS))
        for k in range(2)
        for name, offset in (("front", 0), ("back", 50))
    ]
    bag = write_bag(tmp_path / "bag", both)
    assert [number_of(i) for _, i in frames(bag)] == [0, 1]  # type: ignore[arg-type]
    with pytest.raises(RecordingError, match="name the one of camera left"):
        BagCamera(bag, "", "left")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes]]:
    out = {}
    for storage in ("mcap", "zstd", "sqlite3"):
        bag = write_bag(tmp_path_factory.mktemp("sound") / "bag", events(), storage)
        (file,) = (f for f in bag.iterdir() if f.suffix in (".mcap", ".db3"))
        out[storage] = (file.name, file.read_bytes())
    return out


@settings(max_examples=60, deadline=None)
@given(storage=st.sampled_from(["mcap", "zstd", "sqlite3"]), share=st.floats(0.0, 1.0))
def test_a_file_cut_anywhere_gives_true_pairs_or_a_sentence(
    sound: dict[str, tuple[str, bytes]], storage: str, share: float
) -> None:
    name, data = sound[storage]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data[: int(share * len(data))])
        try:
            found = frames(path)
        except RecordingError as error:
            assert len(str(error)) > 10
            return
    pairs = [(s // NS - 100, number_of(i)) for s, i in found if not isinstance(i, FrameError)]
    # A page of SQLite that is gone may leave a hole; a picture never comes twice or under another's stamp.
    numbers = [number for _, number in pairs]
    assert [stamp for stamp, _ in pairs] == numbers == sorted(set(numbers))


@settings(max_examples=80, deadline=None)
@given(
    storage=st.sampled_from(["mcap", "zstd", "sqlite3"]),
    damage=st.lists(st.tuples(st.floats(0.0, 0.999), st.integers(0, 255)), min_size=1, max_size=30),
)
def test_bytes_that_were_overwritten_never_crash_the_reader(
    sound: dict[str, tuple[str, bytes]], storage: str, damage: list[tuple[float, int]]
) -> None:
    name, data = sound[storage]
    spoilt = bytearray(data)
    for share, value in damage:
        spoilt[int(share * len(spoilt))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(spoilt)
        try:
            found = frames(path)
        except SafeO2OError as error:
            assert len(str(error)) > 10
            return
    assert len(found) <= FRAMES
    assert all(isinstance(i, FrameError) or i.ndim == 3 for _, i in found)
