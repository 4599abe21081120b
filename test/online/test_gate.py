"""The release gate refuses what must not drive, each for its own reason, and recalibrates what may."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from safe_o2o_ros.bundle import (
    ENCODER,
    POLICY,
    SAFETY,
    load_bundle,
    rewritten,
    sign_bundle,
    versioned,
    write_bundle,
)
from safe_o2o_ros.cli.finetune_worker import Job, drive
from safe_o2o_ros.data import EpisodeWriter, Manifest
from safe_o2o_ros.errors import BundleError
from safe_o2o_ros.learning.learner import Learner, OnlineSettings
from safe_o2o_ros.learning.unpack import Names, StoredGraph, unpack
from safe_o2o_ros.manifest import MANIFEST_NAME, read_manifest
from safe_o2o_ros.online.gate import judge
from safe_o2o_ros.online.gate_process import main as gate_main
from safe_o2o_ros.online.gate_return import bias
from safe_o2o_ros.online.held_out import Heard
from safe_o2o_ros.online.verdict import Refusal, verdict_from_json
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.signature import SigningKey, TrustedKey, write_keys

RUNNING = share_path("models", "point_goal1")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real episodes behind the filter; some of them cost something."""
    directory = tmp_path_factory.mktemp("gate") / "held_out"
    made = read_manifest(RUNNING)
    manifest = Manifest(
        task="PointGoal1",
        cameras=made.image.cameras,
        adapter=made.adapter.to_json(),
        period_s=made.period_s,
        action_repeat=made.action_repeat,
        version="0",
        command="test",
        seeds=None,
    )
    cost = 0.0
    with EpisodeWriter(directory, manifest) as writer:
        for seed, driver in enumerate(("careless", "own", "careless", "careless")):
            driven = drive(Job("PointGoal1", None, RUNNING, driver, 28_000 + seed, True, 0.8))
            writer.append(driven.episode)
            cost += driven.record["cost"]
    assert cost > 0.0
    return directory


def _changed(directory: Path, change: Callable[[StoredGraph, StoredGraph, Names], None]) -> Path:
    """The running bundle with other weights, under a manifest that fits them."""
    policy, safety = StoredGraph(RUNNING / POLICY), StoredGraph(RUNNING / SAFETY)
    change(policy, safety, Names.of(policy, safety))
    manifest = read_manifest(RUNNING)
    files = {ENCODER: (RUNNING / ENCODER).read_bytes(), POLICY: policy.to_bytes(), SAFETY: safety.to_bytes()}
    write_bundle(directory, versioned(manifest, files), files)
    return directory


def _says(risk_logit: float, margin: float) -> Callable[[StoredGraph, StoredGraph, Names], None]:
    """A safety network that says the same of every command."""

    def change(policy: StoredGraph, safety: StoredGraph, names: Names) -> None:
        read = unpack(RUNNING, read_manifest(RUNNING))
        with torch.no_grad():
            for member in read.q_reach.members:
                member[-1].weight.zero_()  # type: ignore[index,union-attr,operator]
                member[-1].bias.fill_(risk_logit)  # type: ignore[index,union-attr,operator]
            assert read.percept is not None
            read.percept.margin[-1].weight.zero_()  # type: ignore[operator,union-attr]
            read.percept.margin[-1].bias.fill_(margin)  # type: ignore[operator,union-attr]
        safety.store(names.q_reach, read.q_reach)
        safety.store(names.margin, read.percept.margin)

    return change


def _nan(policy: StoredGraph, safety: StoredGraph, names: Names) -> None:
    read = unpack(RUNNING, read_manifest(RUNNING))
    with torch.no_grad():
        next(read.pi_reward.parameters())[0, 0] = float("nan")
    policy.store(names.pi_reward, read.pi_reward)


