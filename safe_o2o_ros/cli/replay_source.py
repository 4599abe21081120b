"""The recording of a replay as a bag: as it is, or converted first."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.cli import import_data, import_options
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.data.bag_messages import IMAGES
from safe_o2o_ros.data.bags import is_bag, open_bag, origin
from safe_o2o_ros.data.export_bag import CAMERA_TOPICS, write_bag
from safe_o2o_ros.data.import_report import topic_report
from safe_o2o_ros.data.store import is_store
from safe_o2o_ros.errors import BundleMismatchError, RecordingError, UsageError
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.perception.shaping import CENTRE, Shape


@dataclass(frozen=True)
class Source:
    """What is played."""

    bag: Path
    topics: dict[str, str]
    """Camera of the bundle -> image topic, in the bundle's order."""
    command: str | None
    """Topic of the driver's commands; None: the one that `safe-o2o import` would take."""
    crop: str
    converted: dict[str, Any] | None
    """What became of the frames of a recording that was no bag."""


def source_of(args: argparse.Namespace, manifest: Manifest, scratch: Path) -> Source:
    """The recording at `args.replay`; what is no bag becomes one in `scratch`.

    Raises RecordingError, StoreError, UsageError, BundleMismatchError.
    """
    path: Path = args.replay
    if not path.exists():
        raise RecordingError(f"there is no recording at {path}: check the path")
    crop = args.crop or CENTRE
    converted = None
    if not is_bag(path):
        if args.camera or args.command_topic:
            raise UsageError(f"{path} is no bag and has no topics: leave out --camera and --command")
        if not is_store(path):
            converted = _import(path, manifest, crop, args.column, scratch / "store")
            path = scratch / "store"
        path = _export(path, scratch / "bag")
    known = origin(path)
    robot = known.get("adapter", {}).get("name", manifest.adapter.name)
    if robot != manifest.adapter.name:
        raise BundleMismatchError(
            f"{args.replay} was driven by the robot '{robot}', but bundle {manifest.version} drives "
            f"'{manifest.adapter.name}': choose the bundle or the recording that belongs to the other"
        )
    asked = import_options.pairs(args.camera, "--camera")
    topics = _topics(path, manifest.image.cameras, asked, known.get(CAMERA_TOPICS, {}))
    return Source(path, topics, args.command_topic, crop, converted)


def _import(path: Path, manifest: Manifest, crop: str, columns: list[str], store: Path) -> dict[str, Any]:
    """A tub or folder into a store, as `safe-o2o import` does."""
    parser = argparse.ArgumentParser()
    import_options.add(parser)
    args = parser.parse_args([str(path), "--out", str(store), "--no-delay", "--min-steps", "2"])
    args.column = columns
    shape = Shape(manifest.image.height, manifest.image.width, crop)
    recording = import_data.read(args, manifest.adapter, shape)
    imported = import_data.process(recording, args)
    import_data.store(args, recording, imported, manifest.adapter)
    clock = recording.clock
    assert clock is not None  # a store was written
    told = topic_report(clock, imported.alignment)
    return {
        "frames": told.messages,
        "used": told.used,
        "dropped": dict(told.drops),
        "episodes": len(imported.alignment.episodes),
        "period_ms": imported.settings.period_ns / 1e6,
    }


def _export(store: Path, bag: Path) -> Path:
    reader = EpisodeReader(store)
    written = write_bag(reader, bag)
    if not written.episodes:
        raise RecordingError(f"{store} holds no episode that can be read: give another recording")
    return bag


def _topics(
    path: Path, cameras: tuple[str, ...], asked: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    """The image topic of each camera of the bundle. Raises UsageError, RecordingError."""
    unknown = [name for name in asked if name not in cameras]
    if unknown:
        raise UsageError(f"the bundle has no camera '{unknown[0]}': its cameras are {', '.join(cameras)}")
    images = [name for name, kind in _kinds(path).items() if kind in IMAGES]
    if not images:
        raise RecordingError(f"{path} holds no images: give a recording with a camera's topic")
    found: dict[str, str] = {}
    for camera in cameras:
        own = [topic for topic in images if topic.strip("/").split("/")[0] == camera]
        one = own if len(own) == 1 else images if len(images) == len(cameras) == 1 else []
        topic = asked.get(camera) or known.get(camera) or (one[0] if one else None)
        if topic is None or topic not in images:
            what = f"no images on {topic}" if topic else f"no topic that is plainly camera {camera}"
            raise UsageError(
                f"the recording has {what}, but images on {', '.join(sorted(images))}: name that of "
                f"camera {camera} with --camera {camera}=TOPIC"
            )
        found[camera] = topic
    return found


def _kinds(path: Path) -> dict[str, str]:
    """Topic -> type."""
    with open_bag(path) as bag:
        return {topic.name: topic.kind for topic in bag.topics.values()}
