"""The images of one topic of a bag, for `perception/playback.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from safe_o2o_ros.data.bag_messages import IMAGES, drop_reason, header_ns, image_of
from safe_o2o_ros.data.bags import BagDamagedError, open_bag
from safe_o2o_ros.errors import FrameError, RecordingError
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.types import ImageArray

_TRUSTED_NS = 5_000_000_000
"""A header's stamp that is farther from the time of receipt is of another clock."""
_PAUSE_NS = 50_000_000
"""Between the end of a recording and its beginning, where it is played again."""


class BagCamera:
    """One pass over the images of a topic."""

    model: CameraModel | None = None

    def __init__(self, path: Path, topic: str, camera: str) -> None:
        """`topic`: "" = the only one with images, or the one of `camera`.

        A damaged bag is read as far as it goes. Raises RecordingError where there is none, or no such topic.
        """
        self._bag = open_bag(path)
        self.problem = "; ".join(self._bag.notes)
        with_images = {t.name: t for t in self._bag.topics.values() if t.kind in IMAGES}
        try:
            self._topic = with_images[topic or _only(with_images, camera, path)]
        except KeyError:
            self.close()
            raise RecordingError(
                f"{path} has no images on '{topic}', but on {', '.join(with_images) or 'no topic'}"
            ) from None
        except RecordingError:
            self.close()
            raise

    def frames(self) -> Iterator[tuple[int, ImageArray | FrameError]]:
        """(header's stamp, or the receipt where that is of another clock; image or why there is none)."""
        name, kind = self._topic.name, self._topic.kind
        try:
            for _, received_ns, data in self._bag.messages({name}):
                try:
                    message = self._bag.types.read(data, kind)
                    stamp_ns = header_ns(message)
                    reason = drop_reason(message, kind)
                    image: ImageArray | FrameError = (
                        image_of(message, kind)
                        if reason is None
                        else FrameError(f"an image of {name} has {reason}: mend what recorded it")
                    )
                except (FrameError, RecordingError) as error:
                    stamp_ns, image = received_ns, FrameError(str(error))
                trusted = abs(stamp_ns - received_ns) <= _TRUSTED_NS
                yield (stamp_ns if trusted else received_ns), image
        except BagDamagedError as error:
            self.problem = str(error)

    def span_ns(self) -> tuple[int, int]:
        """Of the whole bag."""
        start, end = self._bag.span_ns
        return start, end + _PAUSE_NS

    def close(self) -> None:
        """Close the file."""
        self._bag.close()


def _only(names: Collection[str], camera: str, path: Path) -> str:
    """The topic that is meant where none is named. Raises RecordingError."""
    own = [name for name in names if name.strip("/").split("/")[0] == camera]
    for found in (own, list(names)):
        if len(found) == 1:
            return found[0]
    if not names:
        raise RecordingError(f"{path} holds no images: give a recording with a camera's topic")
    raise RecordingError(
        f"{path} has images on {', '.join(names)}: name the one of camera {camera} as `topic`"
    )
