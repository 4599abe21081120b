"""Recorded streams of unequal rates to control periods: which frame, which command, which cost.

A grid of the control period lies over every stretch of the clock (the first camera) without a gap. A tick
takes the newest frame at or before it. Step k lasts from the stamp of its frame to that of the next: its
action is the last command in force in that time, its reward and cost what came in it. So a message belongs
to one step at most, and every message that belongs to none is counted under the reason why.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.account import account
from safe_o2o_ros.data.aligned import Aligned, Alignment, Settings, Stretch
from safe_o2o_ros.data.tracks import ENDINGS, MARKS, Recording, Stamps, Track

PHASES = (0.0, 0.25, 0.5, 0.75)
"""Where a grid may begin after its first frame, in periods: what repeats the fewest frames is taken."""
_NO_COMMAND = "no command in force"
_SHORT = "episode too short"
_BETWEEN = "between episodes"
_SHIFTED = "shifted by the delay"


def align(recording: Recording, settings: Settings) -> Alignment:
    """The episodes of a recording. Without cameras its odometry, or its commands, are the clock."""
    result = Alignment([], {}, {})
    clock = recording.clock
    if clock is None or not len(clock):
        account(recording, result, [])
        return result
    stretches = []
    spans, result.gaps = _split(clock.stamps_ns, settings.max_gap_ns, recording.breaks_ns)
    for first, stop in spans:
        since = int(np.iinfo(np.int64).min)
        if first:
            # A command from just after the last frame before a gap was the answer to that one.
            since = max(int(clock.stamps_ns[first - 1]), int(clock.stamps_ns[first]) - settings.period_ns)
        stretch = _lay(recording, clock, first, stop, since, settings)
        stretches.append((first, stop, stretch))
        if stretch is not None:
            result.episodes += _episodes(stretch, recording.marks, settings)
    for episode in result.episodes:
        frames = next(iter(episode.frames.values()))
        result.repeated += int((frames[1:] == frames[:-1]).sum())
    account(recording, result, stretches)
    return result


def _split(
    stamps: Stamps, max_gap_ns: int, breaks: Stamps
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """[first, stop) of the stretches without gap or break, and (stamp, length) of the gaps."""
    apart = np.diff(stamps)
    broken = np.searchsorted(breaks, stamps[1:], "right") > np.searchsorted(breaks, stamps[:-1], "right")
    cuts = np.flatnonzero((apart > max_gap_ns) | broken) + 1
    borders = [0, *cuts.tolist(), len(stamps)]
    gaps = [(int(stamps[c - 1]), int(apart[c - 1])) for c in cuts]
    return list(zip(borders[:-1], borders[1:], strict=True)), gaps


def _grid(stamps: Stamps, period_ns: int) -> tuple[Stamps, NDArray[np.int64]]:
    """Ticks over one stretch, and for each the index of the newest frame at or before it."""
    best: tuple[int, Stamps, NDArray[np.int64]] | None = None
    for phase in PHASES:
        first = int(stamps[0]) + int(phase * period_ns)
        count = max(0, -((first - int(stamps[-1])) // period_ns)) + 1
        ticks = first + period_ns * np.arange(count, dtype=np.int64)
        index = np.searchsorted(stamps, ticks, "right") - 1
        distinct = len(np.unique(index))
        if best is None or distinct > best[0]:
            best = (distinct, ticks, index)
    assert best is not None
    # A tick behind the last frame would only repeat it.
    fresh = np.flatnonzero(np.diff(best[2])) + 1
    last = int(fresh[-1]) + 1 if len(fresh) else 1
    return best[1][:last], best[2][:last]


def _lay(
    recording: Recording, clock: Track, first: int, stop: int, since_ns: int, settings: Settings
) -> Stretch | None:
    """The steps of clock messages [first, stop); None with fewer than two ticks.

    `since_ns`: what is not newer is of the stretch before.
    """
    stamps = clock.stamps_ns[first:stop]
    ticks, index = _grid(stamps, settings.period_ns)
    if len(ticks) < 2:
        return None
    edges = _edges(stamps[index], settings.period_ns)
    frames = {name: _newest(track, ticks, since_ns) for name, track in recording.cameras.items()}
    frames[next(iter(frames), "clock")] = index + first
    steps = len(ticks) - 1
    why = np.full(steps, "", object)
    command = np.full(steps, -1, np.int64)
    if recording.command is not None and len(recording.command):
        command = _newest(recording.command, edges[1:] - 1, since_ns)
        # Gone by the time the step begins: the base had already stopped by itself.
        old = edges[:-1] - recording.command.stamps_ns[command] > settings.command_timeout_ns
        command[old] = -1
    why[command < 0] = _NO_COMMAND
    for name, track in list(recording.cameras.items())[1:]:
        at = frames[name]
        lost = (at < 0) | (ticks - track.stamps_ns[at] > settings.max_gap_ns)
        why[lost[:-1] | lost[1:]] = f"no frame of camera {name}"
    return Stretch(edges, frames, command, why, ticks)


def _edges(stamps: Stamps, period_ns: int) -> Stamps:
    """(T + 1,) beginnings of the steps: the frame's stamp, or a period later where a frame is repeated."""
    run = np.arange(len(stamps))
    fresh = np.r_[True, np.diff(stamps) > 0]
    since = run - np.maximum.accumulate(np.where(fresh, run, 0))
    return np.asarray(stamps + since * period_ns, np.int64)


