"""The parent's side of the learner's process: starts it, listens to it, starts it again.

The learner is a process of its own, since training in the node's would make its callbacks late. It says one
JSON object a line on stdout (worker_events.py) and hears `pause`, `resume`, `package`, `stop` on stdin; the
end of stdin tells it that its parent is gone. It keeps its own checkpoints, so killing it loses little.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.online.worker_events import Candidate, Failed, Progress, Ready, Waiting, parse_event
from safe_o2o_ros.processes import python_environment

COMMAND = (sys.executable, "-m", "safe_o2o_ros.learning.online_worker")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_USER_ERROR = 2
"""Exit code of a process that was started wrongly: to start it again cannot help."""
_HOUR_S = 3600.0
_SETTLED_S = 60.0
"""A learner that has run so long was well: the next back-off is the shortest again."""


@dataclass(frozen=True)
class WorkerOptions:
    """What the learner is started with."""

    bundle: Path
    experience: Path
    """Store of experience."""
    work_dir: Path
    """Its checkpoints, candidates and this file's config."""
    offline: Path | None = None
    """Store of the offline data, None: without."""
    threads: int = 1
    nice: int = 10
    """Added to this process's niceness, 0 to 19."""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = COMMAND
    """Gets the path of the config as its last argument."""
    restarts_per_hour: int = 20
    backoff_s: float = 1.0
    """Before the first restart; doubles with each that follows soon, up to `longest_backoff_s`."""
    longest_backoff_s: float = 60.0

    def config(self) -> dict[str, Any]:
        """What the learner reads."""
        return {
            "bundle": str(self.bundle),
            "experience": str(self.experience),
            "offline": None if self.offline is None else str(self.offline),
            "work_dir": str(self.work_dir),
            "threads": self.threads,
            "nice": self.nice,
            "seed": self.seed,
            "settings": dict(self.settings),
        }


@dataclass
class WorkerStatus:
    """How the learner is."""

    phase: str = "starting"
    """starting, running, waiting, paused, restarting, refused (it says why) or stopped."""
    text: str = ""
    """What it or its death said last, "" if nothing."""
    pid: int | None = None
    update: int = 0
    transitions: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    restarts: int = 0


