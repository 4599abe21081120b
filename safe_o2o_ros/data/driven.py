"""What was driven in a recording, to be asked for by the time of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.recorded_episodes import amounts
from safe_o2o_ros.data.tracks import MARKS, Recording, Stamps
from safe_o2o_ros.errors import RecordingError

_NS = 1_000_000_000
_HOLD_NS = _NS // 2
"""An older command is not in force, as on a base that stops by itself (`safe-o2o import`)."""
_CUT_NS = 10 * _NS
"""A gap that playback cuts (perception/playback.py)."""


@dataclass(frozen=True)
class Driven:
    """Frames and commands of a recording. All times are recorded ones, ns."""

    frames_ns: Stamps
    """(n,) growing, of the first camera."""
    cost: NDArray[np.float32]
    """(n,) recorded cost from each frame to the next."""
    command_ns: Stamps
    """(m,) not decreasing; m = 0: the recording has no commands."""
    actions: NDArray[np.float32]
    """(m, A) raw actions."""
    begins_ns: Stamps
    """(k,) frames at which another episode begins, or behind a gap that is cut; never the first frame."""
    period_ns: int
    """Control period of whoever drives now."""

    def at(self, stamp_ns: int) -> NDArray[np.float32] | None:
        """(A,) the command of the period that begins with this frame: the newest before the next frame.

        As in an import, one that is older than 0.5 s when the period begins is not in force. None: no such.
        """
        after = int(np.searchsorted(self.frames_ns, stamp_ns + self.period_ns // 2, "right"))
        known = after < len(self.frames_ns)
        # Where the camera pauses, the period is over before the next frame.
        end_ns = stamp_ns + self.period_ns * 3 // 2
        end_ns = min(int(self.frames_ns[after]), end_ns) if known else end_ns
        index = int(np.searchsorted(self.command_ns, end_ns, "left")) - 1
        if index < 0 or stamp_ns - int(self.command_ns[index]) > _HOLD_NS:
            return None
        return np.asarray(self.actions[index], np.float32)

    def save(self, path: Path) -> None:
        """Write an .npz file."""
        np.savez(
            path,
            frames_ns=self.frames_ns,
            cost=self.cost,
            command_ns=self.command_ns,
            actions=self.actions,
            begins_ns=self.begins_ns,
            period_ns=self.period_ns,
        )

    @classmethod
    def load(cls, path: Path) -> Driven:
        """Inverse of `save`. Raises RecordingError."""
        try:
            with np.load(path) as file:
                found: dict[str, Any] = dict(file)
            return cls(**{**found, "period_ns": int(found["period_ns"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RecordingError(f"{path} does not say what was driven: start the replay again") from error


def driven(recording: Recording, camera: str, action_dim: int, period_s: float) -> Driven:
    """Of a recording that was read. Raises RecordingError where the camera gave no frame."""
    frames = recording.cameras[camera].stamps_ns
    if not len(frames):
        raise RecordingError(
            f"{recording.source} has no picture of camera {camera} that can be read: give another recording"
        )
    period_ns = round(period_s * _NS)
    command = recording.command
    edges = np.append(frames, frames[-1] + period_ns)
    return Driven(
        frames_ns=frames,
        cost=amounts(recording.costs, edges),
        command_ns=np.zeros(0, np.int64) if command is None else command.stamps_ns,
        actions=np.zeros((0, action_dim), np.float32)
        if command is None
        else np.asarray(command.values, np.float32).reshape(-1, action_dim),
        begins_ns=_begins(recording, frames),
        period_ns=period_ns,
    )


def _begins(recording: Recording, frames: Stamps) -> Stamps:
    first = set((np.flatnonzero(np.diff(frames) > _CUT_NS) + 1).tolist())
    marks = recording.marks
    if marks is not None:
        starts = marks.stamps_ns[marks.values == MARKS.index("start")]
        first |= set(np.searchsorted(frames, starts, "left").tolist())
    return frames[sorted(index for index in first if 0 < index < len(frames))]
