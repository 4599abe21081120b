"""The folder around an MCAP file that makes it a rosbag2: names, message definitions, metadata.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from safe_o2o_ros.data.mcap_log import Topic
from safe_o2o_ros.errors import RecordingError

METADATA = "metadata.yaml"
_VERSION = 9
_LATCHED = ("/episode", "/record/episode")
_NEVER = {"sec": 9223372036, "nsec": 854775807}


@cache
def topic(name: str, kind: str) -> Topic:
    """A topic of a known type, offered reliable so that `ros2 bag play` serves every subscriber.

    Raises RecordingError where the type is none of ROS 2's own.
    """
    store = _typestore()
    if kind not in store.fielddefs:
        raise RecordingError(
            f"{name} is a {kind}, which this recorder has no definition of: do not record it"
        )
    return Topic(name, kind, store.generate_msgdef(kind, ros_version=2)[0], yaml.safe_dump([_qos(name)]))


@cache
def _typestore() -> Any:
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)


def _qos(name: str) -> dict[str, Any]:
    return {
        "history": "keep_last",
        "depth": 1 if name in _LATCHED else 50,
        "reliability": "reliable",
        "durability": "transient_local" if name in _LATCHED else "volatile",
        "deadline": _NEVER,
        "lifespan": _NEVER,
        "liveliness": "automatic",
        "liveliness_lease_duration": _NEVER,
        "avoid_ros_namespace_conventions": False,
    }


def write_metadata(
    folder: Path,
    file: str,
    topics: Sequence[Topic],
    counts: Mapping[str, int],
    span_ns: tuple[int, int],
    custom: Mapping[str, str],
) -> None:
    """What `ros2 bag` reads first; it appears whole or not at all. Raises OSError.

    `file`: name of the MCAP file; `custom`: travels along.
    """
    first, last = span_ns
    total = sum(counts.values())
    start, duration = {"nanoseconds_since_epoch": first}, {"nanoseconds": last - first}
    part = {"path": file, "starting_time": start, "duration": duration, "message_count": total}
    content = {
        "rosbag2_bagfile_information": {
            "version": _VERSION,
            "storage_identifier": "mcap",
            "relative_file_paths": [file],
            "duration": duration,
            "starting_time": start,
            "message_count": total,
            "topics_with_message_count": [_described(t, counts[t.name]) for t in topics if t.name in counts],
            "compression_format": "",
            "compression_mode": "",
            "files": [part],
            "custom_data": dict(custom),
            "ros_distro": "jazzy",
        }
    }
    draft = folder / f"{METADATA}.tmp"
    with draft.open("w", encoding="utf-8") as out:
        _Plain.dump_to(content, out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(folder / METADATA)


def _described(topic: Topic, count: int) -> dict[str, Any]:
    store = _typestore()
    digest = store.hash_rihs01(topic.kind) if topic.kind in store.fielddefs else ""
    about = {
        "name": topic.name,
        "type": topic.kind,
        "serialization_format": "cdr",
        "offered_qos_profiles": yaml.safe_load(topic.qos) if topic.qos else [],
        "type_description_hash": digest,
    }
    return {"topic_metadata": about, "message_count": count}


class _Plain(yaml.SafeDumper):
    """Without anchors: not every reader of rosbag2 knows them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    @classmethod
    def dump_to(cls, content: Any, out: Any) -> None:
        yaml.dump(content, out, Dumper=cls, sort_keys=False)
