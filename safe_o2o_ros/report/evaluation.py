"""The report of `safe-o2o evaluate`: what was compared, in one folder with plots, videos and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import StoreError, UsageError
from safe_o2o_ros.report.log import EpisodeLog

_PAGE, _RESULT, _EPISODES = "index.html", "evaluation.json", "episodes.png"


@dataclass(frozen=True)
class Shown:
    """An episode that is shown."""

    log: EpisodeLog
    video: Path | None
    """In the report's folder."""


@dataclass(frozen=True)
class Compared:
    """One row of the comparison."""

    label: str
    record: dict[str, Any]
    shown: Mapping[str, Shown]
    """"best" and "worst", or "only"."""


def claim_folder(folder: Path) -> None:
    """Make the folder of a report, or clear an older report there.

    Raises UsageError where it holds anything else, StoreError where it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = list(folder.iterdir())
        if found and not (folder / _RESULT).is_file():
            raise UsageError(f"--report {folder} holds something else than a report: choose a new folder")
        # Parts of an older report must not stand beside new numbers.
        for path in (*folder.glob("row*.mp4"), *folder.glob("row*.png"), folder / _PAGE, folder / _EPISODES):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the report's folder {folder} cannot be made ({error.strerror}): choose another one"
        ) from error


def video_path(folder: Path, row: int, which: str) -> Path:
    """Where the video of a row's "best", "worst" or "only" episode goes; `row`: index."""
    return folder / f"row{row + 1}_{which}.mp4"


def write_evaluation(folder: Path, compared: Sequence[Compared], notes: Sequence[str]) -> Path:
    """Write everything but the videos, which are there; return the page. `notes`: sentences for the reader.

    Raises StoreError where it cannot write.
    """
    # Imported here: matplotlib takes a second, and nothing else needs it.
    from safe_o2o_ros.report.evaluation_page import evaluation_page
    from safe_o2o_ros.report.evaluation_plot import write_distribution
    from safe_o2o_ros.report.plot import write_plot
    from safe_o2o_ros.report.scene import scene_view

    records = [row.record for row in compared]
    try:
        # The numbers first: they are there even if a picture fails.
        (folder / _RESULT).write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
        write_distribution(folder / _EPISODES, [row.label for row in compared], records)
        plots = []
        for number, row in enumerate(compared):
            logs = [shown.log for shown in row.shown.values()]
            view = scene_view(row.record["task"], logs[0].nominal.shape[1], row.record["variant"])
            plots.append(f"row{number + 1}.png")
            names = [which.capitalize() for which in row.shown]
            write_plot(folder / plots[-1], f"{row.record['task']} · {row.label}", logs, view, names)
        page = folder / _PAGE
        page.write_text(evaluation_page(compared, notes, _EPISODES, plots, _RESULT), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"the report cannot be written to {folder} ({error.strerror}): "
            "choose another folder or free some space"
        ) from error
    return page
