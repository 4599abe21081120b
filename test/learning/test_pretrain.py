"""Training as a whole: killed anywhere it ends in the same weights, and it refuses what does not fit."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_store import write_tiny_store

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning.behaviour_cloning import CloneNetwork
from safe_o2o_ros.learning.config import PretrainConfig, resolve
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.learning.pretrain import Run, fit_config, train, train_clone
from safe_o2o_ros.world_model.config import ModelConfig

SETTINGS = {"world_model.checkpoint_every": "4", "agent.checkpoint_every": "6"}

PHASES = ("percept", "world_model", "agent", "support")
PLACES = [("images", 4), ("images", 10), ("checkpoint", 2), ("agent", 15)]
"""Where the n-th call is the last one."""

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from safe_o2o_ros.learning import agent_phase, checkpoint, sequence_phase
from safe_o2o_ros.learning.config import resolve
from safe_o2o_ros.learning.dataset import load_dataset
from safe_o2o_ros.learning.pretrain import train

def deadly(function, moment):
    calls = 0
    def wrapped(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped

def run(place, moment):
    if place == "images":
        sequence_phase.SequencePhase.update = deadly(sequence_phase.SequencePhase.update, moment)
    elif place == "agent":
        agent_phase.AgentPhase.update = deadly(agent_phase.AgentPhase.update, moment)
    else:  # between the bytes of a checkpoint and its name
        os.fsync = deadly(os.fsync, moment)
    silent = lambda *_: None
    def log(*row):
        with open(f"{run_dir}.log", "a") as stream:
            print(json.dumps(row), file=stream)
    train(resolve("debug", settings), load_dataset(Path(store), 8), Path(run_dir), log, silent)

store, run_dir = sys.argv[1:3]
settings = dict(item.split("=") for item in sys.argv[3:])
for line in sys.stdin:  # forked, since importing torch takes longer than all the training here
    place, moment = line.split()
    child = os.fork()
    if child == 0:
        run(place, int(moment))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def silent(*_: object) -> None:
    """No log, no progress."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pretrain") / "store"
    write_tiny_store(directory)
    return directory


@pytest.fixture(scope="module")
def data(store: Path) -> Dataset:
    return load_dataset(store, 8)


def steps(path: Path) -> int:
    """Updates of the checkpoint, 0 without one."""
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    """Bit for bit, through nested containers."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def test_a_run_killed_four_times_logs_the_losses_and_ends_in_the_weights_of_one_that_was_not(
    store: Path, data: Dataset, tmp_path: Path
) -> None:
    config = resolve("debug", SETTINGS)
    run_dir = tmp_path / "killed"
    settings = [f"{key}={value}" for key, value in SETTINGS.items()]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(store), str(run_dir), *settings],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdin is not None and driver.stdout is not None
        reached = []
        for place, moment in PLACES:
            print(place, moment, file=driver.stdin, flush=True)
            assert driver.stdout.readline() == f"{-signal.SIGKILL}\n"
            reached.append([steps(run_dir / f"{name}.pt") for name in PHASES])
    # Killed in update 4 of the percept, in update 7 of the world model, while the checkpoint after its 8 + 2
    # updates is written, in update 15 of the agent.
    assert reached == [[3, 0, 0, 0], [6, 4, 0, 0], [6, 8, 0, 0], [6, 10, 12, 0]]
    rows = [json.loads(line) for line in (tmp_path / "killed.log").read_text().splitlines()]
    expected: list[list[Any]] = []
    resumed = train(config, data, run_dir, lambda *row: rows.append([*row]), silent)
    whole = train(config, data, tmp_path / "whole", lambda *row: expected.append([*row]), silent)
    # Every logged loss, also those that the killed runs logged and that were computed a second time.
    assert [row[:2] for row in expected] == [
        ["percept", 6],
        ["world_model", 10],
        ["agent", 20],
        ["support", 10],
    ]
    assert len(rows) >= 3 and all(row in expected for row in rows) and all(row in rows for row in expected)
    for name in (f"{phase}.pt" for phase in PHASES):
        states = [torch.load(d / name, weights_only=True) for d in (run_dir, tmp_path / "whole")]
        for state in states:
            del state["cpu_s"], state["wall_s"]
        assert_equal(*states)
    for a, b in zip(graph_weights(resumed), graph_weights(whole), strict=True):
        assert torch.equal(a, b)


def graph_weights(run: Run) -> list[torch.Tensor]:
    """All weights that are exported."""
    modules: list[Any] = [run.graphs.encoder, run.graphs.policy, run.graphs.safety]
    return [p for module in modules for p in module.parameters()]


def test_another_seed_gives_other_weights(data: Dataset, tmp_path: Path) -> None:
    short = {"world_model.steps": "1", "agent.steps": "1"}
    a = train(resolve("debug", short), data, tmp_path / "a", silent, silent)
    b = train(resolve("debug", short | {"seed": "1"}), data, tmp_path / "b", silent, silent)
    assert not all(torch.equal(x, y) for x, y in zip(graph_weights(a), graph_weights(b), strict=True))


def test_a_run_directory_of_another_config_is_refused(data: Dataset, tmp_path: Path) -> None:
    short = {"world_model.steps": "0", "agent.steps": "0"}
    train(resolve("debug", short), data, tmp_path, silent, silent)
    train(resolve("debug", short), data, tmp_path, silent, silent)
    with pytest.raises(UsageError, match="holds a run with another config"):
        train(resolve("debug", short | {"agent.gamma": "0.5"}), data, tmp_path, silent, silent)
    assert not list(tmp_path.glob("*.tmp"))


def test_sizes_follow_the_data(data: Dataset) -> None:
    model = fit_config(resolve("debug", {}), dataclasses.replace(data, image=data.image[..., :3])).model
    assert (model.channels, model.image_size, model.action_dim) == (3, 64, 2)
    with pytest.raises(UsageError, match="must be square, the data has 32 x 64"):
        fit_config(resolve("debug", {}), dataclasses.replace(data, image=data.image[:, :32]))


@pytest.fixture(scope="module")
def clone(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = PretrainConfig(**{**vars(resolve("debug", {})), "name": "clone"})
    return train_clone(config, data, tmp_path_factory.mktemp("clone"), silent, silent)


def test_a_clone_certifies_nothing(clone: Run, data: Dataset) -> None:
    assert clone.score(data).risk.tolist() == [1.0] * 120
    latent, commands = torch.randn(2, 32), torch.rand(2, 5, 2)
    risk, cost, state_risk = clone.graphs.safety(latent, commands)
    assert risk.tolist() == [[1.0] * 5] * 2 and state_risk.tolist() == [[1.0]] * 2
    assert cost.tolist() == [[0.0] * 5] * 2


def test_a_clone_sees_no_previous_action_and_forgets_at_an_episode_start() -> None:
    torch.manual_seed(0)
    model = CloneNetwork(ModelConfig(depth=2, deter=16, groups=2, classes=2, units=16)).eval()
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 6), np.uint8))
    state, later, first = torch.randn(1, 16), torch.zeros(1, 1), torch.ones(1, 1)
    still, moved = (model.step(image, a, state, later) for a in (torch.zeros(1, 2), torch.ones(1, 2)))
    assert torch.equal(still[0], moved[0]) and torch.equal(still[1], moved[1])
    blank, used = (model.step(image, torch.zeros(1, 2), s, first) for s in (torch.zeros(1, 16), state))
    assert torch.equal(blank[0], used[0]) and not torch.equal(blank[0], still[0])
    assert float(still[2]) == 0.0
