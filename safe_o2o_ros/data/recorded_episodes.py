"""Aligned recordings to episodes of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros
from safe_o2o_ros.data.aligned import Aligned, Alignment
from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.tracks import CostTrack, Recording, Stamps
from safe_o2o_ros.errors import RecordingError


def episodes(
    recording: Recording, alignment: Alignment, hold_ns: int, metadata: dict[str, Any]
) -> Iterator[Episode]:
    """One at a time. `hold_ns`: how long a state, such as a pressed bumper, is taken to last unsaid.

    Raises RecordingError without cameras or commands: an episode is made of pictures and what was done.
    """
    if not recording.cameras or recording.command is None:
        lacks = "camera" if not recording.cameras else "commands"
        raise RecordingError(
            f"{recording.source} has no {lacks}, and episodes are pictures with the commands driven: map a "
            "topic to it, or ask for --report-only"
        )
    for number, part in enumerate(alignment.episodes):
        yield _episode(recording, recording.command.values, part, hold_ns, metadata | {"part": number})


def _episode(
    recording: Recording, actions: NDArray[Any], part: Aligned, hold_ns: int, metadata: dict[str, Any]
) -> Episode:
    start = int(part.edges_ns[0])
    run = recording.run_at(start)
    ended = part.ending in ("success", "failure")
    meta = metadata | {
        "version": safe_o2o_ros.__version__,
        "start_ns": start,
        "ending": part.ending,
        "success": part.ending == "success" if ended else None,
    }
    if run is not None:
        meta["run"] = run
    extras: dict[str, NDArray[Any]] = {"stamp_ns": part.edges_ns}
    if recording.odometry is not None and len(recording.odometry):
        extras["velocity"] = _held(recording.odometry.stamps_ns, recording.odometry.values, part.edges_ns)
    return Episode(
        images={name: track.values[part.frames[name]] for name, track in recording.cameras.items()},
        actions=actions[part.command].astype(np.float32),
        rewards=amounts(recording.rewards, part.outcome_edges_ns),
        costs=amounts(recording.costs, part.outcome_edges_ns, hold_ns),
        terminated=ended,
        truncated=not ended,
        metadata=meta,
        extras=extras,
    )


def amounts(tracks: Sequence[CostTrack], edges_ns: Stamps, hold_ns: int = 0) -> NDArray[np.float32]:
    """(T,) of the steps between the edges (T + 1,): amounts are summed, states count 1 together."""
    total = np.zeros(len(edges_ns) - 1, np.float64)
    on = np.zeros(len(total), np.bool_)
    for track in tracks:
        step = np.searchsorted(edges_ns, track.stamps_ns, "right") - 1
        inside = (step >= 0) & (step < len(total))
        summed = track.values[:, ~track.level].sum(axis=1)
        np.add.at(total, step[inside], summed[inside])
        state = track.on()
        if not track.level.any() or not len(state):
            continue
        np.logical_or.at(on, step[inside], state[inside])
        # What was last said before a step began still holds, unless it was long ago.
        last = np.searchsorted(track.stamps_ns, edges_ns[:-1], "right") - 1
        fresh = (last >= 0) & (edges_ns[:-1] - track.stamps_ns[last] <= hold_ns)
        on |= fresh & state[last]
    return (total + on).astype(np.float32)


def _held(stamps: Stamps, values: NDArray[Any], at_ns: Stamps) -> NDArray[np.float32]:
    """(T + 1, A) the newest value at or before each time; the first one where there is none yet."""
    index = np.maximum(np.searchsorted(stamps, at_ns, "right") - 1, 0)
    return values[index].astype(np.float32)
