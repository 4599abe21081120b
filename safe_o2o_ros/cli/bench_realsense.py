"""`safe-o2o bench realsense`: does everything of a recorded device file arrive, in order, with its stamps?"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.perception.capture import Shot
from safe_o2o_ros.perception.playback import PACES, RECORDED, Playback, PlaybackClock
from safe_o2o_ros.perception.realsense import RealSenseFile
from safe_o2o_ros.perception.software_camera import FPS, SoftwareCamera, numbered

WIDTH, HEIGHT = 640, 480
_LONGEST_S = 20.0
"""Longest wait for a picture."""


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Record `args.seconds` of a software device, play the file at both paces. Raises MissingExtraError."""
    with tempfile.TemporaryDirectory(prefix="safe-o2o-realsense-") as folder:
        path, count = Path(folder) / "drive.db3", round(FPS * args.seconds)
        sent = SoftwareCamera(WIDTH, HEIGHT).record(path, count, numbered(WIDTH, HEIGHT))
        megabytes = path.stat().st_size / 1e6
        return {
            "width": WIDTH,
            "height": HEIGHT,
            "sent": count,
            "recorded_s": count / FPS,
            "file_mb": round(megabytes, 2),
            **{pace: _judge(sent, *_played(partial(RealSenseFile, path), pace)) for pace in PACES},
        }


def _played(open_reader: Callable[[], RealSenseFile], pace: str) -> tuple[list[Shot], float]:
    """All pictures, and how long it took from the first to the last, seconds."""
    news = threading.Event()
    playback = Playback(open_reader, PlaybackClock(time.time_ns), news.set, pace=pace, stamps=RECORDED)
    shots: list[Shot] = []
    times: list[float] = []
    playback.start()
    playback.begin()
    since_s = time.monotonic()
    while True:
        over = playback.state in ("ended", "disconnected")
        shot = playback.take()
        if shot is not None:
            shots.append(shot)
            times.append(time.monotonic())
        elif over:
            break
        elif not news.wait(0.05) and time.monotonic() - (times or [since_s])[-1] > _LONGEST_S:
            raise FrameError(f"no picture came for {_LONGEST_S:g} s ({playback.problem}): run it again")
        news.clear()
    playback.stop()
    return shots, (times[-1] - times[0]) if times else 0.0


def _judge(sent: list[int], shots: list[Shot], took_s: float) -> dict[str, Any]:
    numbers = [int(s.image[0, 0, 0]) + 256 * int(s.image[0, 0, 1]) for s in shots]
    apart = [abs(s.stamp_ns - sent[n]) for n, s in zip(numbers, shots, strict=True)]
    return {
        "arrived": len(shots),
        "lost": len(set(range(len(sent))) - set(numbers)),
        "in_order": bool(np.all(np.diff(numbers) == 1)),
        "largest_stamp_error_us": max(apart, default=0) / 1e3,
        "took_s": round(took_s, 3),
        "frames_per_s": round((len(shots) - 1) / took_s, 1) if took_s else None,
    }


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    size = f"{result['width']}x{result['height']}"
    title = f"{result['sent']} pictures of {size}, {result['recorded_s']:g} s, {result['file_mb']:g} MB"
    table = Table(title=title)
    for column in ("pace", "arrived", "lost", "in order", "stamp error, us", "took, s", "frames/s"):
        table.add_column(column, justify="left" if column == "pace" else "right")
    for pace in PACES:
        row = result[pace]
        table.add_row(
            pace,
            str(row["arrived"]),
            str(row["lost"]),
            "yes" if row["in_order"] else "NO",
            f"{row['largest_stamp_error_us']:.2f}",
            f"{row['took_s']:.2f}",
            f"{row['frames_per_s']}",
        )
    Console().print(table)
