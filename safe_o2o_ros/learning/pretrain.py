"""Offline training from a segment store to a bundle: world model, latents, agent, thresholds, export."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning import distributed
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase
from safe_o2o_ros.learning.behaviour_cloning import CloneNetwork, ClonePolicy, NoSafety
from safe_o2o_ros.learning.calibrate import Scores
from safe_o2o_ros.learning.config import PretrainConfig, SequenceTraining, from_json
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.latents import Latents, cache_latents
from safe_o2o_ros.learning.memory import keep_freed_memory
from safe_o2o_ros.learning.novelty import fit_novelty, picture_distances
from safe_o2o_ros.learning.percept_phase import Seeing
from safe_o2o_ros.learning.reach_phase import ReachPhase
from safe_o2o_ros.learning.sequence_phase import SequencePhase
from safe_o2o_ros.learning.support_phase import SupportPhase
from safe_o2o_ros.learning.trainer import Clock, Log, Progress, run_phase
from safe_o2o_ros.learning.transitions import Transitions
from safe_o2o_ros.world_model.actor import PerceptActor
from safe_o2o_ros.world_model.compress import round_weights
from safe_o2o_ros.world_model.export import Graphs, PolicyGraph, Prices, SafetyGraph
from safe_o2o_ros.world_model.model import WorldModel
from safe_o2o_ros.world_model.risk import RiskBound, UpperBound
from safe_o2o_ros.world_model.support import Support
from safe_o2o_ros.world_model.vision import compiled_convolutions


class Score(Protocol):
    """What trained networks say of a data set."""

    def __call__(self, dataset: Dataset, seen: Latents | None = None) -> Scores:
        """`seen`: its latents, where they are known."""
        ...


@dataclass(frozen=True)
class Run:
    """A finished training run: what is exported, and what thresholds are computed from."""

    config: PretrainConfig
    dataset: Dataset
    graphs: Graphs
    return_std: float
    """Standard deviation of the data's discounted returns."""
    score: Score
    """Runs the trained networks over a data set, the training one or another."""
    clocks: dict[str, Clock]


def fit_config(config: PretrainConfig, dataset: Dataset) -> PretrainConfig:
    """The config with channels, image size and action width of the data."""
    height, width, channels = dataset.image.shape[1:]
    if height != width:
        raise UsageError(f"images must be square, the data has {height} x {width}: crop them at collection")
    model = dataclasses.replace(
        config.model, channels=channels, image_size=height, action_dim=dataset.adapter.action_dim
    )
    return dataclasses.replace(config, model=model)


def train(
    config: PretrainConfig,
    dataset: Dataset,
    run_dir: Path,
    log: Log,
    progress: Progress,
    device: str = "cpu",
    budget_s: float = math.inf,
) -> Run:
    """World model, then critics and actor on its latents; resumed from `run_dir` where it has checkpoints.

    `budget_s`: processor seconds of the world-model phase.
    """
    config = prepare(config, dataset, run_dir)
    model = WorldModel(config.model, config.scales).to(device)
    clocks = {}
    if config.percept.steps:
        looks = Seeing(model)
        clocks["percept"] = _sequence_phase(
            "percept", looks, config, config.percept, dataset, run_dir, log, progress, device, budget_s
        )
        # What acting needs of the images is learned; reconstruction would only wear it down.
        looks.requires_grad_(False)
    clocks["world_model"] = _sequence_phase(
        "world_model", model, config, config.world_model, dataset, run_dir, log, progress, device, budget_s
    )
    model.eval()
    latents = cache_latents(model, dataset, device, config.seed)
    return train_agent(config, model, latents, dataset, run_dir, log, progress, device, clocks)


def train_agent(
    config: PretrainConfig,
    model: WorldModel,
    latents: Latents,
    dataset: Dataset,
    run_dir: Path,
    log: Log,
    progress: Progress,
    device: str,
    clocks: Mapping[str, Clock],
    tells_novelty: bool = True,
) -> Run:
    """Critics and actor on the `latents` that `model`, which stays as it is, makes of the data.

    `config` is a prepared one; `clocks`: of the phases before. `tells_novelty`: whether its encoder says how
    unlike training the pictures are.
    """
    torch.manual_seed(config.seed + 1)
    imitation = model.percept.behaviour if config.agent.actor_sees == "percept" else None
    agent = Agent(config.model, imitation).to(device)
    data, repeat = transitions(latents, dataset), dataset.manifest.action_repeat
    if config.reach.steps > 0:
        slow = agent.targets["q_reach"]
        reach = ReachPhase(agent.q_reach, agent.v_reach, slow, data, config.reach, config.seed, device)
        clocks = dict(clocks) | {
            "reach": run_phase(
                reach,
                config.reach.steps,
                config.seed + 2,
                run_dir / "reach.pt",
                config.reach.checkpoint_every,
                log,
                progress,
            )
        }
    clock = run_phase(
        AgentPhase(agent, model, data, config, device, repeat),
        config.agent.steps,
        config.seed + 1,
        run_dir / "agent.pt",
        config.agent.checkpoint_every,
        log,
        progress,
    )
    support = Support(config.model).to(device) if config.support.steps and config.agent.in_sample else None
    if support is not None:
        run_phase(
            SupportPhase(support, data, config.support, config.seed, device),
            config.support.steps,
            config.seed + 3,
            run_dir / "support.pt",
            config.support.checkpoint_every,
            log,
            progress,
        )
        support = support.cpu().eval()
        round_weights(support)
    model, agent = copy.deepcopy(model).cpu(), agent.cpu().eval()
    round_weights(model)
    round_weights(agent)
    sigma = dataset.return_std(config.agent.gamma)
    measured = bool(np.isfinite(dataset.margin).any())
    risk = RiskBound(
        agent.q_reach, model.percept, config.model.dynamics, config.agent.margin_near_m if measured else 0.0
    )
    graphs = Graphs(
        model,
        _policy_graph(config, model, agent, risk, sigma),
        SafetyGraph(risk, agent.v_reach, agent.q_cost, support) if config.agent.in_sample else NoSafety(),
        config.model.feature,
        config.model.state,
        fit_novelty(model, dataset, config.seed) if tells_novelty and config.novelty else None,
    )

    def score(dataset: Dataset, seen: Latents | None = None) -> Scores:
        seen = cache_latents(model, dataset, "cpu") if seen is None else seen
        surprise = seen.surprise.numpy()
        pictures = None if graphs.novelty is None else picture_distances(model, graphs.novelty, dataset)
        if not config.agent.in_sample:
            return Scores(np.ones(len(dataset.transitions), np.float32), surprise, pictures)
        driven = transitions(seen, dataset)
        known = None if support is None else _of_executed(support, driven).numpy()
        return Scores(_of_executed(risk, driven).numpy(), surprise, pictures, known)

    return Run(config, dataset, graphs, sigma, score, {**clocks, "agent": clock})