def test_a_bundle_that_computes_the_same_passes_with_this_robots_thresholds(
    tmp_path: Path, held_out: Path
) -> None:
    verdict = judge(RUNNING, RUNNING, held_out, tmp_path / "out")
    assert verdict.passed and verdict.refusal is None
    released = load_bundle(tmp_path / "out")
    assert released.version == verdict.version != read_manifest(RUNNING).version
    assert released.manifest.thresholds.risk == verdict.measures["threshold"]
    assert released.manifest.thresholds.provenance["recalibrated"]["episodes"] == 4


def test_a_permissive_safety_network_is_refused(tmp_path: Path, held_out: Path) -> None:
    verdict = judge(_changed(tmp_path / "b", _says(-20.0, 10.0)), RUNNING, held_out, tmp_path / "out")
    assert verdict.refusal is Refusal.PERMISSIVE
    assert verdict.measures["false_safe"] == 1.0
    assert not (tmp_path / "out").exists()


def test_a_safety_network_that_certifies_nothing_is_refused(tmp_path: Path, held_out: Path) -> None:
    verdict = judge(_changed(tmp_path / "b", _says(20.0, -10.0)), RUNNING, held_out)
    assert verdict.refusal is Refusal.TIMID


def test_a_nan_weight_is_refused(tmp_path: Path, held_out: Path) -> None:
    assert judge(_changed(tmp_path / "b", _nan), RUNNING, held_out).refusal is Refusal.NON_FINITE


@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (1e3, False), (-1e3, False)])
def test_critics_that_dream_of_the_return_are_refused(
    tmp_path: Path, held_out: Path, shift: float, passes: bool
) -> None:
    learner = Learner(RUNNING, tmp_path, OnlineSettings())
    with torch.no_grad():
        for critic in (learner.agent.pi_reward, learner.agent.pi_cost):
            for member in critic.members:
                member[-1].weight.zero_()  # type: ignore[index,union-attr,operator]
                member[-1].bias.fill_(shift if critic is learner.agent.pi_reward else 0.0)  # type: ignore[index,union-attr,operator]
    learner.package(tmp_path / "b")
    verdict = judge(tmp_path / "b", RUNNING, held_out)
    assert verdict.passed == passes
    assert verdict.refusal is (None if passes else Refusal.RETURN)
    assert np.sign(verdict.measures["score_bias"]) == np.sign(shift) or passes


def test_what_was_earned_is_known_to_the_end_only_where_the_task_ended_the_episode() -> None:
    bundle = load_bundle(RUNNING)
    norm = bundle.manifest.normalisation
    assert (norm["gamma"], norm["kappa"]) == (0.99, 1.0)
    # Rewards 0, 0, 10 and a cost of 1 in the second step: returns 10 * 0.99^2 - 0.99, 9.9 - 1 and 10.
    reward, cost = np.array([0, 0, 10], np.float32), np.array([0, 1, 0], np.float32)
    nothing = np.zeros((3, 1), np.float32)
    ended = Heard(nothing, nothing[:, 0], nothing, reward, cost, 1.0, True, True)
    said = [np.full((3, 2), 1.0, np.float32)]
    by_hand = 1.0 - (8.811 + 8.9 + 10.0) / 3.0 / norm["return_std"]
    assert bias(bundle, [ended], said) == pytest.approx(by_hand, abs=1e-5)
    # However long one is, and however much it cost: it is one episode of three.
    stuck = dataclasses.replace(
        ended,
        latent=np.zeros((600, 1), np.float32),
        reward=np.zeros(600, np.float32),
        cost=np.ones(600, np.float32),
    )
    all_said = [*said, *said, np.full((600, 2), 1.0, np.float32)]
    assert bias(bundle, [ended, ended, stuck], all_said) == pytest.approx(by_hand, abs=1e-5)
    assert bias(bundle, [dataclasses.replace(ended, terminated=False)], said) is None


