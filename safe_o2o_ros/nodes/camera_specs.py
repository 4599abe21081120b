"""The parameters of camera_node, and the objects they describe."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.validate_topic_name import validate_topic_name

from safe_o2o_ros.data.bag_camera import BagCamera
from safe_o2o_ros.errors import BundleMismatchError, MissingExtraError, RecordingError, UsageError
from safe_o2o_ros.manifest import Manifest, read_manifest
from safe_o2o_ros.nodes.camera_inputs import CameraInput, CaptureInput, TopicInput
from safe_o2o_ros.nodes.images import IMAGE_QOS
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.perception.camera_model import CameraModel, ideal, read_calibration
from safe_o2o_ros.perception.capture import Capture, Pace
from safe_o2o_ros.perception.playback import (
    NOW,
    PACES,
    REAL_TIME,
    STAMPS,
    Playback,
    PlaybackClock,
    RecordedReader,
)
from safe_o2o_ros.perception.readers import Reader, check_file, open_device, open_file
from safe_o2o_ros.perception.realsense import RealSenseFile, library, open_realsense
from safe_o2o_ros.perception.shaping import CENTRE, CROPS, VIEW, Shape

TOPIC, DEVICE, FILE, REALSENSE, BAG = "topic", "device", "file", "realsense", "bag"
_SOURCES = (TOPIC, DEVICE, FILE, REALSENSE, BAG)


def _names(value: list[str]) -> str:
    if not all(re.fullmatch(r"[A-Za-z]\w*", name) for name in value) or len(set(value)) != len(value):
        return f"is {value}, but must be distinct names of letters, digits and _"
    return ""


def _roi(value: list[int]) -> str:
    return "" if not value or min(value[2:]) > 0 else f"is {value}, but width and height must be positive"


SPECS = (
    Spec("cameras", [], "Cameras this process serves, by the bundle's names.", check=_names),
    Spec("bundle", "", "Model bundle whose image size, cameras and views hold; empty: height and width."),
    Spec("task", "", "Refuse a bundle made for another task; empty accepts any."),
    Spec("height", 64, "Height of the published images without a bundle, pixels.", 1, 4096),
    Spec("width", 64, "Width of the published images without a bundle, pixels.", 1, 4096),
    Spec("image_qos", "auto", "Reliability of subscriptions to image topics.", choices=IMAGE_QOS),
    Spec("stall_timeout", 0.5, "A camera without a new frame for so long has stalled, seconds.", 0.05, 60.0),
    Spec("rate_warning", 0.7, "Warn below this share of the expected rate.", 0.0, 1.0),
    Spec("{cameras}.source", TOPIC, "Where the images come from.", choices=_SOURCES),
    Spec("{cameras}.topic", "", "source topic: images of another node, raw or compressed. bag: its topic."),
    Spec("{cameras}.camera_info_topic", "", "source topic: its CameraInfo; empty: the one beside it."),
    Spec("{cameras}.device", "/dev/video0", "source device: a V4L2 device, its number, or a stream's URL."),
    Spec(
        "{cameras}.capture_size",
        [],
        "source device, realsense: width and height to ask for, pixels; empty: its own.",
        1,
        10_000,
        element=int,
        length=(0, 2),
    ),
    Spec("{cameras}.serial", "", "source realsense: serial number of the device; empty: the first."),
    Spec(
        "{cameras}.file",
        "",
        "source file: a video, or a folder of PNG or JPEG pictures. realsense: a recording; empty: live. "
        "bag: a rosbag2 recording.",
    ),
    Spec("{cameras}.loop", True, "source file, or a recording: begin again at the end."),
    Spec(
        "{cameras}.playback",
        REAL_TIME,
        "Of a recording: at the recorded times, or as fast as its pictures are taken.",
        choices=PACES,
    ),
    Spec(
        "{cameras}.stamps",
        NOW,
        "Of a recording: moved so that the first picture is taken now, or as they were recorded.",
        choices=STAMPS,
    ),
    Spec(
        "{cameras}.rate",
        0.0,
        "Frames per second: asked of a device, pace of a file, expected of a topic; 0: its own.",
        0.0,
        1000.0,
    ),
    Spec(
        "{cameras}.crop",
        CENTRE,
        "Part of the image that is kept: the middle in the bundle's proportions, all of it (squeezed), or "
        "what the bundle's view shows (needs a calibration).",
        choices=CROPS,
    ),
    Spec(
        "{cameras}.roi",
        [],
        "Part that is kept instead: x, y, width, height, pixels.",
        0,
        100_000,
        element=int,
        length=(0, 4),
        check=_roi,
    ),
    Spec("{cameras}.undistort", False, "Straighten the images with the calibration."),
    Spec("{cameras}.calibration", "", "Calibration file of camera_calibration; empty: the topic's."),
    Spec(
        "{cameras}.fovy",
        0.0,
        "Without a calibration: vertical field of view, degrees; 0: unknown.",
        0.0,
        179.0,
    ),
    Spec("{cameras}.frame_id", "", "Optical frame; empty: the topic's, or <camera>_optical_frame."),
)


class CameraSettings:
    """One camera's parameters, checked against each other and the bundle."""

    def __init__(self, parameters: Parameters, name: str, manifest: Manifest | None) -> None:
        """Raise UsageError where parameters contradict each other or files are missing."""
        self.name = name
        self._values: Callable[[str], Any] = lambda key: parameters[f"{name}.{key}"]
        self._image_qos: str = parameters["image_qos"]
        roi = self._values("roi")
        view = manifest.views.get(name) if manifest else None
        if self._values("crop") == VIEW and view is None and not roi:
            raise UsageError(
                f"{name}.crop is 'view', but the bundle does not say what camera {name} saw: choose 'centre'"
            )
        size = (manifest.image.height, manifest.image.width) if manifest else None
        self.shape = Shape(
            height=size[0] if size else parameters["height"],
            width=size[1] if size else parameters["width"],
            crop=self._values("crop"),
            roi=tuple(roi) if roi else None,
            undistort=self._values("undistort"),
            fovy_deg=view.fovy_deg if view else None,
        )
        path = self._values("calibration")
        self.calibration: CameraModel | None = read_calibration(Path(path)) if path else None
        self.fovy_deg: float = self._values("fovy")
        self.frame_id: str = self._values("frame_id")
        rate: float = self._values("rate")
        self.expected_hz = rate or (1.0 / manifest.period_s if manifest else 0.0)

    def open(self, node: Node, notify: Callable[[], None], clocks: dict[Path, PlaybackClock]) -> CameraInput:
        """The source. `notify` is called from another thread when a device or file has a new picture.

        `clocks`: of the recordings that this process plays. Raises UsageError, MissingExtraError.
        """
        source, rate = self._values("source"), self._values("rate")
        if source == TOPIC:
            return self._topic(node)
        if source == BAG or (source == REALSENSE and self._values("file")):
            return CaptureInput(self._playback(source, node, notify, clocks))
        reader: Callable[[], Reader | None]
        if source == FILE:
            path = Path(self._required("file"))
            check_file(path)
            pace = Pace(timed=True, rate_hz=rate, loop=self._values("loop"))
            reader = partial(open_file, path)
        else:
            width, height = self._values("capture_size") or (0, 0)
            pace = Pace(timed=False)
            if source == REALSENSE:
                library()  # what is missing for good ends the node
                reader = partial(open_realsense, self._values("serial"), width, height, rate)
            else:
                reader = partial(open_device, self._required("device"), width, height, rate)
        clock = node.get_clock()
        return CaptureInput(Capture(reader, pace, lambda: int(clock.now().nanoseconds), notify))

    def _playback(
        self, source: str, node: Node, notify: Callable[[], None], clocks: dict[Path, PlaybackClock]
    ) -> Playback:
        path = Path(self._required("file"))
        reader: Callable[[], RecordedReader] = partial(RealSenseFile, path)
        if source == BAG:
            if importlib.util.find_spec("rosbags") is None:
                raise MissingExtraError(
                    "reading bags (rosbags) is not installed: run `pip install 'safe_o2o_ros[bags]'`"
                )
            reader = partial(BagCamera, path, self._values("topic"), self.name)
        try:
            reader().close()
        except RecordingError as error:
            raise UsageError(f"{self.name}.file: {error}") from error
        clock = node.get_clock()
        return Playback(
            reader,
            clocks.setdefault(path.absolute(), PlaybackClock(lambda: int(clock.now().nanoseconds))),
            notify,
            pace=self._values("playback"),
            stamps=self._values("stamps"),
            loop=self._values("loop"),
        )

    def _topic(self, node: Node) -> TopicInput:
        topic = self._required("topic")
        validate_topic_name(topic)
        output = node.resolve_topic_name(f"{self.name}/image_raw")
        if node.resolve_topic_name(topic) == output:
            raise UsageError(
                f"{self.name}.topic is {output}, which this node publishes itself: name the driver's "
                "topic, or remap one of the two"
            )
        return TopicInput(node, topic, self._values("camera_info_topic"), self._image_qos)

    def _required(self, key: str) -> str:
        value: str = self._values(key)
        if not value:
            raise UsageError(f"the parameter '{self.name}.{key}' is empty: say where the images come from")
        return value

    def model(self, own: CameraModel | None, height: int, width: int) -> CameraModel | None:
        """The calibration of frames of this size: the file's, the source's own, or from `fovy`."""
        if self.calibration is not None:
            return self.calibration
        if own is None and self.fovy_deg > 0.0:
            return ideal(height, width, self.fovy_deg)
        return own


def read_bundle(parameters: Parameters) -> Manifest | None:
    """The manifest the parameters name, with every camera in it. Raises BundleError, UsageError."""
    cameras, path, task = parameters["cameras"], parameters["bundle"], parameters["task"]
    if not cameras:
        raise UsageError("camera_node serves no camera: list their names in the parameter 'cameras'")
    if not path:
        return None
    manifest = read_manifest(Path(path))
    if task and task != manifest.task:
        raise BundleMismatchError(
            f"bundle '{path}' was trained for {manifest.task}, not {task}: choose a bundle of {task}"
        )
    unknown = [name for name in cameras if name not in manifest.image.cameras]
    if unknown:
        raise UsageError(
            f"the bundle has no camera '{unknown[0]}': its cameras are {', '.join(manifest.image.cameras)}"
        )
    return manifest
