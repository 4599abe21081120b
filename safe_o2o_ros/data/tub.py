"""A DonkeyCar tub, version 2: manifest.json, catalog_*.catalog (a JSON object a line), images/."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from safe_o2o_ros.data.rows import Row
from safe_o2o_ros.errors import RecordingError

DELETED = "deleted"
"""Column that is 1 in rows which the driver threw away, where they are kept."""
_PICTURE = "cam/image_array"
_MS = 1_000_000


def is_tub(path: Path) -> bool:
    """Whether a folder looks like one."""
    return path.is_dir() and (path / "manifest.json").is_file() and any(path.glob("*.catalog"))


def read_tub(path: Path, keep_deleted: bool) -> tuple[list[Row], list[str], Counter[str]]:
    """Rows, names of their columns, and rows left out by reason. Raises RecordingError.

    `keep_deleted`: rows that the driver threw away stay, with the column DELETED.
    """
    catalogs, deleted = _manifest(path / "manifest.json")
    missing = [name for name in catalogs if not (path / name).is_file()]
    if missing:
        raise RecordingError(f"{path} lacks {missing[0]}, which its manifest names: copy the whole tub")
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    columns: dict[str, None] = {}
    for name in catalogs:
        try:
            lines = (path / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise RecordingError(
                f"{path / name} cannot be read ({error.strerror}): check its disk"
            ) from error
        for line in lines:
            row = _row(path, line, deleted)
            if row is None:
                dropped["row not readable"] += 1
            elif row.fields[DELETED] and not keep_deleted:
                dropped["deleted by the driver"] += 1
            else:
                rows.append(row)
                columns |= dict.fromkeys(row.fields)
    return rows, list(columns), dropped


def _row(path: Path, line: str, deleted: set[int]) -> Row | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        number, stamp, picture = int(fields["_index"]), int(fields["_timestamp_ms"]), str(fields[_PICTURE])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    fields[DELETED] = int(number in deleted)
    return Row(stamp * _MS, path / "images" / Path(picture).name, fields, str(fields.get("_session_id", "")))


def _manifest(path: Path) -> tuple[list[str], set[int]]:
    """Names of the catalogs and indices of the deleted rows; both stand in the fifth line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        last = json.loads(lines[4])
        return [Path(str(p)).name for p in last["paths"]], {int(i) for i in last.get("deleted_indexes", [])}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingError(f"{path} is not the manifest of a version 2 tub: check the path") from error
