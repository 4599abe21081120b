"""A folder of pictures with a CSV file: one row for each picture."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from safe_o2o_ros.data.rows import Row
from safe_o2o_ros.errors import RecordingError

_PICTURE = ("image", "picture", "file", "filename")
_STAMP = {
    "timestamp_ms": 1_000_000,
    "timestamp_ns": 1,
    "timestamp_s": 1_000_000_000,
    "timestamp": 1_000_000_000,
}
"""Columns of times -> nanoseconds in their unit."""
_RUN = ("session_id", "run")


def csv_of(path: Path) -> Path | None:
    """The CSV file of a folder (or the file itself); None where there is none."""
    if path.suffix == ".csv" and path.is_file():
        return path
    if not path.is_dir():
        return None
    found = sorted(path.glob("*.csv"))
    named = [f for f in found if f.name == "records.csv"]
    return next(iter(named or found), None)


def read_csv(path: Path) -> tuple[list[Row], list[str], Counter[str]]:
    """Rows, names of the columns, and rows that were left out by reason. Raises RecordingError.

    Pictures are looked for beside the file and in its folder `images`.
    """
    dropped: Counter[str] = Counter()
    rows = []
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            # A picture's bytes in a field are no reason to read for ever.
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            picture = next((c for c in _PICTURE if c in columns), None)
            stamp = next((c for c in _STAMP if c in columns), None)
            if picture is None or stamp is None:
                raise RecordingError(
                    f"{path} needs a column of pictures ({', '.join(_PICTURE)}) and one of times "
                    f"({', '.join(_STAMP)}); it has {', '.join(columns) or 'none'}"
                )
            run = next((c for c in _RUN if c in columns), None)
            for fields in reader:
                time = _time_ns(fields.get(stamp), _STAMP[stamp])
                name = fields.get(picture)
                if time is None or not name:
                    dropped["row not readable"] += 1
                    continue
                rows.append(
                    Row(time, _find(path.parent, name), fields, (fields.get(run) or "") if run else "")
                )
    except OSError as error:
        raise RecordingError(f"{path} cannot be read ({error.strerror}): check its path") from error
    except csv.Error as error:
        raise RecordingError(f"{path} is no CSV file ({error}): mend it") from error
    return rows, columns, dropped


def _find(folder: Path, name: str) -> Path:
    """Where a picture lies; never outside the folder."""
    plain = Path(name).name
    inside = folder / "images" / plain
    return inside if inside.exists() else folder / plain


def _time_ns(text: str | None, unit: int) -> int | None:
    """Whole numbers keep every digit."""
    if text is None:
        return None
    try:
        return int(text) * unit
    except ValueError:
        pass
    try:
        return round(float(text) * unit)
    except (ValueError, OverflowError):
        return None
