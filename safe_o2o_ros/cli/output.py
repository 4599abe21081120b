"""What commands leave on disk beside reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import StoreError


def report_folder(asked: Path | None, name: str, stale: Sequence[str] = ()) -> Path:
    """Make the folder of a run: `asked`, without the files `stale`, or the next free runs/NAME-N.

    Raises StoreError.
    """
    try:
        if asked is not None:
            asked.mkdir(parents=True, exist_ok=True)
            for file in stale:
                (asked / file).unlink(missing_ok=True)
            return asked
        number = 1
        while True:
            out = Path("runs", f"{name}-{number}")
            try:
                out.mkdir(parents=True)
                return out
            except FileExistsError:
                number += 1
    except OSError as error:
        raise StoreError(
            f"the report's folder cannot be made ({error}): give another one with --out"
        ) from error


def write_json(path: Path, content: dict[str, Any] | list[dict[str, Any]], what: str) -> None:
    """Write `content`, called `what` in the message of the StoreError raised where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the {what} cannot be written to {path}: {error.strerror}") from error
