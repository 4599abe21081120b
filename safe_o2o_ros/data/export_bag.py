"""Episodes of a store as rosbag2: what the graph would have published, on a timeline of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.store import EpisodeReader
from safe_o2o_ros.errors import RecordingError
from safe_o2o_ros.robot import RobotAdapter

STORAGES = ("mcap", "sqlite3")
PICTURES = ("raw", "png", "jpeg")
ORIGIN = "safe_o2o"
"""Key in the bag's custom data under which the store's manifest travels."""
CAMERA_TOPICS = "camera_topics"
"""Key beside the manifest's: camera -> topic."""
_NS = 1_000_000_000
_PAUSE_NS = _NS
"""Between episodes."""
_FIRST_NS = _NS
"""Where the timeline begins for stores that do not know when they were recorded."""
_COLOUR = "rgb8"


@dataclass(frozen=True)
class Written:
    """What an export wrote."""

    episodes: int
    messages: dict[str, int]
    """Topic -> messages."""
    skipped: list[str]
    """One sentence for each record of the store that could not be read."""


def write_bag(reader: EpisodeReader, out: Path, storage: str = "mcap", pictures: str = "raw") -> Written:
    """Write all episodes to the new folder `out`. Raises RecordingError.

    Topics: `<camera>/image_raw` (or `.../compressed`), `executed_cmd`, `reward`, `cost`, `episode`. All that
    belongs to one step has the stamp of its frame, which is what `safe-o2o import` pairs by.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    counts: dict[str, int] = {}
    episodes = 0
    try:
        with Writer(out, version=9, storage_plugin=plugin) as writer:
            outlet = _Outlet(writer, reader.manifest.cameras, pictures)
            cameras = {name: outlet.camera(name) for name in reader.manifest.cameras}
            writer.set_custom_data(ORIGIN, json.dumps(asdict(reader.manifest) | {CAMERA_TOPICS: cameras}))
            adapter = RobotAdapter.from_json(dict(reader.manifest.adapter))
            period_ns = round(reader.manifest.period_s * _NS)
            free_ns = _FIRST_NS
            for episode in reader:
                start = max(free_ns, int(episode.metadata.get("start_ns", free_ns)))
                for topic, stamp, message in _messages(outlet, episode, adapter, start, period_ns):
                    outlet.write(topic, stamp, message)
                    counts[topic] = counts.get(topic, 0) + 1
                free_ns = start + (len(episode) + 1) * period_ns + _PAUSE_NS
                episodes += 1
    except WriterError as error:
        raise RecordingError(f"the bag cannot be written: {error}") from error
    except OSError as error:
        raise RecordingError(f"{out} cannot be written ({error.strerror}): free space and retry") from error
    return Written(episodes, counts, list(reader.skipped))


class _Outlet:
    """Connections of the bag, and messages of their types."""

    def __init__(self, writer: Any, cameras: tuple[str, ...], pictures: str) -> None:
        from rosbags.typesys import Stores, get_typestore

        self._writer = writer
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self.types: Any = self._store.types
        self._pictures = pictures
        image = "sensor_msgs/msg/Image" if pictures == "raw" else "sensor_msgs/msg/CompressedImage"
        self._kinds = {self.camera(name): image for name in cameras} | {
            "/executed_cmd": "geometry_msgs/msg/TwistStamped",
            "/reward": "std_msgs/msg/Float32",
            "/cost": "std_msgs/msg/Float32",
            "/episode": "std_msgs/msg/String",
        }
        self._connections = {
            topic: writer.add_connection(
                topic, kind, typestore=self._store, offered_qos_profiles=[_qos(latched=topic == "/episode")]
            )
            for topic, kind in self._kinds.items()
        }

    def camera(self, name: str) -> str:
        """Topic of a camera."""
        return f"/{name}/image_raw" if self._pictures == "raw" else f"/{name}/image_raw/compressed"

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """One message, received at its stamp."""
        data = self._store.serialize_cdr(message, self._kinds[topic])
        self._writer.write(self._connections[topic], stamp_ns, data)

    def header(self, stamp_ns: int, frame: str) -> Any:
        """A header."""
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame)

    def image(self, camera: str, stamp_ns: int, pixels: NDArray[np.uint8]) -> Any:
        """Pixels (h, w, 3) RGB as an Image or CompressedImage."""
        header = self.header(stamp_ns, f"{camera}_optical_frame")
        height, width, channels = pixels.shape
        if self._pictures == "raw":
            return self.types["sensor_msgs/msg/Image"](
                header=header,
                height=height,
                width=width,
                encoding=_COLOUR,
                is_bigendian=0,
                step=channels * width,
                data=np.ascontiguousarray(pixels).reshape(-1),
            )
        import cv2

        cv2.setNumThreads(1)
        done, data = cv2.imencode(f".{self._pictures}", np.ascontiguousarray(pixels[..., ::-1]))
        if not done:
            raise RecordingError(f"an image of {width}x{height} cannot be stored as {self._pictures}")
        return self.types["sensor_msgs/msg/CompressedImage"](
            header=header, format=f"rgb8; {self._pictures} compressed bgr8", data=data.reshape(-1)
        )

    def twist(self, stamp_ns: int, fields: dict[str, float]) -> Any:
        """Twist fields such as {"linear.x": 0.1} as a TwistStamped in base_link."""
        vector = self.types["geometry_msgs/msg/Vector3"]
        parts = {
            part: vector(*(float(fields.get(f"{part}.{axis}", 0.0)) for axis in "xyz"))
            for part in ("linear", "angular")
        }
        twist = self.types["geometry_msgs/msg/Twist"](**parts)
        return self.types["geometry_msgs/msg/TwistStamped"](
            header=self.header(stamp_ns, "base_link"), twist=twist
        )


def _messages(
    outlet: _Outlet, episode: Episode, adapter: RobotAdapter, start_ns: int, period_ns: int
) -> Iterator[tuple[str, int, Any]]:
    """(topic, stamp, message) of an episode, by stamp."""
    number, word = outlet.types["std_msgs/msg/Float32"], outlet.types["std_msgs/msg/String"]
    yield "/episode", start_ns, word(data="start")
    for step in range(len(episode) + 1):
        stamp = start_ns + step * period_ns
        for camera, frames in episode.images.items():
            yield outlet.camera(camera), stamp, outlet.image(camera, stamp, frames[step])
        if step < len(episode):
            yield "/executed_cmd", stamp, outlet.twist(stamp, adapter.to_twist(episode.actions[step]))
            yield "/reward", stamp, number(data=float(episode.rewards[step]))
            yield "/cost", stamp, number(data=float(episode.costs[step]))
    end = _ending(episode)
    if end is not None:
        yield "/episode", start_ns + len(episode) * period_ns, word(data=end)


def _ending(episode: Episode) -> str | None:
    """The word of the graph for how an episode ended; None: it goes on in the next record."""
    if episode.terminated:
        return "failure" if episode.metadata.get("success") is False else "success"
    said = str(episode.metadata.get("ending", "timeout"))
    return (said if said in ("timeout", "abort") else "timeout") if episode.truncated else None


def _qos(latched: bool) -> Any:
    """Reliable, so that every kind of subscriber takes what `ros2 bag play` publishes."""
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    never = QosTime(9223372036, 854775807)
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else 50,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        never,
        never,
        QosLiveliness.AUTOMATIC,
        never,
        False,
    )
