"""The release gate as a child process: niced, with a time limit, and killed with its node."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from safe_o2o_ros.online.verdict import Verdict, verdict_from_json
from safe_o2o_ros.processes import python_environment

DEFAULT_COMMAND = (sys.executable, "-m", "safe_o2o_ros.online.gate_process")
_LAST_WORDS = 300
"""Characters of a dead gate's stderr that are told."""


class GateProcess:
    """One run of the gate: `poll` until a verdict comes. Whatever else happens to it is a refusal."""

    def __init__(
        self, command: Sequence[str], config: dict[str, str | None], folder: Path, nice: int, timeout_s: float
    ) -> None:
        """Start `command` FILE, FILE with `config`, in `folder`, which is made anew. Raises OSError."""
        self._timeout_s, self._started_s = timeout_s, time.monotonic()
        self._version = ""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._out, self._err = folder / "stdout", folder / "stderr"
        path = folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        environment = python_environment() | {"OMP_NUM_THREADS": "1"}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            # `nice` and not a hook between fork and exec: this process has threads.
            self._process = subprocess.Popen(
                ["nice", "-n", str(nice), *(command or DEFAULT_COMMAND), str(path)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
            )

    def poll(self) -> Verdict | None:
        """The verdict, once it is there."""
        code = self._process.poll()
        if code is None:
            if time.monotonic() - self._started_s <= self._timeout_s:
                return None
            self.kill()
            return _failure(f"the gate did not end within {self._timeout_s:g} s: give it more time")
        lines = [line for line in self._read(self._out).splitlines() if line.startswith("{")]
        if code == 0 and lines:
            try:
                return verdict_from_json(lines[-1])
            except ValueError as error:
                return _failure(f"the gate's answer cannot be read ({error}): start it by hand")
        said = self._read(self._err).strip().splitlines()
        words = f" ({said[-1][-_LAST_WORDS:]})" if said else ""
        return _failure(f"the gate ended with code {code} and without a verdict{words}")

    def kill(self) -> None:
        """End it, with everything it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self, path: Path) -> str:
        return path.read_text(encoding="utf-8", errors="replace")


def _failure(sentence: str) -> Verdict:
    return Verdict("", False, None, sentence)
