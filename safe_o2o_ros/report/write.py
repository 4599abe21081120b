"""A folder that shows what happened in a run: numbers, a plot, a video, a page, the logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import MissingExtraError, StoreError, UsageError
from safe_o2o_ros.report.log import EpisodeLog


@dataclass(frozen=True)
class ReportPaths:
    """Where the parts of a report are."""

    folder: Path
    page: Path
    result: Path
    plot: Path
    video: Path | None
    """None where no video was made; `notes` says why if one was asked for."""
    episodes: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """Sentences for the user, such as how to get what is missing."""


def write_report(
    out_dir: Path, record: dict[str, Any], episodes: list[EpisodeLog], video: bool = True
) -> ReportPaths:
    """Write the report of a run into `out_dir`, which is made if needed; older parts there are replaced.

    `record`: see record.py. A video needs pictures in the logs and ffmpeg; without them the report is
    written without it and says so. Raises UsageError without episodes, StoreError where it cannot write.
    """
    if not episodes or any(len(log.reward) == 0 for log in episodes):
        raise UsageError("a report needs at least one episode with at least one control period: drive again")
    try:
        return _write(out_dir, record, episodes, video)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {out_dir} ({error.strerror}): "
            "choose another folder or free some space"
        ) from error


def _write(out_dir: Path, record: dict[str, Any], episodes: list[EpisodeLog], video: bool) -> ReportPaths:
    # Imported here: matplotlib and OpenCV take a second, and nothing else needs them.
    from safe_o2o_ros.report.page import page
    from safe_o2o_ros.report.plot import write_plot
    from safe_o2o_ros.report.scene import scene_view

    logs_dir = out_dir / "episodes"
    logs_dir.mkdir(parents=True, exist_ok=True)
    # The numbers first: they are there even if a picture fails.
    result = out_dir / "result.json"
    result.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    logs = []
    for index, log in enumerate(episodes):
        logs.append(logs_dir / f"episode_{index:04d}.npz")
        # The numbers; the pictures are in the video, and would take 50 MB an episode.
        replace(log, images={}, top=None).save(logs[-1])
    name = _name(record)
    title = f"{name} · filter {record['filter']}"
    view = scene_view(record["task"], episodes[0].nominal.shape[1], record["variant"])
    plot = out_dir / "plot.png"
    write_plot(plot, title, episodes, view)
    film, notes = None, []
    if video:
        try:
            film = _write_video(out_dir / "video.mp4", name, episodes, view)
        except MissingExtraError as error:
            notes.append(str(error))
    index_page = out_dir / "index.html"
    index_page.write_text(
        page(record, title, notes, plot.name, film.name if film else None), encoding="utf-8"
    )
    return ReportPaths(out_dir, index_page, result, plot, film, tuple(logs), tuple(notes))


def _write_video(path: Path, name: str, episodes: Sequence[EpisodeLog], view: Any) -> Path:
    path.unlink(missing_ok=True)  # an older run's video must not stand beside new numbers
    if not any(log.images or log.top is not None for log in episodes):
        raise MissingExtraError(
            "no video was made since the episodes were recorded without pictures: "
            "drive again without --no-video, or with top_size above 0"
        )
    from safe_o2o_ros.report.video import write_video

    write_video(path, name, episodes, view)
    return path


def _name(record: dict[str, Any]) -> str:
    """Task, variant and driver."""
    driver = f"bundle {record['bundle']}" if record["bundle"] else str(record.get("policy", ""))
    return " · ".join(part for part in (record["task"], record["variant"] or "", driver) if part)
