"""The learner's process: a real one, on a real store that grows while it reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.tiny_store import make_episode, manifest

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.data.experience import SEGMENT_BYTES, ExperienceWriter
from safe_o2o_ros.resources import share_path

SETTINGS = {"batch": 16, "warmup": 20, "updates_per_step": 2.0, "candidate_every": 40}


def _write(directory: Path, seed: int, steps: int) -> None:
    """One whole episode as one piece."""
    episode = make_episode(steps, seed)
    about = {"episode": f"e{seed}", "piece": 0, "first": 0, "end": "timeout", "seed": seed}
    with ExperienceWriter(directory, manifest(), 8 * SEGMENT_BYTES) as writer:
        writer.append(type(episode)(**{**vars(episode), "metadata": about}))


class Learner:
    """The process, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def hear(self, event: str) -> dict[str, Any]:
        """The next event of this kind; pytest's timeout ends a wait for ever."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            data: dict[str, Any] = json.loads(line)
            assert data["event"] != "error" or event == "error", data
            if data["event"] == event:
                return data
        raise AssertionError(f"the learner ended before it said '{event}'")


@contextmanager
def learner(tmp_path: Path, **more: Any) -> Iterator[Learner]:
    config = tmp_path / "learner.json"
    config.write_text(
        json.dumps(
            {
                "bundle": str(share_path("models", "point_goal1")),
                "experience": str(tmp_path / "experience"),
                "offline": None,
                "work_dir": str(tmp_path / "work"),
                "threads": 1,
                "seed": 0,
                "settings": SETTINGS,
                **more,
            }
        )
    )
    command = [sys.executable, "-m", "safe_o2o_ros.learning.online_worker", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Learner(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_it_learns_from_what_is_written_and_makes_candidates(tmp_path: Path) -> None:
    _write(tmp_path / "experience", 1, 45)
    with learner(tmp_path) as it:
        assert it.hear("ready")["update"] == 0
        assert it.hear("progress")["transitions"] == 45
        made = it.hear("candidate")
        bundle = load_bundle(made["path"])
        assert bundle.version == made["version"]
        assert bundle.manifest.parent == load_bundle(share_path("models", "point_goal1"), ()).version
        # All that can be learned of 45 steps is learned: it waits, and goes on with the next episode.
        assert it.hear("waiting")["text"] == "no new experience"
        _write(tmp_path / "experience", 2, 45)
        assert it.hear("progress")["transitions"] == 90
        it.say("pause")
        assert it.hear("waiting")["text"] == "paused"
        it.say("package")
        assert it.hear("candidate")["update"] > made["update"]
        it.say("stop")
        assert it.process.wait() == 0


def test_after_kill_9_it_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    _write(tmp_path / "experience", 1, 45)
    with learner(tmp_path) as first:
        made = first.hear("candidate")  # packaging saves
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    with learner(tmp_path) as second:
        assert second.hear("ready")["update"] == made["update"]
        assert second.hear("waiting")["text"] == "no new experience"


def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    with learner(tmp_path) as it:
        it.hear("ready")
        assert it.process.stdin is not None
        it.process.stdin.close()
        assert it.process.wait() == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bundle": "nowhere"}, "no model bundle"),
        ({"settings": {"nonsense": 1}}, "does not know a setting"),
        ({"bundle": None}, "not a configuration"),
    ],
)
def test_a_wrong_start_is_one_sentence_and_code_2(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with learner(tmp_path, **change) as it:
        assert sentence in it.hear("error")["text"]
        assert it.process.wait() == 2