def _policy_graph(
    config: PretrainConfig, model: WorldModel, agent: Agent, risk: RiskBound, sigma: float
) -> PolicyGraph:
    by, c = config.agent.driver, config.agent
    evaluation = (agent.pi_reward, agent.pi_cost)
    actor = PerceptActor(config.model, model.percept.behaviour) if by == "percept" else agent.actor
    if by == "policy_critics":
        prices = Prices(c.kappa, c.kappa, sigma)
        return PolicyGraph([actor], (agent.pi_reward, UpperBound(agent.pi_cost)), evaluation, prices)
    chooses = by if by in ("critics", "certified") else "likeliest"
    prices = Prices(c.risk_price, c.kappa, sigma, chooses, c.certified_risk)
    return PolicyGraph([actor], (agent.q_reward, risk), evaluation, prices)


def train_clone(
    config: PretrainConfig,
    dataset: Dataset,
    run_dir: Path,
    log: Log,
    progress: Progress,
    device: str = "cpu",
    budget_s: float = math.inf,
) -> Run:
    """The behaviour-cloning baseline on the same data, for `budget_s` processor seconds."""
    config = prepare(config, dataset, run_dir)
    model = CloneNetwork(config.model).to(device)
    clock = _sequence_phase(
        "clone", model, config, config.world_model, dataset, run_dir, log, progress, device, budget_s
    )
    model = model.cpu().eval()
    round_weights(model)
    width = config.model.deter
    graphs = Graphs(model, ClonePolicy(model.actor), NoSafety(), width, width)

    def score(dataset: Dataset, seen: Latents | None = None) -> Scores:
        return Scores(np.ones(len(dataset.transitions), np.float32), np.zeros(len(dataset.image), np.float32))

    return Run(config, dataset, graphs, 1.0, score, {"clone": clock})


def without_safety(run: Run) -> Run:
    """The run with a safety network that certifies nothing, for data that has no cost to learn from.

    The learned one would not do: where no command is certified the filter takes the one of least predicted
    cost, and without costs that prediction is noise. This one leaves the policy's command alone.
    """
    return dataclasses.replace(run, graphs=dataclasses.replace(run.graphs, safety=NoSafety()))


def transitions(latents: Latents, dataset: Dataset) -> Transitions:
    """Cached latents with the actions and outcomes of the data set they were computed from."""
    return Transitions(
        latents,
        torch.from_numpy(dataset.action),
        torch.from_numpy(dataset.reward),
        torch.from_numpy(dataset.cost),
        torch.from_numpy(dataset.cont),
        torch.from_numpy(dataset.margin),
        torch.from_numpy(dataset.transitions),
    )


def prepare(config: PretrainConfig, dataset: Dataset, run_dir: Path) -> PretrainConfig:
    """The config fitted to the data and noted in `run_dir`; sets torch's threads and seed.

    Raises UsageError where `run_dir` holds a run with another config.
    """
    config = fit_config(config, dataset)
    run_dir.mkdir(parents=True, exist_ok=True)
    if distributed.rank() == 0:
        note_config(config, run_dir)
    keep_freed_memory()
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    return config


def _sequence_phase(
    name: str,
    model: nn.Module,
    config: PretrainConfig,
    schedule: SequenceTraining,
    dataset: Dataset,
    run_dir: Path,
    log: Log,
    progress: Progress,
    device: str,
    budget_s: float,
) -> Clock:
    with compiled_convolutions(model) if config.compile else contextlib.nullcontext():
        return run_phase(
            SequencePhase(name, model, dataset, config, schedule, device),
            schedule.steps,
            config.seed,
            run_dir / f"{name}.pt",
            schedule.checkpoint_every,
            log,
            progress,
            budget_s,
        )


@torch.no_grad()
def _of_executed(network: nn.Module, data: Transitions) -> Tensor:
    """(M,) what a network (feature, action) -> number says of every recorded action."""
    blocks = [network(data.feature[r], data.action[r]) for r in data.rows.split(4096)]
    return torch.cat(blocks)


def note_config(config: PretrainConfig, run_dir: Path) -> None:
    """Written once; UsageError on another config in the same directory, since checkpoints would not fit."""
    path = run_dir / "config.json"
    if not path.exists():
        draft = path.with_suffix(".tmp")
        draft.write_text(config.to_json(), encoding="utf-8")
        draft.replace(path)  # whole or absent: a half config would look like another one
        return
    try:
        same = from_json(path.read_text(encoding="utf-8")) == config
    except ValueError:
        same = False
    if not same:
        raise UsageError(
            f"{run_dir} holds a run with another config ({path}): give another directory or delete it"
        )
