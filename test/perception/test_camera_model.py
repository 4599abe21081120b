"""Calibrations through crop, scale and straightening, with hand-computed numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.camera_model import CameraModel, Undistortion, ideal, read_calibration
from safe_o2o_ros.perception.shaping import FrameShaper, Shape

VGA = CameraModel(480, 640, 240.0, 240.0, 320.0, 240.0)  # 90 degrees vertically
COLUMNS = np.tile(np.arange(640, dtype=np.uint16)[None, :, None] // 4, (480, 1, 3)).astype(np.uint8)


def test_a_principal_point_off_the_middle_is_counted_in_the_field_of_view() -> None:
    assert VGA.fovy_deg == pytest.approx(90.0)
    # 45 degrees above the axis, atan(480 / 240) = 63.43 below it.
    low = CameraModel(720, 640, 240.0, 240.0, 320.0, 240.0)
    assert low.fovy_deg == pytest.approx(45.0 + 63.435, abs=1e-3)


def test_a_crop_moves_the_principal_point_and_a_change_of_size_scales_all() -> None:
    half = VGA.cropped(80, 0, 480, 480).resized(64, 64)
    assert (half.fx, half.fy, half.cx, half.cy) == pytest.approx((32.0, 32.0, 32.0, 32.0))
    assert half.fovy_deg == pytest.approx(90.0)


def test_an_ideal_camera_of_90_degrees_has_half_its_height_as_focal_length() -> None:
    model = ideal(64, 32, 90.0)
    assert (model.fx, model.fy, model.cx, model.cy) == pytest.approx((32.0, 32.0, 16.0, 32.0))


def test_a_calibration_of_another_resolution_is_scaled_and_of_another_shape_refused() -> None:
    assert VGA.fitted(240, 320).fx == 120.0
    with pytest.raises(FrameError, match="640x480, but they have 640x360"):
        VGA.fitted(360, 640)


@pytest.mark.parametrize("fx", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_calibration_is_refused(fx: float) -> None:
    with pytest.raises(FrameError, match="impossible"):
        CameraModel(480, 640, fx, 240.0, 320.0, 240.0)


def test_the_centre_crop_keeps_proportions_and_the_vertical_field_of_view() -> None:
    small, model = FrameShaper(Shape(48, 48)).apply(COLUMNS, VGA)
    assert small.shape == (48, 48, 3)
    # Columns 80 to 560 of 640 are left, ten of them to one: the first has the mean of 20, 20, 20, 20, 21 ...
    assert small[0, 0, 0] in (20, 21) and small[0, -1, 0] in (138, 139)
    assert model is not None and model.fovy_deg == pytest.approx(90.0)


def test_the_centre_crop_of_a_tall_image_cuts_above_and_below() -> None:
    small, model = FrameShaper(Shape(10, 10)).apply(np.zeros((40, 20, 3), np.uint8), ideal(40, 20, 90.0))
    assert small.shape == (10, 10, 3)
    # Half of the height is left: 2 atan(1 / 2).
    assert model is not None and model.fovy_deg == pytest.approx(math.degrees(2 * math.atan(0.5)))


def test_no_crop_squeezes_the_whole_image() -> None:
    small, model = FrameShaper(Shape(48, 64, crop="none")).apply(COLUMNS, VGA)
    assert small[0, 0, 0] <= 2 and small[0, -1, 0] >= 157
    small, model = FrameShaper(Shape(64, 64, crop="none")).apply(COLUMNS, VGA)
    assert model is not None and (model.fx, model.fy) == pytest.approx((24.0, 32.0))


def test_a_region_is_cut_where_it_is_given_and_refused_outside() -> None:
    small, model = FrameShaper(Shape(4, 4, roi=(400, 100, 4, 4))).apply(COLUMNS, VGA)
    assert small[0, :, 0].tolist() == [100] * 4
    assert model is not None and (model.cx, model.cy) == (-80.0, 140.0)
    with pytest.raises(FrameError, match=r"300x4 pixels at \(400, 100\) is not inside an image of 640x480"):
        FrameShaper(Shape(4, 4, roi=(400, 100, 300, 4))).apply(COLUMNS, VGA)


def test_the_view_crop_cuts_out_the_trained_field_of_view() -> None:
    fovy = math.degrees(2 * math.atan(0.5))  # half the focal length up and down: 240 rows of 480
    _, model = FrameShaper(Shape(64, 64, crop="view", fovy_deg=fovy)).apply(COLUMNS, VGA)
    assert model is not None and model.fovy_deg == pytest.approx(fovy)
    # What the lens does not see cannot be cut out: everything that is there stays.
    _, model = FrameShaper(Shape(64, 64, crop="view", fovy_deg=120.0)).apply(COLUMNS, VGA)
    assert model is not None and model.fovy_deg == pytest.approx(90.0)
    with pytest.raises(FrameError, match="crop 'view' needs a calibration"):
        FrameShaper(Shape(64, 64, crop="view", fovy_deg=60.0)).apply(COLUMNS, None)


@pytest.mark.parametrize(
    ("model", "coefficients", "stretch"),
    [
        # At 45 degrees r = 1: plumb_bob moves it to 1 + k1; equidistant to atan(1) = pi / 4.
        ("plumb_bob", (-0.2, 0.0, 0.0, 0.0, 0.0), 0.8),
        ("equidistant", (1e-9, 0.0, 0.0, 0.0), math.pi / 4),
    ],
)
def test_straightening_moves_pixels_where_the_lens_formula_says(
    model: str, coefficients: tuple[float, ...], stretch: float
) -> None:
    image = np.zeros((101, 101, 3), np.uint8)
    column = 50 + round(40 * stretch)
    image[:, column - 1 : column + 2] = 255  # where the bent lens puts what is 45 degrees to the right
    bent = CameraModel(101, 101, 40.0, 40.0, 50.0, 50.0, coefficients, model)
    straight, straight_model = Undistortion().apply(image, bent)
    assert straight[50, 90, 0] == 255
    assert not straight_model.distorted and straight_model.fx == 40.0


def test_undistort_without_calibration_is_refused() -> None:
    with pytest.raises(FrameError, match="undistort needs a calibration"):
        FrameShaper(Shape(4, 4, undistort=True)).apply(COLUMNS, None)


CALIBRATION = """
image_width: 640
image_height: 480
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [240.0, 0, 320, 0, 240, 240, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}
"""


def test_a_file_of_camera_calibration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "front.yaml"
    path.write_text(CALIBRATION)
    model = read_calibration(path)
    assert (model.height, model.width, model.fx, model.cx) == (480, 640, 240.0, 320.0)
    assert model.distortion == (0.1, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("camera_matrix", "matrix", "camera_matrix"),
        ("240.0, 0, 320", "0.0, 0, 320", "impossible"),
        ("plumb_bob", "thin_prism", "'thin_prism' with 5 coefficients"),
        ("240.0", "wide", "wide"),
        (CALIBRATION, "3", "not a calibration"),
        (CALIBRATION, "a: [", "not a calibration"),
        (CALIBRATION, "", "not a calibration"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_in_one_sentence(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "front.yaml"
    path.write_text(CALIBRATION.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_calibration(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_calibration(tmp_path / "nowhere.yaml")
