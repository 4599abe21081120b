"""From what the probe of a replay noted to the report's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import safe_o2o_ros
from safe_o2o_ros.data.driven import Driven
from safe_o2o_ros.data.tracks import Recording
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.report.replay_numbers import (
    age_numbers,
    course,
    deadline_numbers,
    driver_numbers,
    filter_numbers,
    frame_numbers,
)
from safe_o2o_ros.report.replay_page import write_replay


def conclude(
    out: Path,
    found: Mapping[str, Any],
    driven: Driven,
    recording: Recording,
    manifest: Manifest,
    *,
    name: str,
    topics: Mapping[str, str],
    converted: Mapping[str, Any] | None,
    pictures: NDArray[np.uint8],
    picture_ns: NDArray[np.int64],
) -> Path:
    """Write the report; returns its page. Raises StoreError.

    `found`: of nodes/replay_probe.py. `pictures`: (k, h, w, 3) uint8 RGB taken at `picture_ns` (k,).
    """
    adapter, cameras = manifest.adapter, manifest.image.cameras
    what = course(found, driven, adapter)
    frames = frame_numbers(found, cameras[0], recording.cameras[cameras[0]].received)
    saw = "recorded" if len(driven.command_ns) else "policy"
    seconds = float(driven.frames_ns[-1] - driven.frames_ns[0]) * 1e-9
    record: dict[str, Any] = {
        "title": f"Replay of {Path(name).name or name}",
        "subtitle": (
            f"{seconds:.0f} s through the graph at recorded times · bundle {manifest.version} · robot "
            f"{adapter.name} · filter in shadow, nothing was driven"
        ),
        "version": safe_o2o_ros.__version__,
        "recording": name,
        "topics": {**topics, "command": None if recording.command is None else recording.command.name},
        "bundle": manifest.version,
        "task": manifest.task,
        "robot": adapter.name,
        "mode": "shadow",
        "encoder_saw": saw,
        "period_ms": round(1000.0 * manifest.period_s, 3),
        "seconds": seconds,
        "channels": {
            channel: {"unit": unit}
            for channel, unit in zip(adapter.action_names, adapter.action_units, strict=True)
        },
        "frames": frames,
        "played": {
            camera: int(found["diagnostics"].get(f"camera_node: {camera}", {}).get("frames", 0))
            for camera in cameras
        },
        "driver": driver_numbers(what, adapter),
        "filter": filter_numbers(what),
        "age_ms": age_numbers(what),
        "deadlines": deadline_numbers(found, int(driven.frames_ns[-1])),
        "recorded_cost": float(driven.cost.sum()),
        "clipped_commands": recording.clipped,
        "converted": converted,
    }
    record["notes"] = _notes(record, recording)
    arrays: dict[str, Any] = {key: np.asarray(value) for key, value in vars(what).items()}
    np.savez(out / "frames.npz", **arrays)
    shown = np.array([(int(ns) - int(driven.frames_ns[0])) * 1e-9 for ns in picture_ns], np.float64)
    return write_replay(out, record, what, pictures, shown)


def _notes(record: Mapping[str, Any], recording: Recording) -> list[str]:
    """Sentences the reader should know."""
    notes = [
        "The world model heard the recorded commands, as a robot that was driven so."
        if record["encoder_saw"] == "recorded"
        else "The recording has no commands: the world model was told that the policy's own were driven."
    ]
    converted = record["converted"]
    if converted is not None:
        episodes = converted["episodes"]
        notes.append(
            f"It is no bag and was converted as an import does: {converted['used']} of {converted['frames']} "
            f"frames, in {episodes} episode{'s' if episodes != 1 else ''} with a period of "
            f"{converted['period_ms']:g} ms."
        )
    if record["frames"]["begun_anew"]:
        count = record["frames"]["begun_anew"]
        notes.append(
            f"The nodes began anew {count} time{'s' if count != 1 else ''}, where the recording "
            "begins another episode or a gap of more than 10 s is cut."
        )
    if record["clipped_commands"]:
        notes.append(
            f"{record['clipped_commands']} recorded commands are beyond what the bundle's robot does and "
            "were clipped."
        )
    return [*notes, *recording.notes]
