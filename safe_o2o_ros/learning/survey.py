"""Which records of a store can be trained on: told without decoding their gigabytes of images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from safe_o2o_ros.data.store import UNUSABLE, EpisodeReader, Outline
from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.robot import RobotAdapter

_Sizes = tuple[tuple[int, ...], ...]
"""(height, width) of each camera, pixels."""


@dataclass(frozen=True)
class Survey:
    """What a store offers."""

    records: dict[int, str]
    """Records whose headers are those of usable episodes: index -> where it lies and which seed it has."""
    rows: int
    """Frames in all of them."""
    height: int
    """Of the frames, pixels."""
    width: int
    """Of the frames, pixels."""
    has_cost: bool
    """Whether any step of them cost something."""
    skipped: tuple[str, ...]
    """One sentence for each loss: where it was, and what is wrong."""


def survey(reader: EpisodeReader, adapter: RobotAdapter, min_length: int) -> Survey:
    """Look at every record once. Where image sizes differ, the one that most episodes have is right.

    Raises StoreError, with the reasons, when no record is usable.
    """
    skipped = [*reader.recovery.damaged]
    if reader.recovery.tail_bytes:
        skipped.append(f"the last segment ends in {reader.recovery.tail_bytes} bytes that are not a record")
    lengths: dict[int, int] = {}
    sizes: dict[int, _Sizes] = {}
    names: dict[int, str] = {}
    costly: set[int] = set()
    short = 0
    for index in range(len(reader)):
        names[index] = reader.name(index)
        try:
            outline = reader.outline(index)
            if "seed" in outline.metadata:
                names[index] += f" (seed {outline.metadata['seed']})"
            found = _sizes(outline, reader.manifest.cameras, adapter)
        except UNUSABLE as error:
            skipped.append(loss(names[index], error))
            continue
        if outline.actions[0] < min_length:
            short += 1
            continue
        lengths[index], sizes[index] = outline.actions[0], found
        if outline.has_cost:
            costly.add(index)
    if short:
        skipped.append(f"{short} of {len(reader)} episodes have fewer than {min_length} steps")
    if not lengths:
        raise StoreError(nothing_left(reader, min_length, skipped))
    usual = Counter(sizes.values()).most_common(1)[0][0]
    for index in [i for i, found in sizes.items() if found != usual]:
        skipped.append(f"{names[index]}: its frames are {_text(sizes[index])}, most episodes' {_text(usual)}")
        del lengths[index]
    rows = sum(lengths.values()) + len(lengths)
    height, width = usual[0]
    records = {index: names[index] for index in lengths}
    return Survey(records, rows, height, width, not costly.isdisjoint(records), tuple(skipped))


def loss(name: str, error: Exception) -> str:
    """One sentence for a record that is left out; a failed checksum already says where."""
    return str(error) if str(error).startswith(name) else f"{name}: {error}"


def nothing_left(reader: EpisodeReader, min_length: int, skipped: list[str]) -> str:
    """The sentence for a store without a usable episode; all reasons would not fit a line, so the first."""
    reasons = "; ".join(skipped[:3]) + (f"; and {len(skipped) - 3} more" if len(skipped) > 3 else "")
    return (
        f"{reader.directory} holds no usable episode of at least {min_length} steps "
        f"({reasons or 'it is empty'}): collect some with `safe-o2o collect`"
    )


def _sizes(outline: Outline, cameras: tuple[str, ...], adapter: RobotAdapter) -> _Sizes:
    """Sizes of the frames of `cameras`; raises StoreError where the header is not that of an episode."""
    if len(outline.actions) != 2 or outline.actions[1] != adapter.action_dim:
        raise StoreError(f"its actions are {outline.actions}, the robot's must be (T, {adapter.action_dim})")
    for camera in cameras:
        if camera not in outline.frames:
            raise StoreError(f"it has no frames of camera '{camera}'")
        if len(outline.frames[camera]) != 4 or min(outline.frames[camera]) < 1:
            raise StoreError(f"its frames of camera '{camera}' are {outline.frames[camera]}, not images")
    return tuple(outline.frames[camera][1:3] for camera in cameras)


def _text(sizes: _Sizes) -> str:
    return ", ".join(dict.fromkeys(f"{height} x {width}" for height, width in sizes))