@pytest.mark.parametrize("name", ["risk", "surprise_stop", "pictures_stop"])
def test_forged_thresholds_are_refused(tmp_path: Path, held_out: Path, name: str) -> None:
    manifest = read_manifest(RUNNING)
    value = 0.95 if name == "risk" else 1e6
    thresholds = dataclasses.replace(manifest.thresholds, **{name: value})
    rewritten(RUNNING, tmp_path / "b", dataclasses.replace(manifest, thresholds=thresholds))
    verdict = judge(tmp_path / "b", RUNNING, held_out)
    assert verdict.refusal is Refusal.THRESHOLDS and name in verdict.sentence


def test_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    shutil.copytree(RUNNING, tmp_path / "b")
    data = bytearray((tmp_path / "b" / SAFETY).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "b" / SAFETY).write_bytes(bytes(data))
    assert judge(tmp_path / "b", RUNNING, None).refusal is Refusal.DAMAGED


def test_an_old_schema_is_refused(tmp_path: Path) -> None:
    shutil.copytree(RUNNING, tmp_path / "b")
    path = tmp_path / "b" / MANIFEST_NAME
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"schema_version": 0}))
    assert judge(tmp_path / "b", RUNNING, None).refusal is Refusal.SCHEMA


def test_other_action_limits_are_refused(tmp_path: Path) -> None:
    manifest = read_manifest(RUNNING)
    adapter = dataclasses.replace(
        manifest.adapter, top_speed=tuple(2 * v for v in manifest.adapter.top_speed)
    )
    rewritten(RUNNING, tmp_path / "b", dataclasses.replace(manifest, adapter=adapter))
    verdict = judge(tmp_path / "b", RUNNING, None)
    assert verdict.refusal is Refusal.MISMATCH and "adapter" in verdict.sentence


def test_a_missing_and_a_forged_signature_are_refused(tmp_path: Path) -> None:
    public = write_keys(tmp_path / "learner")
    write_keys(tmp_path / "stranger")
    shutil.copytree(RUNNING, tmp_path / "b")
    assert judge(tmp_path / "b", RUNNING, None, trusted=TrustedKey(public)).refusal is Refusal.SIGNATURE
    sign_bundle(tmp_path / "b", SigningKey(tmp_path / "stranger"))
    assert judge(tmp_path / "b", RUNNING, None, trusted=TrustedKey(public)).refusal is Refusal.SIGNATURE
    sign_bundle(tmp_path / "b", SigningKey(tmp_path / "learner"))
    assert judge(tmp_path / "b", RUNNING, None, trusted=TrustedKey(public)).passed


def test_a_new_safety_network_is_not_believed_without_held_out_episodes(tmp_path: Path) -> None:
    assert judge(_changed(tmp_path / "b", _says(-20.0, 10.0)), RUNNING, None).refusal is Refusal.PERMISSIVE


def test_a_running_bundle_that_cannot_be_read_is_the_callers_problem(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        judge(RUNNING, tmp_path / "nothing", None)


def test_the_process_prints_one_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gate.json"
    config.write_text(json.dumps({"candidate": str(tmp_path / "none"), "running": str(RUNNING)}))
    assert gate_main([str(config)]) == 0
    verdict = verdict_from_json(capsys.readouterr().out)
    assert verdict.refusal is Refusal.DAMAGED
    config.write_text("{}")
    assert gate_main([str(config)]) == 2
    assert "name candidate and running" in capsys.readouterr().err


def test_risks_are_of_the_executed_commands(held_out: Path) -> None:
    """By hand: the held-out latents through the safety network one by one."""
    from safe_o2o_ros.online.gate_safety import risks_of
    from safe_o2o_ros.online.held_out import hear

    bundle = load_bundle(RUNNING)
    heard = hear(held_out, bundle)
    risk = risks_of(bundle, heard)[0]
    t = 17
    one = bundle.networks[SAFETY].run(
        {"latent": heard[0].latent[t : t + 1], "actions": heard[0].action[None, t : t + 1]}
    )
    np.testing.assert_allclose(risk[t], one["risk"][0, 0], atol=1e-5)
