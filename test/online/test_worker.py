"""The learner's process is started, heard, paused, and started again when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from threading import Event

import pytest
from support.pieces import episode_pieces, open_store

from safe_o2o_ros.online.worker import LearnerWorker, WorkerOptions
from safe_o2o_ros.online.worker_events import Candidate, Failed, Progress, Ready, Waiting, parse_event

FAKE = Path(__file__).resolve().parent.parent / "support" / "fake_learner.py"


def options(directory, *modes, **changes):
    fields = {
        "bundle": directory / "bundle",
        "experience": directory / "store",
        "work_dir": directory / "work",
        "command": (sys.executable, str(FAKE), *modes),
        "backoff_s": 0.05,
        "longest_backoff_s": 0.1,
    }
    return WorkerOptions(**(fields | changes))


def until(condition):
    deadline = time.monotonic() + 40.0
    while not condition():
        assert time.monotonic() < deadline
        Event().wait(0.01)


@pytest.fixture
def start(tmp_path):
    """Starts learners and ends them."""
    workers = []

    def make(*modes, **changes):
        workers.append(LearnerWorker(options(tmp_path, *modes, **changes)))
        return workers[-1]

    yield make
    for worker in workers:
        worker.stop(10.0)


def test_its_progress_is_heard_and_it_gets_what_it_was_to_get(start, tmp_path):
    with open_store(tmp_path / "store") as writer:
        for piece in episode_pieces(20):
            writer.append(piece)
    worker = start(threads=2, nice=7, seed=3, settings={"batch": 4})
    until(lambda: worker.status().transitions == 20)
    status = worker.status()
    assert status.phase == "running" and status.update > 0 and status.losses["reward"] > 0.0
    seen = json.loads((tmp_path / "work" / "seen.json").read_text())
    assert seen["config"] == {
        "bundle": str(tmp_path / "bundle"),
        "experience": str(tmp_path / "store"),
        "offline": None,
        "work_dir": str(tmp_path / "work"),
        "threads": 2,
        "nice": 7,
        "seed": 3,
        "settings": {"batch": 4},
    }
    assert seen["environment"] == {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    assert seen["nice"] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7)


def test_a_killed_learner_comes_back_goes_on_and_stays_paused(start):
    worker = start()
    until(lambda: worker.status().update > 3)
    worker.hold("by hand")
    until(lambda: worker.status().text == "paused")
    before = worker.status()
    assert before.phase == "paused"
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: worker.status().restarts == 1 and worker.status().text == "paused")
    after = worker.status()
    assert after.pid != before.pid and after.update >= before.update
    assert any("was killed by signal 9" in line for line in worker.lines)
    worker.hold("busy")
    worker.release("by hand")
    assert worker.status().phase == "paused"
    worker.release("busy")
    until(lambda: worker.status().update > after.update)
    assert worker.status().phase == "running"


def test_it_makes_a_candidate_when_asked(start):
    worker = start()
    until(lambda: worker.status().phase == "running")
    assert worker.package()
    until(lambda: bool(worker.candidates))
    made = worker.candidates.popleft()
    assert (Path(made.path) / "manifest.json").is_file() and made.version.startswith("fake-")


def test_one_that_dies_again_and_again_is_left_alone_for_the_hour_and_says_so(start):
    worker = start("die=2", restarts_per_hour=3)
    until(lambda: "within an hour" in worker.status().text)
    status = worker.status()
    assert status.phase == "restarting" and status.restarts == 4
    assert "ended with code 1: Traceback: made to die" in status.text
    assert status.update == 8  # four lives of two updates, each from its checkpoint


def test_one_that_was_started_wrongly_is_not_started_again(start):
    worker = start("refuse")
    until(lambda: worker.status().phase == "refused")
    assert "torch is not installed" in worker.status().text
    assert worker.status().restarts == 0


def test_a_command_that_does_not_exist_is_named(start):
    worker = start(command=("/no/such/learner",))
    until(lambda: "/no/such/learner" in worker.status().text)


def test_a_second_learner_waits_until_the_first_is_gone(start):
    first = start()
    until(lambda: first.status().phase == "running")
    second = start()
    until(lambda: "another learner works in" in second.status().text)
    first.stop(10.0)
    until(lambda: second.status().phase == "running")


def test_one_that_does_not_listen_is_killed_at_the_end(start):
    worker = start("mute")
    until(lambda: worker.status().update > 0)
    pid = worker.status().pid
    worker.stop(0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert worker.status().phase == "stopped"


PARENT = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from safe_o2o_ros.online.worker import LearnerWorker, WorkerOptions
    here = Path(sys.argv[1])
    command = tuple(sys.argv[2:])
    worker = LearnerWorker(WorkerOptions(here / "b", here / "store", here / "work", command=command))
    while not worker.status().update:
        time.sleep(0.01)
    print(worker.status().pid, flush=True)
    time.sleep(60)
""")


@pytest.mark.parametrize("modes", [(), ("mute",)])
def test_the_learner_of_a_killed_parent_ends_by_itself_or_is_ended(start, tmp_path, modes):
    command = [sys.executable, "-c", PARENT, str(tmp_path), sys.executable, str(FAKE), *modes]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    successor = start()  # gets the lock when the orphan is gone
    until(lambda: successor.status().phase == "running")
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('{"event":"ready","update":3}', Ready(3)),
        ('{"event":"progress","update":3,"transitions":9,"losses":{"a":1}}', Progress(3, 9, {"a": 1.0})),
        ('{"event":"candidate","path":"p","version":"v","update":3}', Candidate("p", "v", 3)),
        ('{"event":"waiting","text":"for data"}', Waiting("for data")),
        ('{"event":"error","text":"no"}', Failed("no")),
        ('{"event":"dance"}', None),
        ('{"event":"ready"}', None),
        ('{"event":"progress","update":Infinity,"transitions":1}', None),
        ('{"event":"progress","update":1,"transitions":1,"losses":3}', None),
        ("[1]", None),
        ("epoch 3 of 5", None),
        ("", None),
    ],
)  # fmt: skip
def test_events_are_read_and_anything_else_is_none(line, event):
    assert parse_event(line) == event
