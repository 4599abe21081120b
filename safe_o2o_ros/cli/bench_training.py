"""`safe-o2o bench training`: arithmetic of one full update over its time, beside the matrix rate."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from safe_o2o_ros.data import Episode, EpisodeWriter, Manifest
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.agent_phase import AgentPhase
from safe_o2o_ros.learning.config import PRECISIONS, PretrainConfig, resolve
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.memory import keep_freed_memory
from safe_o2o_ros.learning.pretrain import fit_config, transitions
from safe_o2o_ros.learning.sequence_phase import SequencePhase
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.model import LossScales, WorldModel

BATCH, LENGTH, HORIZON = 16, 32, 15
STARTS = BATCH * LENGTH
SIDE = 2048
"""Side of the square matrices."""
CAMERAS = ("front", "back")
COMPUTED = (
    f"world model: {BATCH} windows of {LENGTH} steps, both cameras (6 channels, 64 x 64); losses of all "
    "heads, the decoder on all steps; backward through everything; gradient clipping; Adam",
    f"agent: critics of reward, cost and reachability on {STARTS} transitions; the actor rolled out for "
    f"{HORIZON} steps in the world model from {STARTS} states, critics of the actor on their TD(lambda) "
    "returns and on the data; backward, clipping, Adam, target networks; then the actor's loss and update",
    "counted: convolutions and matrix products, forward and backward, by torch's FlopCounterMode; nothing "
    "element-wise, no optimiser",
    f"matrix rate: products of two {SIDE} x {SIDE} float32 matrices, before and after every update",
)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Both precisions, `args.repeats` updates each; raises UsageError."""
    if not 1 <= args.threads <= (os.cpu_count() or 1):
        raise UsageError(f"--threads must be between 1 and the {os.cpu_count() or 1} cores there are")
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as directory:
        write_noise(Path(directory))
        dataset = load_dataset(Path(directory), LENGTH)
    return {
        "computed": COMPUTED,
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": args.threads,
        "updates": args.repeats,
        "load_average": round(os.getloadavg()[0], 2),
        "precisions": {name: update_rates(dataset, settings(name), args.repeats) for name in PRECISIONS},
    }


def write_noise(directory: Path, episodes: int = 8, steps: int = 80) -> None:
    """A segment store of random images, actions and outcomes: the arithmetic is the same."""
    rng = np.random.default_rng(0)
    manifest = Manifest(
        task="PointGoal1",
        cameras=CAMERAS,
        adapter=POINT.to_json(),
        period_s=0.08,
        action_repeat=4,
        version="0",
        command="safe-o2o bench training",
        seeds=(0, episodes - 1),
    )
    with EpisodeWriter(directory, manifest) as writer:
        for seed in range(episodes):
            images = {c: rng.integers(0, 256, (steps + 1, 64, 64, 3), np.uint8) for c in CAMERAS}
            writer.append(
                Episode(
                    images=images,
                    actions=rng.uniform(-1.0, 1.0, (steps, 2)).astype(np.float32),
                    rewards=rng.normal(size=steps).astype(np.float32),
                    costs=(rng.random(steps) < 0.05).astype(np.float32),
                    terminated=False,
                    truncated=True,
                    metadata={"seed": seed},
                )
            )


def settings(precision: str) -> PretrainConfig:
    """The update that is measured: every loss in every update."""
    config = resolve("small", {"precision": precision, "percept.steps": "0"})
    return dataclasses.replace(
        config,
        model=ModelConfig(),
        scales=LossScales(),
        world_model=dataclasses.replace(config.world_model, batch=BATCH, length=LENGTH),
        agent=dataclasses.replace(
            config.agent,
            batch=STARTS,
            imagine_batch=STARTS,
            horizon=HORIZON,
            imagine_every=1,
            actor_from=0.0,
            evaluation_from=0.0,
        ),
    )


def update_rates(dataset: Dataset, config: PretrainConfig, repeats: int) -> dict[str, Any]:
    """Operations, median time and shares of the matrix rate, of both parts of an update and of the whole."""
    config = fit_config(config, dataset)
    torch.manual_seed(0)
    model = WorldModel(config.model, config.scales)
    world = SequencePhase("world_model", model, dataset, config, config.world_model, "cpu")
    data = transitions(cache_latents(model, dataset, "cpu"), dataset)
    agent = AgentPhase(Agent(config.model), model, data, config, "cpu")
    parts: dict[str, Callable[[int], Any]] = {"world_model": world.update, "agent": agent.update}
    operations = {name: _operations(update) for name, update in parts.items()}
    a, b = torch.randn(2, SIDE, SIDE)
    product = 2.0 * SIDE**3
    walls: dict[str, list[float]] = {name: [] for name in (*parts, "matrix")}
    processors: dict[str, list[float]] = {name: [] for name in walls}

    def timed(name: str, work: Callable[[], Any]) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        walls[name].append(time.perf_counter() - wall)
        processors[name].append(time.process_time() - cpu)

    for step in range(repeats + 1):
        if step == 1:  # the first round is a warm-up
            for times in (*walls.values(), *processors.values()):
                times.clear()
        timed("matrix", lambda: torch.mm(a, b))
        for name, update in parts.items():
            timed(name, lambda update=update, step=step: update(step))  # type: ignore[misc]
            timed("matrix", lambda: torch.mm(a, b))
    operations["full"] = sum(operations.values())
    for clock in (walls, processors):
        clock["full"] = [x + y for x, y in zip(clock["world_model"], clock["agent"], strict=True)]
    rate, rate_cpu = (product / float(np.median(clock["matrix"])) for clock in (walls, processors))
    return {
        "matrix_gflop_s": round(rate / 1e9, 1),
        **{
            name: {
                "gflop": round(operations[name] / 1e9, 2),
                "s": round(float(np.median(walls[name])), 4),
                "gflop_s": round(operations[name] / float(np.median(walls[name])) / 1e9, 1),
                "share": round(operations[name] / float(np.median(walls[name])) / rate, 3),
                "share_of_processor_time": round(
                    operations[name] / float(np.median(processors[name])) / rate_cpu, 3
                ),
            }
            for name in (*parts, "full")
        },
    }


def _operations(update: Callable[[int], Any]) -> float:
    """Floating-point operations of one update."""
    with contextlib.redirect_stdout(None), FlopCounterMode(display=False) as counter:
        update(0)
    return float(counter.get_total_flops())


def show(result: dict[str, Any]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    title = (
        f"one update, median of {result['updates']}, {result['threads']} threads ({result['cpu']}), "
        f"torch {result['torch']}"
    )
    table = Table(title=title)
    for column in ("precision", "part", "GFLOP", "s", "GFLOP/s", "share of fp32 matrix rate", "by CPU time"):
        table.add_column(column, justify="left" if column in ("precision", "part") else "right")
    for precision, measured in result["precisions"].items():
        for part in ("world_model", "agent", "full"):
            row = measured[part]
            table.add_row(
                precision,
                part.replace("_", " "),
                f"{row['gflop']:.1f}",
                f"{row['s']:.3f}",
                f"{row['gflop_s']:.0f}",
                f"{100.0 * row['share']:.0f} %",
                f"{100.0 * row['share_of_processor_time']:.0f} %",
            )
        table.add_row(
            precision, "matrix product", "", "", f"{measured['matrix_gflop_s']:.0f}", "100 %", "100 %"
        )
        table.add_section()
    console = Console()
    console.print(table)
    for line in result["computed"]:
        console.print(f"- {line}", highlight=False)
