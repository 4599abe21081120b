"""What the release node leaves on disk: gated bundles, the log of verdicts, evidence."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safe_o2o_ros.atomic import replace_file
from safe_o2o_ros.errors import BundleError, StoreError
from safe_o2o_ros.online.release import Said, said_to_json


class ReleaseFiles:
    """One folder: `gate/` (scratch), `bundles/`, `received/`, `evidence/`, `verdicts.jsonl`."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Make the folder. `keep`: gated bundles that stay. Raises StoreError."""
        self._folder, self._keep = folder, keep
        self._log = folder / "verdicts.jsonl"
        try:
            for name in ("bundles", "received", "evidence"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            with self._log.open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise StoreError(
                f"the folder of releases {folder} cannot be written ({error.strerror}): set the parameter "
                "'directory' of release_node to another"
            ) from error

    @property
    def gate(self) -> Path:
        """Scratch folder of the gate."""
        return self._folder / "gate"

    @property
    def received(self) -> Path:
        """Bundles from another host."""
        return self._folder / "received"

    def new_bundle(self, version: str) -> Path:
        """A path for a bundle that does not exist yet; they sort by age."""
        plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in version)
        return self._folder / "bundles" / f"{time.time_ns():020d}-{plain[:60]}"

    def past(self) -> list[dict[str, Any]]:
        """Everything that was said before. A line that a crash cut short is left out."""
        found = []
        for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                found.append(said)
        return found

    def line(self, said: Said) -> str:
        """What was said, with the time."""
        return said_to_json(said, time.strftime("%Y-%m-%dT%H:%M:%S%z"))

    def write(self, said: Said) -> str:
        """Append to the log, on disk when this returns; returns the line. Raises OSError."""
        line = self.line(said)
        with self._log.open("a", encoding="utf-8") as stream:
            if stream.tell() and not self._ends_a_line():
                stream.write("\n")
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return line

    def evidence(self, version: str, content: dict[str, Any]) -> str:
        """Keep what a roll back rests on; returns the file. Raises OSError."""
        path = self._folder / "evidence" / f"{self.new_bundle(version).name}.json"
        replace_file(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
        return str(path)

    def clean(self, used: Iterable[str]) -> None:
        """Delete the oldest bundles beyond those that stay, and none of `used`."""
        kept = {Path(path) for path in used}
        gated = sorted(p for p in (self._folder / "bundles").iterdir() if p.is_dir())
        received = [p for p in self.received.iterdir() if p.is_dir() and not p.name.startswith(".")]
        for bundles in (gated, sorted(received, key=lambda p: p.stat().st_mtime_ns)):
            for path in bundles[: max(0, len(bundles) - self._keep)]:
                if path not in kept:
                    shutil.rmtree(path, ignore_errors=True)

    def _ends_a_line(self) -> bool:
        with self._log.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"


UNUSABLE = (OSError, BundleError)
"""What handling a candidate's files may raise."""
