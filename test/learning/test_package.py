"""From a store to a bundle by the real command: what is shipped computes what was trained."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_store import CAMERAS, write_tiny_store

from safe_o2o_ros.bundle import Bundle, load_bundle
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.errors import BundleError
from safe_o2o_ros.learning import package as packaging
from safe_o2o_ros.learning.config import resolve
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.package import NOVELTY_LIMIT, PARITY_STEPS, package, seed_ranges
from safe_o2o_ros.learning.pretrain import Run, train
from safe_o2o_ros.manifest import Thresholds
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import FrameSet
from safe_o2o_ros.world_model.export import check_parity
from safe_o2o_ros.world_model.model import WorldModel

THRESHOLDS = Thresholds(0.5, 1.0, 2.0, {}, 1.0, 2.0)
LIMIT = 1e-4


@dataclass(frozen=True)
class Trained:
    """What one run of the command left, and the same run picked up again in this process."""

    store: Path
    bundle: Bundle
    run_dir: Path
    run: Run

    @property
    def model(self) -> WorldModel:
        """The world model."""
        assert isinstance(self.run.graphs.encoder, WorldModel)
        return self.run.graphs.encoder


def silent(*_: object) -> None:
    """No log, no progress."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("trained")
    store, held_out, out = root / "store", root / "held-out", root / "bundle"
    write_tiny_store(store)
    write_tiny_store(held_out, (60, 25), first_seed=20_000)
    arguments = ["--data", store, "--calibration", held_out, "--out", out, "--config", "debug"]
    assert main(["pretrain", "--device", "cpu", *map(str, arguments)]) == 0
    run_dir = root / "bundle-run"
    dataset = load_dataset(store, 8)
    run = train(resolve("debug", {}), dataset, run_dir, silent, silent)  # nothing is left to train
    return Trained(store, load_bundle(out, task="PointGoal1"), run_dir, run)


