"""Odometry that no command explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.tracks import Track

FACTOR = 3.0
"""Speed over the fastest command, all channels taken together, from which a measurement is an outlier. Late
messages alone make a wheel odometer catch up at about twice the speed, so 2 would name healthy ones."""
OUTLIER = "odometry outlier"


def drop_outliers(odometry: Track, fastest: NDArray[np.float64]) -> Track:
    """Odometry (n, A) without the messages that are not finite or FACTOR times faster than `fastest` (A,).

    Each is named in the track's notes with its time and speed.
    """
    finite = np.isfinite(odometry.values).all(axis=1)
    ratio = np.abs(np.where(np.isfinite(odometry.values), odometry.values, 0.0)) / np.maximum(fastest, 1e-6)
    times = np.sqrt((ratio**2).sum(axis=1))
    sound = finite & (times <= FACTOR)
    drops = odometry.drops.copy()
    drops["not finite"] += int((~finite).sum())
    drops[OUTLIER] += int((finite & ~sound).sum())
    notes = list(odometry.notes)
    for i in np.flatnonzero(finite & ~sound)[:20]:
        speeds = ", ".join(
            f"{name} {value:.2f}" for name, value in zip(odometry.columns, odometry.values[i], strict=True)
        )
        at_s = (int(odometry.stamps_ns[i]) - int(odometry.stamps_ns[0])) / 1e9
        notes.append(
            f"outlier at {at_s:.2f} s ({int(odometry.stamps_ns[i])} ns): {speeds}, "
            f"{times[i]:.1f} times the fastest command"
        )
    return Track(
        odometry.name,
        odometry.kind,
        odometry.role,
        odometry.stamps_ns[sound],
        odometry.values[sound],
        odometry.received,
        +drops,
        None if odometry.delay_ns is None else odometry.delay_ns[sound],
        odometry.clock,
        odometry.columns,
        notes,
    )
