"""Episodes in a segment store, and the manifest that says where they come from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.codec import decode, decode_meta, decode_shapes, encode
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.segments import DEFAULT_SEGMENT_BYTES, SegmentReader, SegmentWriter, sync_directory
from safe_o2o_ros.errors import CorruptRecordError, FrameError, NonFiniteError, StoreError

SCHEMA = 1
_IMAGE = "image/"
_EXTRA = "extra/"
_NO_COST = np.zeros(0, np.float32)
_T = TypeVar("_T")
UNUSABLE = (StoreError, FrameError, NonFiniteError)
"""What reading one record may raise; the others stay readable."""


@dataclass(frozen=True)
class Manifest:
    """Provenance of a store; `manifest.json` beside the segments."""

    task: str
    cameras: tuple[str, ...]
    adapter: Mapping[str, Any]
    """`RobotAdapter.to_json`."""
    period_s: float
    """Control period of the actions, seconds."""
    action_repeat: int
    version: str
    """Of the software that wrote it."""
    command: str
    """The command line that wrote it."""
    seeds: tuple[int, int] | None = None
    """First and last seed asked for; None for data from a robot."""
    mix: Mapping[str, float] = field(default_factory=dict)
    """Demonstrator -> share of episodes."""
    variant: str | None = None
    schema: int = SCHEMA

    def same_data(self, other: Manifest) -> bool:
        """Whether records of both can live in one store: the same task, cameras, robot, period, variant."""
        keys = ("schema", "task", "cameras", "adapter", "period_s", "action_repeat", "variant")
        return all(getattr(self, key) == getattr(other, key) for key in keys)


def encode_episode(episode: Episode, image_codec: str = "png") -> bytes:
    """One record's payload; "png" keeps every pixel, "jpeg" is smaller and lossy."""
    arrays: dict[str, NDArray[Any]] = {f"{_IMAGE}{name}": frames for name, frames in episode.images.items()}
    codecs = dict.fromkeys(arrays, image_codec)
    arrays |= {"actions": episode.actions, "rewards": episode.rewards, "costs": episode.costs}
    arrays |= {f"{_EXTRA}{name}": array for name, array in episode.extras.items()}
    meta = dict(episode.metadata) | {
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "steps": len(episode),
    }
    return encode(meta, arrays, codecs)


def decode_episode(payload: bytes) -> Episode:
    """Inverse of `encode_episode`; raises CorruptRecordError when the payload is not an episode."""
    meta, arrays = decode(payload)
    try:
        return Episode(
            images={k.removeprefix(_IMAGE): v for k, v in arrays.items() if k.startswith(_IMAGE)},
            actions=arrays["actions"],
            rewards=arrays["rewards"],
            costs=arrays["costs"],
            terminated=meta["terminated"],
            truncated=meta["truncated"],
            metadata={k: v for k, v in meta.items() if k not in ("terminated", "truncated", "steps")},
            extras={k.removeprefix(_EXTRA): v for k, v in arrays.items() if k.startswith(_EXTRA)},
        )
    except KeyError as error:
        raise CorruptRecordError(f"a record has no {error}, so it is not an episode") from error


class EpisodeWriter:
    """Appends episodes; one writer at a time. An append has been acknowledged when it returns."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        image_codec: str = "png",
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        """Create, or continue a store with an equal task, camera set, robot and period (else StoreError)."""
        self._codec = image_codec
        self._segments = SegmentWriter(directory, segment_bytes)
        self.recovery = self._segments.recovery
        try:
            check_same_data(directory, manifest)
            write_manifest(directory, manifest)
        except StoreError:
            self._segments.close()
            raise

    def append(self, episode: Episode) -> int:
        """Store an episode; returns its id once it is on disk."""
        return self._segments.append(encode_episode(episode, self._codec))

    def append_encoded(self, payload: bytes) -> int:
        """Store what `encode_episode` made, e.g. in another process; returns its id once on disk."""
        return self._segments.append(payload)

    def close(self) -> None:
        """Release the store."""
        self._segments.close()

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Outline:
    """What a record is, as far as one can tell without its images."""

    metadata: Mapping[str, Any]
    frames: Mapping[str, tuple[int, ...]]
    """Camera -> shape of its frames."""
    actions: tuple[int, ...]
    """Shape of the actions; () without any."""
    has_cost: bool
    """Whether any step cost something."""


class EpisodeReader:
    """Iterates a store's episodes in the order they were written, one in memory at a time."""

    def __init__(self, directory: Path) -> None:
        """Raises StoreError when the directory is not a store."""
        self.directory = directory
        self.manifest = read_manifest(directory)
        self._segments = SegmentReader(directory)
        self.recovery = self._segments.recovery
        self.skipped = self._segments.skipped
        """One sentence for each record that iteration left out: damaged, or not an episode."""

    def __len__(self) -> int:
        """Number of records, damaged ones included."""
        return len(self._segments)

    def load(self, index: int) -> Episode:
        """The index-th record; raises CorruptRecordError."""
        return decode_episode(self._segments.read(index))

    def name(self, index: int) -> str:
        """Where the index-th record lies, for a message."""
        return self._segments.name(index)

    def outline(self, index: int) -> Outline:
        """What the index-th record is, without decoding its images. Raises CorruptRecordError."""
        payload = self._segments.read(index)
        shapes = decode_shapes(payload)
        frames = {k.removeprefix(_IMAGE): v for k, v in shapes.items() if k.startswith(_IMAGE)}
        meta, arrays = decode(payload, only=("costs",))
        return Outline(
            meta, frames, shapes.get("actions", ()), bool((arrays.get("costs", _NO_COST) > 0).any())
        )

    def __iter__(self) -> Iterator[Episode]:
        return self._each(decode_episode)

    def metadata(self) -> Iterator[dict[str, Any]]:
        """Every intact record's metadata, with terminated, truncated and steps; no image is decoded."""
        return self._each(decode_meta)

    def _each(self, decoder: Callable[[bytes], _T]) -> Iterator[_T]:
        for sequence, payload in self._segments:
            try:
                found = decoder(payload)
            except UNUSABLE as error:
                self.skipped.append(f"record {sequence}: {error}")
                continue
            yield found


def is_store(directory: Path) -> bool:
    """Whether there is a segment store with something in it."""
    return directory.is_dir() and any(directory.glob("*.seg"))


def read_manifest(directory: Path) -> Manifest:
    """Raises StoreError when there is none or it is not readable."""
    path = directory / "manifest.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise TypeError("it is not an object")
        if data.get("schema") != SCHEMA:
            raise StoreError(
                f"{path} has schema {data.get('schema')}, this software reads {SCHEMA}; collect again"
            )
        seeds = data.pop("seeds")
        cameras = tuple(data.pop("cameras"))
        return Manifest(cameras=cameras, seeds=None if seeds is None else (seeds[0], seeds[1]), **data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is not the manifest of a store ({error}); check the path") from error


def check_same_data(directory: Path, manifest: Manifest) -> None:
    """Raises StoreError where the store at `directory` holds data that `manifest` does not fit."""
    if not (directory / "manifest.json").exists():
        return
    present = read_manifest(directory)
    if not manifest.same_data(present):
        raise StoreError(
            f"store {directory} holds {present.task} data with another robot, camera set, "
            "variant or period; write to another directory"
        )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step on disk. Raises StoreError."""
    path = directory / "manifest.json"
    draft = path.with_suffix(".json.tmp")
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(directory)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error})") from error
