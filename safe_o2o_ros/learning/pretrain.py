"""Offline training from a segment store to a bundle: world model, latents, agent, thresholds, export."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from safe_o2o_ros import __version__
from safe_o2o_ros.bundle import load_bundle, write_bundle
from safe_o2o_ros.errors import BundleError, UsageError
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase, Transitions
from safe_o2o_ros.learning.config import PretrainConfig
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.trainer import Clock, Log, Progress, run_phase
from safe_o2o_ros.learning.world_model_phase import WorldModelPhase
from safe_o2o_ros.manifest import SCHEMA_VERSION, Expansion, ImageSpec, LatentSpec, Manifest, Thresholds
from safe_o2o_ros.world_model.export import (
    Parity,
    PolicyGraph,
    SafetyGraph,
    check_parity,
    export_networks,
)
from safe_o2o_ros.world_model.model import WorldModel

PARITY_LIMIT = 1e-4
"""Largest difference between torch and ONNX Runtime, per step and output, that is shipped."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    config: PretrainConfig
    model: WorldModel
    agent: Agent
    dataset: Dataset
    surprise: np.ndarray
    """(N,) surprise of every row of the data set, nats."""
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
    """Both phases, resumed from `run_dir` where it has checkpoints.

    `budget_s`: processor seconds of the world-model phase.
    """
    config = fit_config(config, dataset)
    run_dir.mkdir(parents=True, exist_ok=True)
    _write_resolved_config(config, run_dir)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = WorldModel(config.model, config.scales).to(device)
    clocks = {}
    clocks["world_model"] = run_phase(
        WorldModelPhase(model, dataset, config, device),
        config.world_model.steps,
        config.seed,
        run_dir / "world_model.pt",
        config.world_model.checkpoint_every,
        log,
        progress,
        budget_s,
    )
    model.eval()
    features, surprise = cache_latents(model, dataset, device)
    data = Transitions(
        features,
        torch.from_numpy(dataset.action),
        torch.from_numpy(dataset.reward),
        torch.from_numpy(dataset.cost),
        torch.from_numpy(dataset.cont),
        torch.from_numpy(dataset.transitions),
    )
    torch.manual_seed(config.seed + 1)
    agent = Agent(config.model).to(device)
    clocks["agent"] = run_phase(
        AgentPhase(agent, model, data, config, device),
        config.agent.steps,
        config.seed + 1,
        run_dir / "agent.pt",
        config.agent.checkpoint_every,
        log,
        progress,
    )
    return Run(config, model.cpu(), agent.cpu().eval(), dataset, surprise.numpy(), clocks)


def _write_resolved_config(config: PretrainConfig, run_dir: Path) -> None:
    """Written once; a different config in the same directory is refused, since checkpoints would not fit."""
    path = run_dir / "config.json"
    text = config.to_json()
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UsageError(f"{run_dir} holds a run with another config ({path}): give another directory or delete it")
    path.write_text(text, encoding="utf-8")


def package(run: Run, out: Path, thresholds: Thresholds, seeds: dict[str, list[list[int]]], metrics: dict[str, Any]) -> tuple[Manifest, Parity]:
    """Export, check parity on recorded images, write the bundle atomically.

    Raises BundleError when torch and ONNX Runtime differ by more than PARITY_LIMIT.
    """
    config, agent, data = run.config, run.agent, run.dataset
    sigma = max(data.return_std(config.agent.gamma), 1e-6)
    policy = PolicyGraph([agent.actor], agent.pi_reward, agent.pi_cost, config.agent.kappa, sigma).eval()
    safety = SafetyGraph(agent.q_reach, agent.v_reach, agent.q_cost).eval()
    files = export_networks(run.model, policy, safety)
    source = data.manifest
    digest = hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        version=f"{source.task}-{digest[:12]}",
        parent=None,
        task=source.task,
        image=ImageSpec(tuple(source.cameras), config.model.image_size, config.model.image_size),
        adapter=data.adapter,
        action_repeat=source.action_repeat,
        period_s=source.period_s,
        latent=LatentSpec(config.model.feature, config.model.state),
        thresholds=thresholds,
        expansion=Expansion(proposals=1, temperature=0.0, hold_ticks=5),
        normalisation={"return_std": sigma, "gamma": config.agent.gamma, "kappa": config.agent.kappa},
        seeds=seeds,
        files={},
        metrics=metrics,
    )
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "bundle"
        write_bundle(draft, manifest, files)
        bundle = load_bundle(draft)
        parity = _recorded_parity(run, policy, safety, bundle.networks)
    worst = max(parity.per_step, key=lambda k: parity.per_step[k])
    if parity.per_step[worst] > PARITY_LIMIT:
        raise BundleError(
            f"ONNX Runtime and torch differ by {parity.per_step[worst]:.1e} in '{worst}' "
            f"(limit {PARITY_LIMIT:.0e}): the export is not faithful, nothing was written"
        )
    metrics = {
        **metrics,
        "parity": dataclasses.asdict(parity),
        "training": {
            "config": config.name,
            "software": __version__,
            "torch": torch.__version__,
            "machine": f"{platform.system()} {platform.machine()}",
            "episodes": len(data.start),
            "transitions": len(data.transitions),
            "cpu_s": {k: round(c.cpu_s) for k, c in run.clocks.items()},
        },
    }
    manifest = write_bundle(out, dataclasses.replace(manifest, metrics=metrics), files)
    return manifest, parity


def _recorded_parity(run: Run, policy: PolicyGraph, safety: SafetyGraph, networks: Any) -> Parity:
    """Parity over the first 50 steps of the longest episode."""
    data = run.dataset
    longest = int(np.argmax(data.length))
    rows = np.arange(data.start[longest], data.start[longest] + min(50, data.length[longest]))
    before = data.action[np.maximum(rows - 1, 0)]
    return check_parity(run.model, policy, safety, networks, data.image[rows], before)


def seed_ranges(dataset: Dataset) -> list[list[int]]:
    """The seeds of the recorded episodes as [first, last] ranges."""
    seeds = sorted({int(m["seed"]) for m in dataset.metadata if "seed" in m})
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ranges


def write_metrics(path: Path, metrics: dict[str, Any]) -> None:
    """JSON beside the run."""
    path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
