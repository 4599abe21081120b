"""RealSense through librealsense's own recorder, player and software device: nothing lost or reordered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.realsense import RealSenseDevice, RealSenseFile, library, open_realsense
from safe_o2o_ros.perception.software_camera import SoftwareCamera, numbered

COUNT = 300


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    path = tmp_path_factory.mktemp("realsense") / "drive.db3"
    return path, SoftwareCamera(64, 48).record(path, COUNT, numbered(64, 48))


def number(image: np.ndarray) -> int:
    return int(image[5, 7, 0]) + 256 * int(image[5, 7, 1])


def test_a_recorded_file_gives_every_picture_in_order_with_its_stamp(
    recording: tuple[Path, list[int]],
) -> None:
    path, stamps = recording
    reader = RealSenseFile(path)
    found = list(reader.frames())
    assert [number(image) for _, image in found if not isinstance(image, FrameError)] == list(range(COUNT))
    # librealsense keeps milliseconds in a double: a microsecond is what is left of them today.
    assert max(abs(a - b) for (a, _), b in zip(found, stamps, strict=True)) <= 1000
    assert found[0][1].shape == (48, 64, 3)  # type: ignore[union-attr]
    start, end = reader.span_ns()
    assert start == found[0][0] and end == found[-1][0] + round(1e9 / 30)
    assert reader.model is not None
    assert (reader.model.fy, reader.model.cx, reader.model.distortion[0]) == pytest.approx((48.0, 32.0, 0.1))
    reader.close()


def test_the_pictures_are_our_own_copies(recording: tuple[Path, list[int]]) -> None:
    reader = RealSenseFile(recording[0])
    kept = [image for _, image in reader.frames()]
    assert number(kept[0]) == 0 and number(kept[-1]) == COUNT - 1  # type: ignore[arg-type]
    reader.close()


@pytest.mark.parametrize("content", [None, b"", b"rubbish" * 100])
def test_what_is_no_recording_is_refused_in_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "none.db3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"does not exist|is no recording"):
        RealSenseFile(path)


def test_a_cut_recording_gives_what_is_left_and_ends(
    recording: tuple[Path, list[int]], tmp_path: Path
) -> None:
    whole = recording[0].read_bytes()
    cut = tmp_path / "cut.db3"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    try:
        reader = RealSenseFile(cut)
    except UsageError as error:
        assert "is no recording" in str(error)
        return
    numbers = [number(i) for _, i in reader.frames() if not isinstance(i, FrameError)]
    reader.close()
    assert numbers == list(range(len(numbers))) and len(numbers) <= COUNT


def test_no_device_is_found_at_once_where_none_is_plugged_in() -> None:
    assert open_realsense("", 0, 0, 0.0) is None


def test_a_pipeline_that_runs_gives_picture_after_picture_and_none_where_it_ends(
    recording: tuple[Path, list[int]],
) -> None:
    # A device is not to be had here; librealsense's pipeline on a file is the same to its reader.
    rs = library()
    config, pipeline = rs.config(), rs.pipeline()
    config.enable_device_from_file(str(recording[0]), False)
    resolved = config.resolve(rs.pipeline_wrapper(pipeline))
    resolved.get_device().as_playback().set_real_time(False)
    profile = pipeline.start(config)
    device = RealSenseDevice(rs, pipeline, profile)
    assert device.fps == 30.0 and device.model is not None and device.model.width == 64
    numbers = []
    while (image := device.read()) is not None:
        numbers.append(number(image))
        assert device.capture_age_ns(0) == 0  # a stamp of years ago is of another clock
    assert numbers == list(range(COUNT))
    device.close()
    assert device.read() is None  # as from an unplugged one
