"""Camera data of every usual encoding to RGB: hand-computed pixels, and an error with a name for the rest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.decode import ENCODINGS, MAX_PIXELS, decode_compressed, decode_raw

RED, BLUE = [255, 0, 0], [0, 0, 255]


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("rgb8", [1, 2, 3]),
        ("bgr8", [3, 2, 1]),
        ("8UC3", [3, 2, 1]),
        ("rgba8", [1, 2, 3, 99]),
        ("bgra8", [3, 2, 1, 99]),
        ("8UC4", [3, 2, 1, 99]),
    ],
)
def test_channels_come_out_in_the_order_red_green_blue_and_padding_is_skipped(
    encoding: str, pixel: list[int]
) -> None:
    row = bytes([*pixel, *pixel, 77, 77])
    image = decode_raw(row * 3, 3, 2, len(row), encoding)
    assert image.shape == (3, 2, 3) and image.dtype == np.uint8
    assert image.tolist() == [[[1, 2, 3]] * 2] * 3


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_is_equal_in_all_channels(encoding: str) -> None:
    assert decode_raw(bytes([5, 9]), 1, 2, 2, encoding).tolist() == [[[5] * 3, [9] * 3]]


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_16_bit_grey_keeps_its_upper_byte_in_either_byte_order(encoding: str) -> None:
    assert decode_raw(bytes([0x34, 0x12]), 1, 1, 2, encoding).tolist() == [[[0x12] * 3]]
    assert decode_raw(bytes([0x12, 0x34]), 1, 1, 2, encoding, big_endian=True).tolist() == [[[0x12] * 3]]


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_packed_yuv_gives_the_colour_it_encodes(encoding: str, order: str) -> None:
    # BT.601, video range: pure red is Y 81, U 90, V 240.
    parts = {"y": 81, "u": 90, "v": 240}
    image = decode_raw(bytes(parts[c] for c in order), 1, 2, 4, encoding)
    assert np.abs(image.astype(int) - RED).max() <= 2


@pytest.mark.parametrize(("encoding", "chroma"), [("nv12", [240, 110]), ("nv21", [110, 240])])
def test_planar_yuv_gives_the_colour_it_encodes(encoding: str, chroma: list[int]) -> None:
    # Pure blue is Y 41, U 240, V 110; two rows of luma, one of chroma, two bytes of padding each.
    data = bytes([41, 41, 0, 0] * 2 + [*chroma, 0, 0])
    image = decode_raw(data, 2, 2, 4, encoding)
    assert image.shape == (2, 2, 3)
    assert np.abs(image.astype(int) - BLUE).max() <= 2


@pytest.mark.parametrize(
    ("encoding", "red"), [("rggb", (0, 0)), ("bggr", (1, 1)), ("gbrg", (1, 0)), ("grbg", (0, 1))]
)
def test_a_bayer_mosaic_lit_in_red_is_red(encoding: str, red: tuple[int, int]) -> None:
    mosaic = np.zeros((6, 8), np.uint8)
    mosaic[red[0] :: 2, red[1] :: 2] = 255
    image = decode_raw(mosaic.tobytes(), 6, 8, 8, f"bayer_{encoding}8")
    assert (image[1:-1, 1:-1] == RED).all()


def test_rgb8_is_not_copied() -> None:
    data = np.arange(12, dtype=np.uint8)
    assert np.shares_memory(decode_raw(data, 2, 2, 6, "rgb8"), data)


@pytest.mark.parametrize(
    ("height", "width", "step", "size", "encoding", "words"),
    [
        (1, 2, 6, 5, "rgb8", "5 bytes"),
        (1, 2, 6, 7, "rgb8", "7 bytes"),
        (1, 2, 3, 3, "rgb8", "step 3"),
        (0, 2, 6, 0, "rgb8", "2x0"),
        (2, 0, 0, 0, "rgb8", "0x2"),
        (1, 3, 6, 6, "yuv422", "3x1"),
        (3, 2, 2, 8, "nv12", "2x3"),
        (2, 2, 2, 4, "bayer_rggb8", "too few pixels"),
        (1, 1, 4, 4, "32FC1", "'32FC1', which is not understood"),
        (1, 1, 4, 4, "", "''"),
    ],
)
def test_an_image_that_contradicts_itself_is_refused_with_its_numbers(
    height: int, width: int, step: int, size: int, encoding: str, words: str
) -> None:
    with pytest.raises(FrameError) as caught:
        decode_raw(bytes(size), height, width, step, encoding)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@given(
    st.binary(max_size=200),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 40),
    st.sampled_from([*ENCODINGS, "", "rgb16"]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400)
def test_any_raw_bytes_give_an_image_or_a_named_error(
    data: bytes, height: int, width: int, step: int, encoding: str, big_endian: bool, fitting: bool
) -> None:
    if fitting:
        rows = height * 3 // 2 if encoding.startswith("nv") else height
        data = (data + bytes(400))[: rows * step]
    try:
        image = decode_raw(data, height, width, step, encoding, big_endian)
    except FrameError:
        return
    assert image.shape == (height, width, 3) and image.dtype == np.uint8


def picture(extension: str) -> bytes:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = [255, 0, 0]  # blue, in OpenCV's order
    return cv2.imencode(extension, pixels)[1].tobytes()


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_compressed_picture_comes_out_in_rgb(extension: str) -> None:
    image = decode_compressed(picture(extension), "bgr8; jpeg compressed bgr8")
    assert image.shape == (8, 16, 3)
    assert np.abs(image[:, 12].astype(int) - BLUE).max() <= 3
    assert image[:, 4].max() <= 3


def test_channels_that_were_stored_in_reverse_are_put_right() -> None:
    image = decode_compressed(picture(".png"), "rgb8; png compressed rgb8")
    assert image[0, 12].tolist() == RED


def test_bytes_after_the_end_of_a_picture_do_no_harm() -> None:
    # Drivers hand over the whole buffer, of which the picture fills the first part.
    for extension in (".png", ".jpg"):
        assert decode_compressed(picture(extension) + bytes(100)).shape == (8, 16, 3)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_a_picture_cut_anywhere_is_refused(extension: str) -> None:
    whole = picture(extension)
    for length in range(len(whole)):
        with pytest.raises(FrameError):
            decode_compressed(whole[:length])


def test_a_note_to_rotate_does_not_turn_the_picture() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    jpeg = picture(".jpg")
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    assert decode_compressed(turned).shape == (8, 16, 3)


def test_a_picture_that_claims_to_be_huge_takes_no_memory() -> None:
    png = bytearray(picture(".png"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(FrameError, match=f"60000x60000 pixels, but must have 1 to {MAX_PIXELS}"):
        decode_compressed(png)


def test_other_kinds_of_files_are_refused() -> None:
    with pytest.raises(FrameError, match="neither JPEG nor PNG"):
        decode_compressed(b"GIF89a....", "gif")
    with pytest.raises(FrameError, match="0 bytes"):
        decode_compressed(b"")


@given(st.sampled_from([".png", ".jpg"]), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255))))
@settings(max_examples=200)
def test_a_damaged_picture_gives_an_image_or_a_named_error(
    extension: str, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(picture(extension))
    for place, value in damage:
        content[place % len(content)] = value
    try:
        image = decode_compressed(content)
    except FrameError:
        return
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
@settings(max_examples=200)
def test_any_compressed_bytes_give_an_image_or_a_named_error(data: bytes, head: bytes) -> None:
    try:
        decode_compressed(head + data)
    except FrameError:
        return
