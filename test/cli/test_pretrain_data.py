"""`safe-o2o pretrain` on data with something missing: it says so, and promises no more than the data does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.tiny_store import make_episode, manifest

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeWriter
from safe_o2o_ros.learning.unpack import unpack

SHORT = ("--config", "debug", "--set", "world_model.steps=1", "--set", "agent.steps=1")


def write_store(directory: Path, lengths: tuple[int, ...], costly: tuple[int, ...]) -> None:
    """One episode per length, in which the steps `costly` cost 1."""
    with EpisodeWriter(directory, manifest()) as writer:
        for seed, steps in enumerate(lengths):
            costs = np.isin(np.arange(steps), costly).astype(np.float32)
            writer.append(dataclasses.replace(make_episode(steps, seed), costs=costs))


def pretrain(data: Path, out: Path, *arguments: object) -> int:
    return main([str(a) for a in ("pretrain", "--data", data, "--out", out, *SHORT, *arguments)])


@pytest.mark.parametrize("free", ["data", "calibration"])
def test_data_without_a_cost_is_refused_before_training(
    free: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_store(tmp_path / "free", (9, 9), costly=())
    write_store(tmp_path / "costly", (9, 9), costly=(6,))
    data, calibration = ("free", "costly") if free == "data" else ("costly", "free")
    assert pretrain(tmp_path / data, tmp_path / "out", "--calibration", tmp_path / calibration) == 2
    error = capsys.readouterr().err
    assert f"no step of {tmp_path / 'free'} costs anything" in error and "--allow-no-cost" in error
    assert not (tmp_path / "out").exists() and not list((tmp_path / "out-run").glob("*.pt"))


def test_with_the_option_the_bundle_drives_and_certifies_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_store(tmp_path / "free", (9, 9), costly=())
    assert pretrain(tmp_path / "free", tmp_path / "out", "--allow-no-cost") == 0
    assert "warning: this bundle's filter will certify nothing:" in capsys.readouterr().out
    bundle = load_bundle(tmp_path / "out", task="PointGoal1")
    thresholds = bundle.manifest.thresholds
    assert thresholds.risk == 0.0 and "costs anything" in thresholds.provenance["nothing_certified"]
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((1, bundle.manifest.latent.size)).astype(np.float32)
    commands = rng.uniform(-1.0, 1.0, (1, 30, 2)).astype(np.float32)
    risk, cost, _ = bundle.networks["safety.onnx"].run({"latent": latent, "actions": commands}).values()
    assert (risk == 1.0).all()
    assert (cost == 0.0).all()  # no command looks better than the policy's own


def test_recordings_that_know_no_reward_make_a_bundle_whose_scores_have_a_scale(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "data", manifest()) as writer:
        for seed in range(2):
            episode = make_episode(9, seed)
            costs = np.isin(np.arange(9), (6,)).astype(np.float32)
            writer.append(dataclasses.replace(episode, rewards=np.zeros_like(episode.rewards), costs=costs))
    # Of the debug profile's layers the exporter makes constants that cannot be tuned.
    assert (
        pretrain(
            tmp_path / "data",
            tmp_path / "out",
            "--set",
            "model.critic_units=160",
            "--set",
            "model.percept=160",
        )
        == 0
    )
    bundle = load_bundle(tmp_path / "out", task="PointGoal1")
    assert bundle.manifest.normalisation["return_std"] == 1.0
    latent = np.zeros((1, bundle.manifest.latent.size), np.float32)
    assert np.abs(bundle.networks["policy.onnx"].run({"latent": latent})["scores"]).max() < 1e3
    # Critics that had nothing to learn are all alike, and can be found again to be tuned.
    read = unpack(tmp_path / "out", bundle.manifest)
    assert sum(p.numel() for p in read.pi_reward.parameters()) > 0


def test_what_is_left_out_and_a_missing_calibration_are_said_and_the_rest_is_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_store(tmp_path / "data", (20, 12, 2), costly=(6,))
    path = tmp_path / "data" / "00000000.seg"
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1  # in the first episode, so one is left
    path.write_bytes(damaged)
    assert pretrain(tmp_path / "data", tmp_path / "out", "--set", "world_model.length=8") == 0
    captured = capsys.readouterr()
    assert f"warning: left out of {tmp_path / 'data'}:\n  record 0 at byte 0 of {path} fails" in captured.out
    assert "  1 of 3 episodes have fewer than 8 steps" in captured.out
    assert "the thresholds will come from the 1 training episodes themselves" in captured.out
    provenance = load_bundle(tmp_path / "out", task="PointGoal1").manifest.thresholds.provenance
    assert provenance["episodes"] == 1 and provenance["source"] == "training episodes"
