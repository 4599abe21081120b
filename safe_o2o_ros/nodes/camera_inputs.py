"""The sources of camera_node behind one interface: a ROS topic, or whatever a Capture reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import from_camera_info, from_image
from safe_o2o_ros.nodes.images import ImageInput
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.capture import Capture
from safe_o2o_ros.perception.playback import Playback
from safe_o2o_ros.types import ImageArray


@dataclass(frozen=True)
class Incoming:
    """One frame as a source gives it."""

    stamp_ns: int
    frame_id: str
    """"" where the source names none."""
    message_bytes: int
    image: ImageArray | FrameError
    """(h, w, 3) uint8 RGB, or why there is none."""
    model: CameraModel | None
    """The source's own calibration."""


class CameraInput(Protocol):
    """One camera's source."""

    @property
    def dropped(self) -> Counter[str]:
        """Frames that were lost on this side, by reason."""
        ...

    def take(self) -> Incoming | None:
        """The newest frame that was not taken yet."""
        ...

    def status(self) -> tuple[str, str]:
        """(state, problem): opening, running, disconnected or ended, and the last trouble or ""."""
        ...

    @property
    def best_effort(self) -> bool:
        """Frames may be lost on their way without being sent again."""
        ...

    @property
    def recorded(self) -> bool:
        """A recording: nothing of it need be lost, and it waits for whoever takes it."""
        ...

    def adapt(self) -> None:
        """Follow changes in the graph; called once a second."""
        ...

    def listened(self) -> None:
        """Somebody listens to the pictures; called often."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class TopicInput:
    """Images of another node, raw or compressed, with its CameraInfo where it sends one."""

    recorded = False

    def __init__(self, node: Node, topic: str, info_topic: str, image_qos: str) -> None:
        """`info_topic`: "" = camera_info beside the images."""
        self.dropped: Counter[str] = Counter()
        self._newest: Image | CompressedImage | None = None
        self._model: CameraModel | None = None
        self._info_problem = ""
        self._images = ImageInput(node, topic, image_qos, self._on_image, compressed=True)
        node.create_subscription(
            CameraInfo, info_topic or info_beside(topic), self._on_info, qos.images(reliable=False)
        )

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self._newest is not None:
            self.dropped["replaced"] += 1
        self._newest = message

    def _on_info(self, message: CameraInfo) -> None:
        try:
            self._model = from_camera_info(message)
            self._info_problem = ""
        except FrameError as error:
            self._model, self._info_problem = None, str(error)

    def take(self) -> Incoming | None:
        """The newest message, decoded."""
        message, self._newest = self._newest, None
        if message is None:
            return None
        image: ImageArray | FrameError
        try:
            image = from_image(message)
        except FrameError as error:
            image = error
        return Incoming(
            stamp_ns=conversions.from_time(message.header.stamp),
            frame_id=message.header.frame_id,
            message_bytes=len(message.data),
            image=image,
            model=self._model,
        )

    def status(self) -> tuple[str, str]:
        """A topic is always open; the graph tells why nothing comes."""
        return "running", self._images.problem or self._info_problem

    @property
    def best_effort(self) -> bool:
        """As the publisher offers, or as image_qos says."""
        return not self._images.reliable

    def adapt(self) -> None:
        """Follow the publisher's type and reliability."""
        self._images.adapt()

    def listened(self) -> None:
        """A driver does not wait."""

    def close(self) -> None:
        """Stop to listen."""
        self._images.close()


class CaptureInput:
    """A device, file or recording that a thread reads."""

    best_effort = False

    def __init__(self, capture: Capture | Playback) -> None:
        """`capture` is started here."""
        self._capture = capture
        self.recorded = isinstance(capture, Playback)
        capture.start()

    @property
    def dropped(self) -> Counter[str]:
        """Pictures that were replaced or could not be read."""
        counts = {"replaced": self._capture.replaced, "unreadable": self._capture.refused}
        return Counter({reason: n for reason, n in counts.items() if n})

    def take(self) -> Incoming | None:
        """The newest picture."""
        shot = self._capture.take()
        if shot is None:
            return None
        return Incoming(shot.stamp_ns, "", shot.image.nbytes, shot.image, shot.model)

    def status(self) -> tuple[str, str]:
        """The capture's own."""
        return self._capture.state, self._capture.problem

    def adapt(self) -> None:
        """Nothing to follow."""

    def listened(self) -> None:
        """A recording begins now: its first pictures would be lost."""
        if isinstance(self._capture, Playback):
            self._capture.begin()

    def close(self) -> None:
        """End the thread."""
        self._capture.stop()


def info_beside(topic: str) -> str:
    """The topic of the CameraInfo that belongs to a topic of images, by ROS's convention."""
    transport = topic.rpartition("/")[2]
    folder = topic
    for _ in range(2 if transport in ("compressed", "compressedDepth", "theora", "ffmpeg") else 1):
        folder = folder.rpartition("/")[0]
    return f"{folder}/camera_info" if folder or topic.startswith("/") else "camera_info"
