"""Agents of several methods on one finished world model: its latents are computed once, on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from safe_o2o_ros.bundle import sha256
from safe_o2o_ros.errors import StoreError, UsageError
from safe_o2o_ros.learning import checkpoint
from safe_o2o_ros.learning.calibrate import calibrate, nothing_certified
from safe_o2o_ros.learning.config import PROFILES, PretrainConfig, from_json, override
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.learning.latents import Latents, cache_latents
from safe_o2o_ros.learning.methods import configured, twins
from safe_o2o_ros.learning.package import package, seed_ranges
from safe_o2o_ros.learning.pretrain import fit_config, note_config, prepare, train_agent, without_safety
from safe_o2o_ros.learning.trainer import Clock, Log, Progress
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.world_model.model import WorldModel

_MODEL, _PERCEPT, _CONFIG = "world_model.pt", "percept.pt", "config.json"
_AGENT, _KEY = "agent.pt", "latents.sha256"


@dataclass(frozen=True)
class Foundation:
    """A finished world model that every method stands on."""

    config: PretrainConfig
    """Of its run."""
    weights: Path
    clocks: dict[str, Clock]
    """Of its phases."""

    def model(self, device: str) -> WorldModel:
        """The networks. Raises StoreError where they are not those of the config."""
        model = WorldModel(self.config.model, self.config.scales)
        checkpoint.restore(self.weights, {"model": model})
        return model.to(device).eval().requires_grad_(False)


def load_foundation(run_dir: Path) -> Foundation:
    """The run that `safe-o2o pretrain --run-dir` left in `run_dir`.

    Raises UsageError where a part of it is missing or unfinished, StoreError where one is unreadable.
    """
    needed = [_CONFIG, _MODEL]
    try:
        config = from_json((run_dir / _CONFIG).read_text(encoding="utf-8"))
        needed += [_PERCEPT] if config.percept.steps else []
    except FileNotFoundError:
        config = None
    except (OSError, ValueError) as error:
        raise StoreError(f"{run_dir / _CONFIG} is not the config of a run ({error})") from error
    missing = [name for name in needed if not (run_dir / name).is_file()]
    if config is None or missing:
        raise UsageError(
            f"{run_dir} lacks {' and '.join(missing)}: "
            f"train a world model there with `safe-o2o pretrain --run-dir {run_dir}`"
        )
    clocks, done = {}, 0
    for name in reversed(needed[1:]):
        state = checkpoint.load(run_dir / name) or {}
        clocks[name.removesuffix(".pt")] = Clock(float(state["cpu_s"]), float(state["wall_s"]))
        done = int(state["step"])
    # A budget may end the phase early; the phase after it tells that it ended.
    if done < config.world_model.steps and not (run_dir / _AGENT).is_file():
        raise UsageError(
            f"the world model in {run_dir} stands at update {done} of {config.world_model.steps}: "
            "let `safe-o2o pretrain` finish it first"
        )
    return Foundation(config, run_dir / _MODEL, clocks)


def agent_config(foundation: Foundation, profile: str | None, overrides: dict[str, str]) -> PretrainConfig:
    """The run's config; with `profile` its agent is that profile's. Raises UsageError."""
    config = foundation.config
    if profile is not None:
        if profile not in PROFILES:
            raise UsageError(f"unknown config '{profile}': choose one of {', '.join(PROFILES)}")
        config = dataclasses.replace(config, agent=PROFILES[profile].agent)
    for key in overrides:
        if not key.startswith("agent.") and key not in ("seed", "threads"):
            raise UsageError(f"'{key}' is part of the finished run: --set takes agent.*, seed and threads")
    return override(config, overrides)


def data_key(foundation: Foundation, config: PretrainConfig, store: Path) -> str:
    """Digest of everything that decides the latents of a segment store. Raises StoreError."""
    try:
        parts = [sha256(path) for path in (foundation.weights, *sorted(store.glob("*.seg")))]
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read ({error.strerror})") from error
    shape = (config.seed, config.world_model.length)  # of the wrong actions; the shortest episode taken
    return hashlib.sha256(repr((shape, parts)).encode()).hexdigest()


def cached_latents(
    path: Path, key: str, model: WorldModel, dataset: Dataset, device: str, seed: int
) -> Latents:
    """The latents of `dataset`, read from `path` if they were computed under the same `key`."""
    state = checkpoint.load(path)
    if state is None or state.get("key") != key:
        computed = cache_latents(model, dataset, device, seed)
        state = {"key": key, **{f.name: getattr(computed, f.name) for f in dataclasses.fields(Latents)}}
        checkpoint.save(path, state)
    return Latents(**{f.name: state[f.name] for f in dataclasses.fields(Latents)})


@dataclass(frozen=True)
class Seen:
    """A data set and its latents."""

    dataset: Dataset
    latents: Latents


@dataclass(frozen=True)
class Ground:
    """What agents are trained and calibrated on, the same for all of them."""

    foundation: Foundation
    model: WorldModel
    key: str
    """Of the training latents: see `data_key`."""
    training: Seen
    held_out: Seen | None
    """For the thresholds; None: the training data."""


def lay_ground(
    foundation: Foundation,
    config: PretrainConfig,
    data: Path,
    calibration: Path | None,
    out: Path,
    progress: Progress,
    device: str,
) -> Ground:
    """Load the data and its latents, which are kept in `out`; of `calibration` too where it is given.

    Raises UsageError where the world model was made for other images or actions than the data has.
    """
    torch.set_num_threads(config.threads)
    model = foundation.model(device)

    def seen(store: Path, shortest: int, name: str) -> Seen:
        dataset = load_dataset(store, shortest, lambda done, total: progress("load", done, total, {}))
        if fit_config(config, dataset).model != config.model:
            raise UsageError(
                f"the world model was trained on other images or actions than {store} has: "
                "give the data of its run"
            )
        key = data_key(foundation, config, store)
        return Seen(dataset, cached_latents(out / name, key, model, dataset, device, config.seed))

    training = seen(data, config.world_model.length, "latents.pt")
    held_out = None if calibration is None else seen(calibration, 1, "latents-calibration.pt")
    return Ground(foundation, model, data_key(foundation, config, data), training, held_out)


def claim_folder(folder: Path, config: PretrainConfig, key: str) -> None:
    """Make the folder of a method with the settings `config`, whose agent is trained on the latents `key`.

    Raises UsageError where it holds an agent of other settings or latents, StoreError where it cannot be
    made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / _KEY
        if note.exists() and note.read_text(encoding="utf-8").strip() != key:
            raise UsageError(
                f"{folder} holds an agent of another world model, data set or seed: "
                "give another --out or delete it"
            )
        note.write_text(key + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder} cannot be made ({error.strerror}): choose another --out") from error
    note_config(config, folder)