def _newest(track: Track, at_ns: Stamps, since_ns: int) -> NDArray[np.int64]:
    """Index of the newest message at or before each time, -1 where the newest is from before `since_ns`."""
    if not len(track):
        return np.full(len(at_ns), -1, np.int64)
    index = np.searchsorted(track.stamps_ns, at_ns, "right") - 1
    index[(index < 0) | (track.stamps_ns[index] <= since_ns)] = -1
    return np.asarray(index, np.int64)


def _episodes(stretch: Stretch, marks: Track | None, settings: Settings) -> list[Aligned]:
    """The usable parts of a stretch; notes in its `why` what is left out."""
    found = []
    allowed = np.zeros(len(stretch.why), np.bool_)
    for low, high, strict, ending in _intervals(marks):
        begins, ends = stretch.edges_ns[:-1], stretch.edges_ns[1:]
        inside = (begins >= low) & ((ends < high) if strict else (ends <= high))
        allowed |= inside
        parts = [
            p
            for first, stop in _runs_of(inside & (stretch.why == ""))
            if (p := _cut(stretch, first, stop, settings)) is not None
        ]
        if parts and high - int(parts[-1].edges_ns[-1]) <= settings.max_gap_ns:
            # What was said at the moment of the mark belongs to the step that it ends.
            until = high + 1 if ending in ENDINGS and high > int(parts[-1].edges_ns[-1]) else 0
            parts[-1] = replace(parts[-1], ending=ending, until_ns=until)
        found += parts
    stretch.why[~allowed & (stretch.why == "")] = _BETWEEN
    return found


def _cut(stretch: Stretch, first: int, stop: int, settings: Settings) -> Aligned | None:
    """The episode of steps [first, stop); None, and noted why, where too little is left of it."""
    shift = min(settings.delay_steps, stop - first)
    command = stretch.command[first : stop - shift]
    stretch.why[first : first + shift] = _SHIFTED
    first += shift
    if stop - first < max(settings.min_steps, 1):
        stretch.why[first:stop] = _SHORT
        return None
    frames = {name: index[first : stop + 1] for name, index in stretch.frames.items()}
    return Aligned(stretch.edges_ns[first : stop + 1], frames, command, "gap")


def _intervals(marks: Track | None) -> list[tuple[int, int, bool, str]]:
    """(from, to, whether `to` itself is outside, ending) of the episodes that the marks tell of."""
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    if marks is None or not len(marks):
        return [(low, high, False, "gap")]
    found: list[tuple[int, int, bool, str]] = []
    since: int | None = low
    for stamp, number in zip(marks.stamps_ns.tolist(), marks.values.tolist(), strict=True):
        word = MARKS[number]
        if since is not None:
            found.append((since, stamp, word == "start", "gap" if word == "start" else word))
        since = stamp if word == "start" else None
    if since is not None:
        found.append((since, high, False, "gap"))
    return found


def _runs_of(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[first, stop) of the stretches where `mask` holds."""
    steps = np.diff(np.r_[0, mask.astype(np.int8), 0])
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
