"""Named arrays and JSON metadata to bytes and back, without pickle.

    u32 length of the header | header | arrays
    header: JSON {"meta": ..., "arrays": [{name, dtype, shape, codec, bytes}]}

Codecs: "raw" little-endian; "zlib" the same, deflated; "png" (lossless) and "jpeg" for (N, h, w, 3) uint8
frames, tiled into one picture, since one call of the image library for all is faster than one a frame.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Container, Mapping
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import CorruptRecordError, UsageError

IMAGE_CODECS = ("png", "jpeg", "zlib", "raw")
_LENGTH = struct.Struct("<I")
_LONGEST_HEADER = 1 << 20
_TILES = 16
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
# Full-resolution colour: a subsampled one bleeds from frame to frame at the edges of the tiles.
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY,
    95,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]


def encode(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], codecs: Mapping[str, str]) -> bytes:
    """Serialise; arrays without an entry in `codecs` are stored raw. Raises UsageError on a bad codec."""
    blobs: list[bytes] = []
    table: list[dict[str, Any]] = []
    for name, array in arrays.items():
        codec = codecs.get(name, "raw")
        blobs.append(_pack(array, codec))
        dtype = array.dtype.newbyteorder("<").str
        table.append(
            {
                "name": name,
                "dtype": dtype,
                "shape": list(array.shape),
                "codec": codec,
                "bytes": len(blobs[-1]),
            }
        )
    header = json.dumps({"meta": meta, "arrays": table}, allow_nan=False, separators=(",", ":")).encode()
    return b"".join([_LENGTH.pack(len(header)), header, *blobs])


def decode_meta(payload: bytes) -> dict[str, Any]:
    """Only the metadata; no array is touched."""
    meta: dict[str, Any] = _header(payload)[0]["meta"]
    return meta


def peek_meta(file: BinaryIO) -> dict[str, Any]:
    """The metadata of the payload that starts where `file` stands; reads no array.

    Raises CorruptRecordError; checksums are not looked at.
    """
    start = file.read(_LENGTH.size)
    length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
    return decode_meta(start + file.read(min(length, _LONGEST_HEADER)))


def decode(
    payload: bytes, only: Container[str] | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Metadata and arrays (`only` those of these names).

    Raises CorruptRecordError when the bytes are not what `encode` makes.
    """
    header, offset = _header(payload)
    arrays: dict[str, NDArray[Any]] = {}
    try:
        for entry in header["arrays"]:
            blob = payload[offset : offset + entry["bytes"]]
            offset += entry["bytes"]
            if only is None or entry["name"] in only:
                arrays[entry["name"]] = _unpack(blob, entry)
    except (KeyError, TypeError) as error:
        raise CorruptRecordError(f"a record's table of arrays is not readable ({error!r})") from error
    return header["meta"], arrays


def decode_shapes(payload: bytes) -> dict[str, tuple[int, ...]]:
    """Array name -> shape; no array is touched. Raises CorruptRecordError."""
    try:
        return {entry["name"]: tuple(entry["shape"]) for entry in _header(payload)[0]["arrays"]}
    except (KeyError, TypeError) as error:
        raise CorruptRecordError(f"a record's table of arrays is not readable ({error!r})") from error


def _header(payload: bytes) -> tuple[dict[str, Any], int]:
    try:
        length = _LENGTH.unpack_from(payload)[0]
        header: dict[str, Any] = json.loads(payload[_LENGTH.size : _LENGTH.size + length])
    except (struct.error, ValueError) as error:
        raise CorruptRecordError(
            f"a record's header is not readable ({error}); it was not written by this store"
        ) from error
    if not isinstance(header, dict) or not isinstance(header.get("meta"), dict) or "arrays" not in header:
        raise CorruptRecordError("a record's header lacks its metadata; it was not written by this store")
    return header, _LENGTH.size + length


def _pack(array: NDArray[Any], codec: str) -> bytes:
    if codec in ("raw", "zlib"):
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        return zlib.compress(data, 1) if codec == "zlib" else data
    if codec not in IMAGE_CODECS:
        raise UsageError(f"there is no image codec {codec!r}; choose from {', '.join(IMAGE_CODECS)}")
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
        raise UsageError(
            f"codec {codec!r} takes uint8 (N, height, width, 3), not {array.dtype} {array.shape}"
        )
    _, encoded = cv2.imencode(f".{codec}", _tile(array), _PNG if codec == "png" else _JPEG)
    return bytes(encoded)


def _unpack(blob: bytes, entry: Mapping[str, Any]) -> NDArray[Any]:
    name, codec, shape = entry["name"], entry["codec"], tuple(entry["shape"])
    try:
        if codec in ("raw", "zlib"):
            data = zlib.decompress(blob) if codec == "zlib" else blob
            return np.frombuffer(data, np.dtype(entry["dtype"])).reshape(shape).copy()
        picture = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise CorruptRecordError(f"the {codec} data of array {name!r} does not decode")
        return _untile(np.asarray(picture, np.uint8), shape)
    except (ValueError, zlib.error, cv2.error) as error:
        raise CorruptRecordError(f"array {name!r} of a record does not decode ({error})") from error


def _tile(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, h, w, 3) RGB to one BGR picture with 16 frames a row; the last row is filled with black."""
    n, h, w, _ = frames.shape
    rows = -(-n // _TILES)
    grid = np.zeros((rows * _TILES, h, w, 3), np.uint8)
    grid[:n] = frames[..., ::-1]
    picture = grid.reshape(rows, _TILES, h, w, 3).swapaxes(1, 2).reshape(rows * h, _TILES * w, 3)
    return np.ascontiguousarray(picture)


def _untile(picture: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    n, h, w, _ = shape
    grid = picture.reshape(-1, h, _TILES, w, 3).swapaxes(1, 2).reshape(-1, h, w, 3)
    return np.ascontiguousarray(grid[:n, ..., ::-1])