class LearnerWorker:
    """Holds one learner from its making to `stop`. Thread-safe."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._status = WorkerStatus()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._holds: set[str] = set()
        self._starts: deque[float] = deque()
        """Times of the restarts of the last hour, steady clock."""
        self.candidates: deque[Candidate] = deque()
        """Bundles it has made, for the owner to take out."""
        self.lines: deque[str] = deque(maxlen=100)
        """What it wrote on stderr, and what there is to say of it, for the owner to take out and log."""
        self._thread = threading.Thread(target=self._run, name="learner", daemon=True)
        self._thread.start()

    def status(self) -> WorkerStatus:
        """A copy of its state."""
        with self._lock:
            found = WorkerStatus(**vars(self._status))
            if self._holds and found.phase in ("running", "waiting"):
                found.phase = "paused"
            return found

    def hold(self, reason: str) -> None:
        """Pause it; it stays paused, also when it is started again, until every reason is released."""
        with self._lock:
            first = not self._holds
            self._holds.add(reason)
            if first:
                self._say("pause")

    def release(self, reason: str) -> None:
        """The reason is gone."""
        with self._lock:
            if reason in self._holds:
                self._holds.remove(reason)
                if not self._holds:
                    self._say("resume")

    def package(self) -> bool:
        """Ask for a candidate now; False where there is nobody to ask."""
        with self._lock:
            return self._say("package")

    def stop(self, timeout_s: float) -> None:
        """Ask it to end, wait, and kill it after `timeout_s` seconds."""
        self._stopping.set()
        with self._lock:
            self._say("stop")
            process = self._process
            if process is not None and process.stdin is not None:
                _close(process.stdin)
        self._thread.join(timeout_s)
        if self._thread.is_alive() and process is not None:
            process.kill()
            self._thread.join(timeout_s)
        with self._lock:
            self._status.phase = "stopped"

    def _say(self, word: str) -> bool:
        """Call with the lock held."""
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it is gone, or about to be
            return False
        return True

    def _run(self) -> None:
        backoff_s = self._options.backoff_s
        while not self._stopping.is_set():
            began_s = time.monotonic()
            code = self._live_once()
            if self._stopping.is_set():
                return
            if code == _USER_ERROR:
                self._set("refused")
                return
            if time.monotonic() - began_s > _SETTLED_S:
                backoff_s = self._options.backoff_s
            self._set("restarting")
            # What could not even be started has cost nothing.
            self._stopping.wait(backoff_s if code is None else max(backoff_s, self._until_allowed_s()))
            backoff_s = min(2.0 * backoff_s, self._options.longest_backoff_s)

    def _until_allowed_s(self) -> float:
        """Seconds until another restart is allowed; notes one."""
        now_s = time.monotonic()
        while self._starts and now_s - self._starts[0] > _HOUR_S:
            self._starts.popleft()
        wait_s = 0.0
        if len(self._starts) >= self._options.restarts_per_hour:
            wait_s = self._starts[0] + _HOUR_S - now_s
            text = f"it ended {len(self._starts)} times within an hour: the next start is in {wait_s:.0f} s"
            self._note(f"{self._status.text}; {text}" if self._status.text else text)
        self._starts.append(now_s + wait_s)
        with self._lock:
            self._status.restarts += 1
        return wait_s

    def _live_once(self) -> int | None:
        """Start it and listen until it ends; its exit code, None where it could not be started."""
        try:
            handle = self._claim()
        except (OSError, StoreError) as error:
            self._note(f"the learner cannot be started: {error}")
            return None
        try:
            process = self._spawn(handle)
        except OSError as error:
            self._note(f"the learner cannot be started: {error}")
            return None
        finally:
            os.close(handle)  # the child holds it
        assert process.stdout is not None and process.stderr is not None
        listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        listener.start()
        with process.stdout:
            for line in process.stdout:
                self._on_line(line)
        code = process.wait()
        listener.join(1.0)
        with self._lock:
            self._process, self._status.pid = None, None
            if process.stdin is not None:
                _close(process.stdin)
        if not self._stopping.is_set():
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            self._note(f"the learner {how}" + (f": {self._error}" if self._error else ""))
        return code

    def _claim(self) -> int:
        """Write the config and take the lock that every learner of this directory holds while it lives.

        One whose node was killed may live longer than it: it must notice, on a processor it hardly gets.
        """
        directory = self._options.work_dir
        directory.mkdir(parents=True, exist_ok=True)
        draft = directory / "worker.json.tmp"
        draft.write_text(json.dumps(self._options.config(), indent=1), encoding="utf-8")
        draft.replace(directory / "worker.json")
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _end_orphan(os.pread(handle, 100, 0), directory)
            os.close(handle)
            raise StoreError(f"another learner works in {directory}; it must end first") from None
        return handle

    def _spawn(self, handle: int) -> subprocess.Popen[str]:
        threads = dict.fromkeys(_THREAD_VARIABLES, str(self._options.threads))
        process = subprocess.Popen(
            [*self._options.command, str(self._options.work_dir / "worker.json")],
            env={**python_environment(), **threads},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=(handle,),
            start_new_session=True,  # Ctrl-C in a terminal is the node's to hear
        )
        try:
            # Before it has a second thread: threads inherit it.
            here = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, min(19, here + self._options.nice))
        except OSError as error:
            self.lines.append(f"the learner keeps its priority ({error})")
        # For a successor of this node.
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{process.pid} {os.getpid()}".encode(), 0)
        with self._lock:
            self._process, self._error = process, ""
            self._status.pid, self._status.phase = process.pid, "starting"
            if self._holds:
                self._say("pause")
            if self._stopping.is_set():
                self._say("stop")
                assert process.stdin is not None
                _close(process.stdin)
        return process

    def _listen(self, stderr: IO[str]) -> None:
        with stderr:
            for line in stderr:
                if line.strip():
                    self.lines.append(line.rstrip())
                    self._error = line.strip().removeprefix("error: ")

    def _on_line(self, line: str) -> None:
        event = parse_event(line)
        with self._lock:
            status = self._status
            match event:
                case Ready(update):
                    status.phase, status.update, status.text = "running", update, ""
                case Progress(update, transitions, losses):
                    status.phase, status.text = "running", ""
                    status.update, status.transitions, status.losses = update, transitions, losses
                case Candidate(_, _, update):
                    status.update = update
                    self.candidates.append(event)
                case Waiting(text):
                    status.phase, status.text = "waiting", text
                case Failed(text):
                    status.text = self._error = text
                    self.lines.append(text)
                case None:
                    self.lines.append(line.rstrip())

    def _note(self, sentence: str) -> None:
        with self._lock:
            self._status.text = sentence
        self.lines.append(sentence)

    def _set(self, phase: str) -> None:
        with self._lock:
            self._status.phase = phase

    _error: str = ""
    """The last error it told, or its last line on stderr."""


def _end_orphan(note: bytes, directory: Path) -> None:
    """Kill the learner that holds the lock if its parent is gone; it loses what is not in its checkpoint."""
    try:
        pid, parent = (int(word) for word in note.split())
        about = Path("/proc") / str(pid)
        ours = str(directory).encode() in (about / "cmdline").read_bytes()
        # Behind the name, which may hold anything, come the state and the parent.
        now = int((about / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        if ours and now != parent:
            os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError, IndexError):
        return  # it has just ended


def _close(stream: IO[str]) -> None:
    with contextlib.suppress(OSError):  # what was still to be said is said to nobody
        stream.close()
