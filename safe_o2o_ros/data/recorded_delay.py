"""The actuation delay of a recording: against the picture's motion, else against odometry."""

from __future__ import annotations

import numpy as np

from safe_o2o_ros.data.aligned import NS, Alignment
from safe_o2o_ros.data.delay import Delay, best, estimate
from safe_o2o_ros.data.flow import sideways_flow
from safe_o2o_ros.data.tracks import Recording

_MOST_STEPS = 6000
"""Steps that are looked at: five minutes at 20 Hz tell the delay, and optical flow takes time."""
_FINEST_S = 0.02
"""Grid for odometry."""


def actuation_delay(recording: Recording, alignment: Alignment, period_ns: int) -> Delay | None:
    """None without commands or anything measured, or where the two have nothing to do with each other."""
    if recording.command is None or not len(recording.command):
        return None
    if recording.cameras:
        return _by_flow(recording, alignment, period_ns)
    return _by_odometry(recording, alignment)


def _by_flow(recording: Recording, alignment: Alignment, period_ns: int) -> Delay | None:
    """Of the turning channels, since only turning moves the whole picture sideways."""
    assert recording.command is not None
    camera, frames = next(iter(recording.cameras.items()))
    turning = [
        (i, name)
        for i, name in enumerate(recording.command.columns)
        if name in ("angular.z", "linear.y") or len(recording.command.columns) == 1
    ]
    runs, left = [], _MOST_STEPS
    for episode in sorted(alignment.episodes, key=len, reverse=True):
        steps = min(len(episode), left)
        if steps < 2:
            break
        left -= steps
        index = episode.frames[camera][: steps + 1]
        flow = sideways_flow(frames.values[index])
        # A repeated frame shows no motion, and the next one that of two periods: neither is a measurement.
        still = index[1:] == index[:-1]
        flow[still] = np.nan
        commands = recording.command.values[episode.command[:steps]].astype(np.float64)
        runs.append((commands, _filled(flow)))
    period_s = period_ns / NS
    return best(
        [
            estimate(
                [(c[:, i], f) for c, f in runs], period_s, name, f"optical flow of {camera}", 0.5 * period_s
            )
            for i, name in turning
        ]
    )


def _by_odometry(recording: Recording, alignment: Alignment) -> Delay | None:
    """Commands and speeds are each put on a fine grid: the newest value holds."""
    command, odometry = recording.command, recording.odometry
    assert command is not None
    if odometry is None or len(odometry) < 2:
        return None
    grid_ns = int(_FINEST_S * NS)
    runs = []
    for episode in alignment.episodes:
        at = np.arange(int(episode.edges_ns[0]), int(episode.edges_ns[-1]), grid_ns)
        said = np.searchsorted(command.stamps_ns, at, "right") - 1
        seen = np.searchsorted(odometry.stamps_ns, at, "right") - 1
        good = (said >= 0) & (seen >= 0)
        runs.append(
            (
                command.values[said[good]].astype(np.float64),
                odometry.values[seen[good]],
            )
        )
    spacing_s = float(np.median(np.diff(odometry.stamps_ns))) / NS
    # A speed measured over one spacing is that of its middle.
    return best(
        [
            estimate([(c[:, i], v[:, i]) for c, v in runs], _FINEST_S, name, "odometry", -0.5 * spacing_s)
            for i, name in enumerate(command.columns)
        ]
    )


def _filled(values: np.ndarray) -> np.ndarray:
    """NaN replaced by a straight line between what is known."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return np.zeros_like(values)
    return np.asarray(np.interp(np.arange(len(values)), known, values[known]))
