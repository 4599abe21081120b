"""From a finished run to a bundle on disk: export, parity check, thresholds, manifest."""

from __future__ import annotations

import dataclasses
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from safe_o2o_ros import __version__
from safe_o2o_ros.bundle import Bundle, load_bundle, versioned, write_bundle
from safe_o2o_ros.errors import BundleError
from safe_o2o_ros.learning.dataset import Dataset
from safe_o2o_ros.learning.pretrain import Run
from safe_o2o_ros.manifest import (
    SCHEMA_VERSION,
    Expansion,
    ImageSpec,
    LatentSpec,
    Manifest,
    Thresholds,
    View,
    views_from_json,
)
from safe_o2o_ros.world_model.export import Parity, check_parity, export_networks

PARITY_LIMIT = 1e-4
"""Largest difference between torch and ONNX Runtime, per step and output, that is shipped."""
NOVELTY_LIMIT = 1e-2
"""The same of the signs of novelty, as a share: they are compared with thresholds that are no more exact."""
PARITY_STEPS = 50


def package(
    run: Run, out: Path, thresholds: Thresholds, seeds: dict[str, list[list[int]]]
) -> tuple[Manifest, Parity]:
    """Export, check parity on recorded images, write the bundle atomically.

    `seeds`: purpose -> ranges of the seeds that may not be used to score the bundle.

    Raises BundleError when torch and ONNX Runtime differ by more than PARITY_LIMIT or NOVELTY_LIMIT.
    """
    files = export_networks(run.graphs)
    manifest = _manifest(run, files, thresholds, seeds)
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "bundle"
        write_bundle(draft, manifest, files)
        parity = _recorded_parity(run, load_bundle(draft))
    for name, apart in parity.per_step.items():
        limit = NOVELTY_LIMIT if name == "novelty" else PARITY_LIMIT
        if apart > limit:
            raise BundleError(
                f"ONNX Runtime and torch differ by {apart:.1e} in '{name}' (limit {limit:.0e}): the export "
                "is not faithful, nothing was written"
            )
    metrics = {"parity": dataclasses.asdict(parity), "training": _training(run)}
    return write_bundle(out, dataclasses.replace(manifest, metrics=metrics), files), parity


def _manifest(
    run: Run, files: dict[str, bytes], thresholds: Thresholds, seeds: dict[str, list[list[int]]]
) -> Manifest:
    config, source = run.config, run.dataset.manifest
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        parent=None,
        task=source.task,
        image=ImageSpec(tuple(source.cameras), config.model.image_size, config.model.image_size),
        adapter=run.dataset.adapter,
        action_repeat=source.action_repeat,
        period_s=source.period_s,
        latent=LatentSpec(run.graphs.latent, run.graphs.state, run.graphs.novelty is not None),
        thresholds=thresholds,
        expansion=Expansion(proposals=1, temperature=0.0, hold_ticks=5),
        normalisation={
            "return_std": run.return_std,
            "gamma": config.agent.gamma,
            "kappa": config.agent.kappa,
        },
        seeds=seeds,
        files={},
        views=shared_views(run.dataset.metadata, source.cameras),
    )
    return versioned(manifest, files)


def _training(run: Run) -> dict[str, object]:
    return {
        "config": run.config.name,
        "software": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "episodes": len(run.dataset.start),
        "transitions": len(run.dataset.transitions),
        "cpu_s": {name: round(clock.cpu_s) for name, clock in run.clocks.items()},
    }


def _recorded_parity(run: Run, bundle: Bundle) -> Parity:
    """Parity over the first steps of the longest recorded episode."""
    data = run.dataset
    longest = int(np.argmax(data.length))
    rows = data.start[longest] + np.arange(min(PARITY_STEPS, data.length[longest]))
    before = data.action[np.maximum(rows - 1, 0)]
    return check_parity(run.graphs, bundle.networks, data.image[rows], before)


def shared_views(metadata: Sequence[Mapping[str, Any]], cameras: Sequence[str]) -> dict[str, View]:
    """What each of `cameras` saw, where every episode's metadata says the same of it; others are left out."""
    first = metadata[0].get("views") if metadata else None
    if not isinstance(first, dict):
        return {}
    agreed = {
        name: view
        for name, view in first.items()
        if name in cameras and all((m.get("views") or {}).get(name) == view for m in metadata)
    }
    return views_from_json(agreed, "views of the recorded episodes")


def seed_ranges(dataset: Dataset) -> list[list[int]]:
    """The seeds of the recorded episodes as [first, last] ranges."""
    seeds = sorted({int(m["seed"]) for m in dataset.metadata if m.get("seed") is not None})
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ranges
