"""Rows of a table, each with a picture and what was commanded at that moment, to a `Recording`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.data.bag_recording import Progress
from safe_o2o_ros.data.stamps import judge
from safe_o2o_ros.data.tracks import CostTrack, Recording, Track
from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.perception.decode import decode_compressed
from safe_o2o_ros.perception.shaping import FrameShaper, Shape
from safe_o2o_ros.robot import RobotAdapter

_LATEST = (1 << 63) - 1
_BAD = "row not readable"
_MODE = "driven by an autopilot"
_MODES = ("user_mode", "user/mode")
_USUAL = {"linear.x": ("user_throttle", "user/throttle"), "angular.z": ("-user_angle", "-user/angle")}
"""Columns that carry a Twist field where nothing else is said; DonkeyCar's angle is positive to the right."""


@dataclass(frozen=True)
class Row:
    """One moment."""

    stamp_ns: int
    picture: Path
    fields: Mapping[str, object]
    """Column -> value as it was written."""
    run: str = ""
    """Session it belongs to."""


@dataclass(frozen=True)
class Columns:
    """What the columns mean."""

    command: Mapping[str, str]
    """Twist field -> column, with a minus before it where it counts the other way."""
    costs: tuple[str, ...] = ()
    reward: tuple[str, ...] = ()


def columns_of(given: Mapping[str, str], there: Sequence[str], adapter: RobotAdapter) -> dict[str, str]:
    """The column of each action channel: as given, else DonkeyCar's. Raises UsageError."""
    found = {}
    for name in adapter.action_names:
        usual = [c for c in _USUAL.get(name, ()) if c.removeprefix("-") in there]
        column = given.get(name) or (usual[0] if usual else None)
        if column is None or column.removeprefix("-") not in there:
            raise UsageError(
                f"no column holds {name}: name one with --column {name}=NAME (a minus before NAME turns its "
                f"sign), there are {', '.join(there)}"
            )
        found[name] = column
    for name in given:
        if name not in adapter.action_names:
            raise UsageError(f"--column {name}: the adapter has {', '.join(adapter.action_names)} only")
    return found


def from_rows(
    source: str,
    rows: Sequence[Row],
    columns: Columns,
    adapter: RobotAdapter,
    shape: Shape,
    dropped: Counter[str] | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Rows in any order. `dropped`: rows that were left out before, by reason; they count as received."""
    before = Counter(dropped or {})
    received = len(rows) + sum(before.values())
    values, sound = _commands(rows, columns.command, adapter)
    costs, sound_costs = _numbers(rows, columns.costs, positive=True)
    rewards, sound_rewards = _numbers(rows, columns.reward, positive=False)
    human = np.array(
        [all(str(r.fields[m]) == "user" for m in _MODES if m in r.fields) for r in rows], np.bool_
    )
    sound &= sound_costs & sound_rewards
    before[_BAD] += int((~sound).sum())
    before[_MODE] += int((sound & ~human).sum())
    kept = np.flatnonzero(sound & human)
    stamps_ns = [min(max(rows[i].stamp_ns, -1), _LATEST) for i in kept.tolist()]
    judged = judge(np.array(stamps_ns, np.int64), None, unique=True)
    kept = kept[judged.order]
    drops = +(before + judged.drops)
    stamps = judged.stamps_ns
    recording = Recording(source, {"front": _pictures(rows, kept, stamps, shape, received, drops, progress)})
    raw = np.array(
        [adapter.from_twist(dict(zip(columns.command, v, strict=True))) for v in values[kept].tolist()]
    )
    raw = raw.reshape(len(kept), adapter.action_dim).astype(np.float32)
    back = [adapter.to_twist(a) for a in raw]
    meant = values[kept]
    recording.clipped = sum(
        any(abs(b[name] - m) > 1e-6 * max(1.0, abs(m)) for name, m in zip(columns.command, row, strict=True))
        for b, row in zip(back, meant.tolist(), strict=True)
    )
    name = ", ".join(c.removeprefix("-") for c in columns.command.values())
    recording.command = Track(
        name, "column", "command", stamps, raw, received, Counter(drops), columns=adapter.action_names
    )
    for role, names, table, tracks in (
        ("cost", columns.costs, costs, recording.costs),
        ("reward", columns.reward, rewards, recording.rewards),
    ):
        if names:
            part = table[kept]
            level = np.array(
                [role == "cost" and bool(np.isin(c, (0.0, 1.0)).all()) for c in part.T], np.bool_
            )
            tracks.append(
                CostTrack(
                    ", ".join(names),
                    "column",
                    role,
                    stamps,
                    part,
                    received,
                    Counter(drops),
                    columns=names,
                    level=level,
                )
            )
    _note_runs(recording, [rows[i].run for i in kept.tolist()], stamps)
    return recording


def _pictures(
    rows: Sequence[Row],
    kept: NDArray[np.int64],
    stamps: NDArray[np.int64],
    shape: Shape,
    received: int,
    drops: Counter[str],
    progress: Progress | None,
) -> Track:
    shaper = FrameShaper(shape)
    frames, good, own = [], [], Counter(drops)
    for done, i in enumerate(kept.tolist()):
        if progress is not None and done % 100 == 0:
            progress(done, len(kept))
        try:
            frames.append(shaper.apply(decode_compressed(rows[i].picture.read_bytes()), None)[0])
        except OSError:
            own["picture missing"] += 1
            continue
        except FrameError:
            own["broken image"] += 1
            continue
        good.append(done)
    values = np.stack(frames) if frames else np.zeros((0, 1, 1, 3), np.uint8)
    return Track("pictures", "file", "camera front", stamps[good], values, received, own)


def _commands(
    rows: Sequence[Row], command: Mapping[str, str], adapter: RobotAdapter
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, A) Twist fields, and which rows have them."""
    table, sound = _numbers(rows, tuple(c.removeprefix("-") for c in command.values()), positive=False)
    signs = np.array([-1.0 if c.startswith("-") else 1.0 for c in command.values()])
    # Adding 0 makes -0.0 a plain zero.
    return table * signs + 0.0, sound


def _numbers(
    rows: Sequence[Row], names: Sequence[str], positive: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, columns) numbers, NaN where there is none, and (n,) whether all of a row's are usable."""
    table = np.full((len(rows), len(names)), np.nan)
    for i, row in enumerate(rows):
        for j, name in enumerate(names):
            table[i, j] = _number(row.fields.get(name))
    sound = np.isfinite(table).all(axis=1)
    if positive:
        sound &= ~(table < 0.0).any(axis=1)
    return table, sound


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _note_runs(recording: Recording, names: Sequence[str], stamps: NDArray[np.int64]) -> None:
    """Sessions, and breaks between them."""
    firsts = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
    if any(names):
        recording.runs = [(int(stamps[i]), names[i]) for i in firsts]
    recording.breaks_ns = np.array([stamps[i] for i in firsts[1:]], np.int64)
