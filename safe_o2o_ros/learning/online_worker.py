"""The learner's process: `python -m safe_o2o_ros.learning.online_worker CONFIG.json`.

It learns from a store of experience while another process writes it, and makes candidate bundles. On stdout
it says one JSON object a line (online/worker_events.py); on stdin it hears pause, resume, package and stop,
and the end of stdin tells that its parent is gone. It goes on from its own checkpoint.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safe_o2o_ros.data.assembly import Assembler
from safe_o2o_ros.data.experience import ExperienceReader
from safe_o2o_ros.errors import SafeO2OError, StoreError, UsageError

_POLL_S = 0.5
_SAY_EVERY = 20
"""Updates between two lines of progress."""
_SAVE_S = 30.0


@dataclass(frozen=True)
class WorkerConfig:
    """What the process is started with."""

    bundle: Path
    experience: Path
    """Store of experience; it need not be there yet."""
    work_dir: Path
    offline: Path | None = None
    """Store of recorded episodes to mix in."""
    threads: int = 1
    nice: int = 0
    """Already applied by the parent."""
    seed: int = 0
    updates_per_step: float = 0.6
    """Updates for every step of new experience: what it does beyond would only wear out what it knows."""
    candidate_every: int = 2500
    """Steps of new experience between candidates."""
    log_dir: Path | None = None
    """For TensorBoard; None: `work_dir`/log."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of OnlineSettings."""

    @classmethod
    def read(cls, path: Path) -> WorkerConfig:
        """Raises UsageError."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            settings = dict(data.get("settings") or {})
            own = {k: settings.pop(k) for k in ("updates_per_step", "candidate_every") if k in settings}
            return cls(
                Path(data["bundle"]),
                Path(data["experience"]),
                Path(data["work_dir"]),
                Path(data["offline"]) if data.get("offline") else None,
                int(data.get("threads", 1)),
                int(data.get("nice", 0)),
                int(data.get("seed", 0)),
                settings=settings,
                **own,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path} is not a configuration of the learner ({error!r}): name bundle, "
                "experience and work_dir"
            ) from error


class Commands:
    """What the parent wants, read in a thread."""

    def __init__(self) -> None:
        self.paused = self.stopped = False
        self._wishes: deque[str] = deque()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            word = line.strip()
            if word == "pause":
                self.paused = True
            elif word == "resume":
                self.paused = False
            elif word == "stop":
                break
            elif word:
                self._wishes.append(word)
        self.stopped = True

    def take(self, wish: str) -> bool:
        """Whether this was wished since the last call."""
        found = wish in self._wishes
        if found:
            self._wishes.remove(wish)
        return found


def say(**event: Any) -> None:
    """One line for the parent."""
    print(json.dumps(event), flush=True)


class Worker:
    """Reads experience, learns, makes candidates."""

    def __init__(self, config: WorkerConfig) -> None:
        """Raises BundleError, StoreError, UsageError."""
        import torch

        from safe_o2o_ros.learning.learner import Learner, OnlineSettings

        torch.set_num_threads(config.threads)
        try:
            settings = OnlineSettings(**{"seed": config.seed, **config.settings})
        except TypeError as error:
            raise UsageError(f"the learner does not know a setting ({error})") from None
        self._config = config
        self._learner = Learner(config.bundle, config.work_dir, settings)
        if config.offline is not None:
            self._learner.record(config.offline)
        self._reader, self._assembler = ExperienceReader(config.experience), Assembler()
        self._read = -1
        self._candidate_at = self._noted_steps()
        self._saved_s = time.monotonic()
        self._log = _scalars(config.log_dir or config.work_dir / "log")

    @property
    def update(self) -> int:
        """Updates so far."""
        return self._learner.step

    def take_in(self) -> int:
        """New episodes from the store; returns the steps that were taken in ever."""
        if self._config.experience.is_dir():
            for identity, piece in self._reader.new_since(self._read):
                self._read = identity
                self._learner.add(self._assembler.add(piece))
        return self._learner.seen

    @property
    def owes(self) -> bool:
        """There is more to learn from what is known."""
        learner, settings = self._learner, self._learner.settings
        if not learner.seen:
            return learner.recorded.steps > 0 and learner.step < settings.warmup
        return learner.step < settings.warmup + self._config.updates_per_step * learner.seen

    @property
    def due(self) -> bool:
        """Enough is new for another candidate, and learned."""
        return not self.owes and self._learner.seen - self._candidate_at >= self._config.candidate_every

    def learn(self) -> dict[str, float]:
        """Some updates; what they tell."""
        losses = self._learner.update(_SAY_EVERY)
        if self._log is not None:
            for name, value in losses.items():
                self._log.add_scalar(f"online/{name}", value, self.update)
        if time.monotonic() - self._saved_s > _SAVE_S:
            self.save()
        return losses

    def save(self) -> None:
        """Checkpoint."""
        self._learner.save()
        self._saved_s = time.monotonic()

    def package(self) -> tuple[Path, str]:
        """A candidate; its directory and version. Raises BundleError."""
        directory = self._config.work_dir / "candidates" / f"{self.update:07d}"
        manifest = self._learner.package(directory)
        self._candidate_at = self._learner.seen
        (self._config.work_dir / "candidate_at").write_text(str(self._candidate_at), encoding="utf-8")
        self.save()
        return directory.absolute(), manifest.version

    def _noted_steps(self) -> int:
        try:
            return int((self._config.work_dir / "candidate_at").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0


def _scalars(directory: Path) -> Any | None:
    """A writer for TensorBoard, where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory))


def run(config: WorkerConfig) -> int:
    """Until the parent says stop or is gone."""
    commands = Commands()
    worker = Worker(config)
    say(event="ready", update=worker.update)
    waiting = ""
    while not commands.stopped:
        seen = worker.take_in()
        if commands.take("package") or (worker.due and not commands.paused):
            path, version = worker.package()
            say(event="candidate", path=str(path), version=version, update=worker.update)
            continue
        text = "paused" if commands.paused else "" if worker.owes else "no new experience"
        if text:
            if text != waiting:
                say(event="waiting", text=text)
            time.sleep(_POLL_S)
        else:
            losses = worker.learn()
            say(event="progress", update=worker.update, transitions=seen, losses=losses)
        waiting = text
    worker.save()
    return 0


def main(argv: list[str]) -> int:
    """Exit code 2 where it was started wrongly, with a sentence on stdout and stderr."""
    try:
        if len(argv) != 1:
            raise UsageError("give one file: the learner's configuration as JSON")
        return run(WorkerConfig.read(Path(argv[0])))
    except StoreError as error:
        # Disks recover: the parent starts it again.
        say(event="error", text=str(error))
        return 1
    except SafeO2OError as error:
        say(event="error", text=str(error))
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