def recorded(data: Dataset, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of the first episode's first rows, and the effective actions before them."""
    return data.image[:rows], data.action[np.maximum(np.arange(rows) - 1, 0)]


def test_the_manifest_says_what_was_trained_on_what(trained: Trained) -> None:
    manifest = trained.bundle.manifest
    assert manifest.image.cameras == CAMERAS and (manifest.image.height, manifest.image.width) == (64, 64)
    assert manifest.adapter == POINT
    assert (manifest.action_repeat, manifest.period_s) == (4, 0.08)
    # [h, probabilities, g] and three signs of novelty; [h, categories, g] and 16 blocks of 6 channels.
    assert (manifest.latent.size, manifest.latent.state_size) == (32 + 16 + 16 + 3, 32 + 16 + 16 + 96)
    assert manifest.latent.novelty and manifest.thresholds.knows_pictures
    assert manifest.seeds == {"training": [[0, 3]], "calibration": [[20_000, 20_001]]}
    assert manifest.thresholds.provenance["episodes"] == 2
    assert manifest.thresholds.provenance["source"] == "held-out episodes"
    training = manifest.metrics["training"]
    assert (training["episodes"], training["transitions"]) == (4, 120)
    assert manifest.normalisation["return_std"] == pytest.approx(trained.run.dataset.return_std(0.99))


def test_the_run_directory_keeps_the_resolved_config_and_a_log(trained: Trained) -> None:
    config = json.loads((trained.run_dir / "config.json").read_text())
    assert config["name"] == "debug" and config["model"]["channels"] == 6
    assert list((trained.run_dir / "tensorboard").iterdir())
    assert (trained.run_dir / "reconstructions.png").stat().st_size > 0


def test_onnx_runtime_computes_what_torch_computes(trained: Trained) -> None:
    images, actions = recorded(trained.run.dataset, PARITY_STEPS)
    parity = check_parity(trained.run.graphs, trained.bundle.networks, images, actions)
    assert parity.steps == 50
    names = {"latent", "next_state", "surprise", "actions", "scores", "risk", "cost", "state_risk", "support"}
    assert set(parity.per_step) == names | {"novelty"}
    assert max(parity.per_step[name] for name in names) <= LIMIT
    assert parity.per_step["novelty"] <= NOVELTY_LIMIT
    # Each runtime carries its own state. A tie between classes may flip, and is counted; here there is none.
    assert parity.category_flips == 0 and parity.rollout <= LIMIT
    written = trained.bundle.manifest.metrics["parity"]
    assert written["steps"] == 50 and max(written["per_step"][name] for name in names) <= LIMIT


def test_parity_sees_changed_weights_and_counts_flipped_categories(trained: Trained) -> None:
    images, actions = recorded(trained.run.dataset, 12)
    final = trained.model.rssm.posterior_net[-1]
    original = final.bias.data.clone()
    try:
        final.bias.data = final.bias.data + torch.randn(16, generator=torch.manual_seed(0))
        parity = check_parity(trained.run.graphs, trained.bundle.networks, images, actions)
    finally:
        final.bias.data = original
    assert parity.per_step["latent"] > 0.01 and parity.rollout > 0.01
    assert 0 < parity.category_flips <= 12 * 4  # four categorical variables


def test_cached_latents_are_what_the_deployed_encoder_publishes(trained: Trained) -> None:
    data = trained.run.dataset
    cached = cache_latents(trained.model, data, "cpu", block=7)
    pictures = trained.run.score(data, cached).pictures
    assert pictures is not None
    encoder = RecurrentEncoder(trained.bundle)
    for number, episode in enumerate(EpisodeReader(trained.store)):
        state, executed = encoder.initial(), POINT.zero()
        for t in range(len(episode) + 1):
            frames = {name: images[t] for name, images in episode.images.items()}
            state, latent = encoder.step(state, FrameSet(t, stack(frames, CAMERAS, 64, 64)), executed)
            row = int(data.start[number]) + t
            np.testing.assert_allclose(latent.feature[:-3], cached.feature[row].numpy(), atol=LIMIT)
            assert latent.surprise == pytest.approx(float(cached.surprise[row]), abs=LIMIT)
            surprise, distance, repeated = latent.feature[-3:]
            assert surprise == np.float32(latent.surprise)
            assert distance == pytest.approx(float(pictures[row]), rel=NOVELTY_LIMIT)
            assert repeated == 0.0
            if t < len(episode):
                executed = episode.actions[t]  # raw, as the robot was told


def test_scores_of_the_run_are_what_the_bundle_says_of_the_recorded_commands(trained: Trained) -> None:
    data = trained.run.dataset
    scores = trained.run.score(data)
    latents = cache_latents(trained.model, data, "cpu")
    for index in (0, 40, 119):
        row = data.transitions[index]
        inputs = {
            "latent": np.pad(latents.feature[row : row + 1].numpy(), ((0, 0), (0, 3))),
            "actions": data.action[None, row : row + 1],
        }
        risk = trained.bundle.networks["safety.onnx"].run(inputs)["risk"]
        assert scores.risk[index] == pytest.approx(float(risk[0, 0]), abs=LIMIT)


def test_one_latent_scores_any_number_of_commands(trained: Trained) -> None:
    safety = trained.bundle.networks["safety.onnx"]
    latent = np.zeros((1, 67), np.float32)
    for count in (1, 2, 51):
        result = safety.run({"latent": latent, "actions": np.zeros((1, count, 2), np.float32)})
        assert result["risk"].shape == (1, count) and np.ptp(result["risk"]) < 1e-6


def test_packaging_again_gives_the_same_bundle_and_other_thresholds_another_version(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {n: (trained.bundle.path / n).read_bytes() for n in trained.bundle.manifest.files}
    monkeypatch.setattr(packaging, "export_networks", lambda graphs: files)  # exported once for this file
    shipped = trained.bundle.manifest
    again, _ = package(trained.run, tmp_path / "a", shipped.thresholds, shipped.seeds)
    assert again == dataclasses.replace(shipped, metrics=again.metrics)
    other, _ = package(trained.run, tmp_path / "b", THRESHOLDS, shipped.seeds)
    assert other.files == shipped.files and other.version != shipped.version


def test_an_unfaithful_export_is_refused_and_the_old_bundle_stays(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {n: (trained.bundle.path / n).read_bytes() for n in trained.bundle.manifest.files}
    monkeypatch.setattr(packaging, "export_networks", lambda graphs: files)
    package(trained.run, tmp_path / "bundle", THRESHOLDS, {})
    monkeypatch.setattr(packaging, "PARITY_LIMIT", -math.inf)
    with pytest.raises(BundleError, match="the export is not faithful, nothing was written"):
        package(trained.run, tmp_path / "bundle", THRESHOLDS, {"training": [[7, 7]]})
    assert load_bundle(tmp_path / "bundle").manifest.seeds == {}
    assert len(list(tmp_path.iterdir())) == 1


def test_seeds_become_ranges(trained: Trained) -> None:
    metadata = [{"seed": s} for s in (5, 3, 4, 4, 9, 11, 12)] + [{}, {"seed": None}]
    assert seed_ranges(dataclasses.replace(trained.run.dataset, metadata=metadata)) == [
        [3, 5],
        [9, 9],
        [11, 12],
    ]
