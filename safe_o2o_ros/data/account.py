"""What became of the messages that could be read: each is in a step, or counted under the reason why not."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.aligned import Aligned, Alignment, Stretch
from safe_o2o_ros.data.tracks import Recording, Stamps, Track

SURPLUS = "newer frame in the same period"
ALONE = "alone between gaps"
REPLACED = "newer command in the same period"
OUTSIDE = "outside the episodes"


def account(
    recording: Recording, result: Alignment, stretches: list[tuple[int, int, Stretch | None]]
) -> None:
    """Fill `used` and `fates`: every message of every track exactly once."""
    taken: dict[str, list[NDArray[np.int64]]] = {}
    for episode in result.episodes:
        for name, index in episode.frames.items():
            taken.setdefault(name, []).append(index)
    names = list(recording.cameras)
    for position, (name, track) in enumerate(recording.cameras.items()):
        mask = _mask(len(track), taken.get(name, []))
        reasons = _frame_reasons(track, stretches, position == 0)
        _note(result, track, mask, reasons)
    if recording.command is not None:
        track = recording.command
        mask = _mask(len(track), [e.command for e in result.episodes])
        inside = _inside(track.stamps_ns, result.episodes)
        _note(result, track, mask, np.where(inside, REPLACED, OUTSIDE))
    for track in (*recording.rewards, *recording.costs):
        inside = _inside(track.stamps_ns, result.episodes, outcomes=True)
        _note(result, track, inside, np.full(len(track), OUTSIDE, object))
    if recording.odometry is not None:
        track = recording.odometry
        is_clock = not names
        mask = (
            _mask(len(track), taken.get("clock", []))
            if is_clock
            else _inside(track.stamps_ns, result.episodes)
        )
        reasons = _frame_reasons(track, stretches, True) if is_clock else np.full(len(track), OUTSIDE, object)
        _note(result, track, mask, reasons)
    if recording.marks is not None:
        _note(result, recording.marks, np.ones(len(recording.marks), np.bool_), np.full(0, "", object))
    for track in recording.unmapped:
        _note(result, track, np.zeros(len(track), np.bool_), np.full(len(track), "not mapped", object))


def _note(result: Alignment, track: Track, used: NDArray[np.bool_], reasons: NDArray[np.object_]) -> None:
    result.used[id(track)] = int(used.sum())
    rest = [str(r) for r in reasons[~used]] if not used.all() else []
    result.fates[id(track)] = Counter(rest)


def _mask(count: int, indices: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    mask = np.zeros(count, np.bool_)
    for index in indices:
        mask[index] = True
    return mask


def _inside(stamps: Stamps, episodes: list[Aligned], outcomes: bool = False) -> NDArray[np.bool_]:
    """(n,) whether each time is within an episode; of `outcomes` up to the mark that ended it."""
    if not episodes:
        return np.zeros(len(stamps), np.bool_)
    order = sorted(episodes, key=lambda e: int(e.edges_ns[0]))
    begins = np.array([e.edges_ns[0] for e in order])
    ends = np.array([(e.outcome_edges_ns if outcomes else e.edges_ns)[-1] for e in order])
    at = np.searchsorted(begins, stamps, "right") - 1
    return np.asarray((at >= 0) & (stamps < ends[at]))


def _frame_reasons(
    track: Track, stretches: list[tuple[int, int, Stretch | None]], is_clock: bool
) -> NDArray[np.object_]:
    """(n,) why each frame would be in no step."""
    reasons = np.full(len(track), ALONE if is_clock else OUTSIDE, object)
    for first, stop, stretch in stretches:
        if stretch is None:
            continue
        part = slice(first, stop)
        if not is_clock:
            low = np.searchsorted(track.stamps_ns, stretch.ticks_ns[0], "left")
            part = slice(int(low), int(np.searchsorted(track.stamps_ns, stretch.ticks_ns[-1], "right")))
        # The tick that would have taken the frame, and the steps on both sides of it.
        tick = np.searchsorted(stretch.ticks_ns, track.stamps_ns[part], "left")
        steps = len(stretch.why)
        after = stretch.why[np.minimum(tick, steps - 1)]
        before = stretch.why[np.clip(tick - 1, 0, steps - 1)]
        reasons[part] = np.where(after == "", SURPLUS, after)
        free = (after != "") & (before == "")
        reasons[part] = np.where(free, SURPLUS, reasons[part])
    return reasons
