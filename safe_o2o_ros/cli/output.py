"""What commands leave on disk beside reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import StoreError


def write_json(path: Path, content: dict[str, Any] | list[dict[str, Any]], what: str) -> None:
    """Write `content`, called `what` in the message of the StoreError raised where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"the {what} cannot be written to {path}: {error.strerror}") from error
