"""Bags, tubs and folders made up for tests, and where the real ones lie."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

NS = 1_000_000_000
BUMP = "bool left_front\nbool left_side\nbool right_front\nbool right_side\n"
BUMP_TYPE = "neato2_interfaces/msg/Bump"
STORE = get_typestore(Stores.ROS2_JAZZY)
STORE.register(get_types_from_msg(BUMP, BUMP_TYPE))
TYPES: Any = STORE.types
ROOT = Path(__file__).resolve().parents[2]


def shared_data() -> Path:
    """The folder of real recordings; skips the test, saying so, where there is none."""
    named = os.environ.get("SAFE_O2O_SHARED")
    places = (
        [Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT.parent.parent / "shared" / "data"]
    )
    for place in places:
        if place.is_dir():
            return place
    looked = " or ".join(map(str, places))
    pytest.skip(f"the real recordings are not at {looked}: name their folder in SAFE_O2O_SHARED")


def time_of(stamp_ns: int) -> Any:
    return TYPES["builtin_interfaces/msg/Time"](sec=int(np.int32(stamp_ns // NS)), nanosec=int(stamp_ns % NS))


def header(stamp_ns: int) -> Any:
    return TYPES["std_msgs/msg/Header"](stamp=time_of(stamp_ns), frame_id="camera")


def picture(number: int, size: int = 16) -> NDArray[np.uint8]:
    """A picture whose number can be read back."""
    frame = np.full((size, size, 3), 60, np.uint8)
    frame[:, :, 0] = number % 256
    frame[:, :, 1] = number // 256
    return frame


def number_of(frame: NDArray[np.uint8]) -> int:
    return int(frame[0, 0, 0]) + 256 * int(frame[0, 0, 1])


def image(pixels: NDArray[np.uint8], stamp_ns: int, **changes: Any) -> Any:
    height, width = pixels.shape[:2]
    fields = {
        "header": header(stamp_ns),
        "height": height,
        "width": width,
        "encoding": "rgb8",
        "is_bigendian": 0,
        "step": 3 * width,
        "data": pixels.reshape(-1),
    }
    return TYPES["sensor_msgs/msg/Image"](**(fields | changes))


def twist(forward: float, turn: float) -> Any:
    vector = TYPES["geometry_msgs/msg/Vector3"]
    return TYPES["geometry_msgs/msg/Twist"](linear=vector(forward, 0.0, 0.0), angular=vector(0.0, 0.0, turn))


def odometry(forward: float, turn: float, stamp_ns: int) -> Any:
    kind = "geometry_msgs/msg/"
    pose = TYPES[kind + "PoseWithCovariance"](
        pose=TYPES[kind + "Pose"](
            position=TYPES[kind + "Point"](0.0, 0.0, 0.0),
            orientation=TYPES[kind + "Quaternion"](0.0, 0.0, 0.0, 1.0),
        ),
        covariance=np.zeros(36),
    )
    speed = TYPES[kind + "TwistWithCovariance"](twist=twist(forward, turn), covariance=np.zeros(36))
    return TYPES["nav_msgs/msg/Odometry"](
        header=header(stamp_ns), child_frame_id="base_link", pose=pose, twist=speed
    )


def message(kind: str, **fields: Any) -> Any:
    return TYPES[kind](**fields)


Event = tuple[str, int, Any]
"""Topic, receipt in ns, message (or bytes)."""


def kind_of(content: Any) -> str:
    return str(content.__msgtype__)


def write_bag(
    path: Path, events: Sequence[Event], storage: str = "mcap", kinds: dict[str, str] | None = None
) -> Path:
    """A bag of `events`, written in the order of receipt; storage "zstd" is MCAP with compressed chunks.

    `kinds`: of topics whose messages are bytes."""
    plugin = StoragePlugin.SQLITE3 if storage == "sqlite3" else StoragePlugin.MCAP
    types = dict(kinds or {})
    types |= {topic: kind_of(content) for topic, _, content in events if not isinstance(content, bytes)}
    writer = Writer(path, version=9, storage_plugin=plugin)
    if storage == "zstd":
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connections = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in types.items()}
        for topic, receipt, content in sorted(events, key=lambda e: e[1]):
            data = content if isinstance(content, bytes) else STORE.serialize_cdr(content, types[topic])
            writer.write(connections[topic], receipt, data)
    return path


def drive(frames: int, period_ns: int = NS // 20, start_ns: int = 100 * NS) -> list[Event]:
    """A camera, commands 3 ms after each frame, and a bumper that is pressed during frames 10 to 12."""
    events: list[Event] = []
    for i in range(frames):
        stamp = start_ns + i * period_ns
        events.append(("/camera/image_raw", stamp + 1_000_000, image(picture(i), stamp)))
        events.append(("/cmd_vel", stamp + 3_000_000, twist(0.01 * (i % 40), -0.02 * (i % 40))))
        events.append(("/bumper", stamp + 2_000_000, message("std_msgs/msg/Bool", data=bool(10 <= i <= 12))))
    return events


def write_folder(path: Path, rows: Sequence[dict[str, Any]], size: int = 16) -> Path:
    """A folder in the layout of the rc_car recordings; row i has picture i unless it names another."""
    (path / "images").mkdir(parents=True)
    for i, row in enumerate(rows):
        row.setdefault("image", f"{i:05d}.png")
        cv2.imwrite(str(path / "images" / f"{i:05d}.png"), picture(i, size)[..., ::-1])
    with (path / "records.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_tub(
    path: Path, records: Sequence[dict[str, Any]], deleted: Sequence[int], per_catalog: int = 10
) -> Path:
    """A DonkeyCar tub of version 2 with one picture for each record."""
    (path / "images").mkdir(parents=True)
    names = []
    for first in range(0, len(records), per_catalog):
        name = f"catalog_{first // per_catalog}.catalog"
        names.append(name)
        part = [json.dumps(r) for r in records[first : first + per_catalog]]
        (path / name).write_text("\n".join(part) + "\n", encoding="utf-8")
        (path / f"{name}_manifest").write_text("{}", encoding="utf-8")
    for record in records:
        index = record["_index"]
        cv2.imwrite(
            str(path / "images" / f"{index}_cam_image_array_.jpg"), np.full((12, 16, 3), index, np.uint8)
        )
    lines: list[Any] = [
        ["cam/image_array", "user/angle", "user/throttle", "user/mode"],
        ["image_array", "float", "float", "str"],
        {},
        {
            "created_at": 1.0,
            "sessions": {"all_full_ids": ["22-11-11_0"], "last_id": 0, "last_full_id": "22-11-11_0"},
        },
        {
            "paths": names,
            "current_index": len(records),
            "max_len": per_catalog,
            "deleted_indexes": list(deleted),
        },
    ]
    (path / "manifest.json").write_text(
        "\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8"
    )
    return path


def tub_record(index: int, stamp_ms: int, angle: float = 0.25, session: str = "22-11-11_0") -> dict[str, Any]:
    return {
        "_index": index,
        "_session_id": session,
        "_timestamp_ms": stamp_ms,
        "cam/image_array": f"{index}_cam_image_array_.jpg",
        "user/angle": angle,
        "user/mode": "user",
        "user/throttle": 0.5,
    }
