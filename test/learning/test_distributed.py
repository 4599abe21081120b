"""Two processes that train together: equal weights, and the same update as one process on the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tiny_store import write_tiny_store

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning import distributed

SETTINGS = "percept.steps=3 world_model.steps=3 agent.steps=6 agent.evaluation_from=0.5"

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

UPDATES = """
import sys
from pathlib import Path
import torch
from safe_o2o_ros.learning import distributed
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase
from safe_o2o_ros.learning.behaviour_cloning import CloneNetwork
from safe_o2o_ros.learning.config import resolve
from safe_o2o_ros.learning.dataset import load_dataset
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.pretrain import fit_config, transitions
from safe_o2o_ros.learning.sequence_phase import SequencePhase
from safe_o2o_ros.learning.trainer import run_phase
from safe_o2o_ros.world_model.model import WorldModel

store, out = sys.argv[1:]
torch.set_num_threads(1)
with distributed.ranks("cpu") as device:
    data = load_dataset(Path(store), 8)
    settings = {"precision": "float32", "world_model.mirror": "0.5", "agent.actor_from": "1.0"}
    config = fit_config(resolve("debug", settings), data)
    torch.manual_seed(distributed.rank())  # what process 0 begins with counts
    clone = CloneNetwork(config.model)
    model = WorldModel(config.model, config.scales).requires_grad_(False)
    agent = Agent(config.model)
    torch.manual_seed(0)
    for parameter in (*model.parameters(), *agent.critics()):
        torch.nn.init.normal_(parameter.data, std=0.1)
    cloning = SequencePhase("clone", clone, data, config, config.world_model, device)
    critics = AgentPhase(agent, model, transitions(cache_latents(model, data, device), data), config, device)
    terms = {}
    for phase in (cloning, critics):
        scalars = {k: float(v) for k, v in phase.update(0).items()}
        terms |= {f"{phase.name} {k}": v for k, v in distributed.mean(scalars).items()}
    gradients = {n: p.grad for m in (clone, agent) for n, p in m.named_parameters() if p.grad is not None}
    parts = []
    for stops in ((4,), (2, 4)):  # whole, and stopped after two updates
        for stop in stops:
            torch.manual_seed(1)
            clone = CloneNetwork(config.model)
            phase = SequencePhase("clone", clone, data, config, config.world_model, device)
            run_phase(phase, stop, 0, Path(f"{out}-{len(stops)}.ckpt"), 2, print, lambda *_: None)
        parts.append([p.detach() for p in clone.parameters()])
    torch.save([terms, gradients, *parts], f"{out}-{distributed.rank()}.pt")
"""


def run(arguments: list[str], directory: Path) -> None:
    """A Python process, two of them under torchrun; must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"},
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("distributed") / "store"
    write_tiny_store(directory)
    return directory


@pytest.mark.timeout(600)
def test_two_processes_make_the_update_of_one_on_the_whole_batch_and_resume(
    store: Path, tmp_path: Path
) -> None:
    script = tmp_path / "updates.py"
    script.write_text(UPDATES)
    run([*TORCHRUN, str(script), str(store), "two"], tmp_path)
    run([str(script), str(store), "one"], tmp_path)
    first, second, alone = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("two-0", "two-1", "one-0")
    )
    assert alone[0].keys() == first[0].keys() and len(alone[1]) == len(first[1]) > 50
    for name, gradient in alone[1].items():
        assert torch.equal(first[1][name], second[1][name]), name
        torch.testing.assert_close(first[1][name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    for whole, resumed, other in zip(first[2], first[3], second[3], strict=True):
        assert torch.equal(whole, resumed) and torch.equal(resumed, other)
    assert first[0] == second[0] == pytest.approx(alone[0], rel=1e-4, abs=1e-6)


@pytest.mark.timeout(600)
def test_a_run_under_torchrun_trains_all_phases_and_one_process_writes(store: Path, tmp_path: Path) -> None:
    command = f"-m safe_o2o_ros.cli.main pretrain --data {store} --out mine --config debug --device cpu"
    settings = [part for item in SETTINGS.split() for part in ("--set", item)]
    run([*TORCHRUN, *command.split(), *settings], tmp_path)
    assert (tmp_path / "mine" / "policy.onnx").is_file()
    for name, steps in (("percept", 3), ("world_model", 3), ("agent", 6)):
        assert torch.load(tmp_path / "mine-run" / f"{name}.pt", weights_only=True)["step"] == steps
    assert len(list((tmp_path / "mine-run" / "tensorboard").iterdir())) == 1  # only process 0 logs


def test_alone_every_row_is_ours_and_nothing_is_waited_for() -> None:
    assert list(range(6))[distributed.part(6)] == [0, 1, 2, 3, 4, 5]
    assert (distributed.rank(), distributed.world()) == (0, 1)
    assert distributed.mean({"loss": 2.0}) == {"loss": 2.0} and distributed.decided(True)


def test_a_batch_that_cannot_be_shared_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world", lambda: 3)
    with pytest.raises(UsageError, match="a batch of 16 cannot be shared among 3 processes"):
        distributed.part(16)