def _take_agent(folder: Path, source: Path, config: PretrainConfig, key: str) -> None:
    """Copy the finished agent of `source`, whose training was the same, unless `folder` has begun its own."""
    agent = source / _AGENT
    if (folder / _AGENT).exists() or not agent.exists():
        return
    try:
        claim_folder(source, config, key)
    except UsageError:
        return  # of another comparison
    state = checkpoint.load(agent)
    if state is not None and state["step"] == config.agent.steps:
        checkpoint.save(folder / _AGENT, state)


def train_method(
    name: str, config: PretrainConfig, ground: Ground, folder: Path, log: Log, progress: Progress, device: str
) -> Manifest:
    """Train the method's agent and write its bundle to `folder`/bundle.

    Resumes in `folder`, which is claimed; takes over the agent beside it of a method with the same training.
    """
    dataset = ground.training.dataset
    for other in twins(name, config):
        _take_agent(folder, folder.parent / other, configured(other, config), ground.key)
    config = prepare(configured(name, config), dataset, folder)
    run = train_agent(
        config,
        ground.model,
        ground.training.latents,
        dataset,
        folder,
        log,
        progress,
        device,
        ground.foundation.clocks,
        tells_novelty=False,  # what is compared is reward and cost
    )
    seeds, seen = {"training": seed_ranges(dataset)}, ground.held_out or ground.training
    if ground.held_out is not None:
        seeds["calibration"] = seed_ranges(seen.dataset)
    source = "training episodes" if ground.held_out is None else "held-out episodes"
    scores = run.score(seen.dataset, seen.latents)
    if not config.agent.in_sample or not (dataset.has_cost and seen.dataset.has_cost):
        run, reason = without_safety(run), "nothing taught it what is dangerous"
        thresholds = nothing_certified(scores, seen.dataset, source, reason)
    else:
        thresholds = calibrate(scores, seen.dataset, source)
    return package(run, folder / "bundle", thresholds, seeds)[0]
