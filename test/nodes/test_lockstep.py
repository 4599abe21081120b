"""The graph in lockstep gives what a loop without ROS gives, bit for bit, every time."""

import numpy as np
import pytest
from support.direct_loop import drive_directly
from support.probe import running
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.processes import Processes
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.types import Mode

EPISODES, PERIODS, SEED = 2, 15, 40_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    # A threshold at which the random networks let some commands pass and not others.
    write_tiny_bundle(path, seed=5, proposals=2, risk_threshold=0.35)
    return path


def drive(bundle, folder, **options):
    graph = deployment(
        DeployOptions(
            sim=True, lockstep=True, bundle=str(bundle), seed=SEED, episodes=EPISODES,
            max_periods=PERIODS, record_dir=str(folder), progress=True, **options,
        )
    )  # fmt: skip
    lines = []
    Processes(graph, lambda node, line, stdout: lines.append((node, line))).run()
    return [EpisodeLog.load(path) for path in sorted(folder.glob("*.npz"))], lines


def test_the_graph_repeats_the_direct_loop_exactly_and_twice(bundle, tmp_path):
    direct = drive_directly(bundle, SEED, EPISODES, PERIODS)
    first, lines = drive(bundle, tmp_path / "first", top_size=32)
    second, _ = drive(bundle, tmp_path / "second")
    for run in (first, second):
        assert [log.seed for log in run] == [SEED, SEED + 1]
        for expected, log in zip(direct, run, strict=True):
            assert np.array_equal(log.reward, expected.rewards)
            assert np.array_equal(log.cost, expected.costs)
            assert np.array_equal(log.executed, expected.actions)
            assert log.reason == expected.reasons
            assert log.control_steps == 4 * PERIODS
    assert {"pass", "substitute", "escape"} == {r for episode in direct for r in episode.reasons}
    assert first[0].images["front"].shape == (PERIODS, 64, 64, 3)
    assert first[0].top.shape == (PERIODS, 32, 32, 3)
    assert first[0].surprise[0] == 0.0 < first[0].surprise[1]
    assert any('"progress"' in line for node, line in lines if node == "sim_node")


def test_limits_only_drives_what_the_policy_asks_for(bundle, tmp_path):
    logs, _ = drive(bundle, tmp_path / "logs", mode="limits_only")
    direct = drive_directly(bundle, SEED, EPISODES, PERIODS, Mode.LIMITS_ONLY)
    for expected, log in zip(direct, logs, strict=True):
        assert np.array_equal(log.reward, expected.rewards)
        assert np.array_equal(log.executed, log.nominal)
        assert not log.changed.any()


def test_a_velocity_base_is_driven_exactly_as_by_the_direct_loop(tmp_path):
    write_tiny_bundle(tmp_path / "room", seed=5, task="RoomNav", risk_threshold=0.4)
    (log, _), _ = drive(tmp_path / "room", tmp_path / "logs", task="RoomNav")
    expected, _ = drive_directly(tmp_path / "room", SEED, EPISODES, PERIODS)
    assert np.array_equal(log.executed, expected.actions)
    assert np.array_equal(log.reward, expected.rewards)
    assert (log.period_s, log.control_steps, log.success) == (0.1, PERIODS, False)


def test_faults_of_pixels_change_the_drive_and_repeat(bundle, tmp_path):
    parameters = tmp_path / "blurred.yaml"
    parameters.write_text(
        "/**/sim_node:\n  ros__parameters:\n    fault.camera: front\n    fault.camera_blur: 4.0\n"
    )
    clean = drive_directly(bundle, SEED, 1, PERIODS)
    first, _ = drive(bundle, tmp_path / "first", params_file=str(parameters))
    second, _ = drive(bundle, tmp_path / "second", params_file=str(parameters))
    assert not np.array_equal(first[0].executed, clean[0].actions)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.executed, b.executed)
        assert np.array_equal(a.reward, b.reward)


def test_a_silent_node_is_named_instead_of_waiting_for_ever(bundle, tmp_path):
    parameters = tmp_path / "impatient.yaml"
    parameters.write_text("/**/sim_node:\n  ros__parameters:\n    lockstep_timeout: 1.0\n")
    options = DeployOptions(
        sim=True, lockstep=True, bundle=str(bundle), episodes=1, params_file=str(parameters)
    )
    graph = deployment(options)
    with running(graph, "sim_node") as nodes:
        process = nodes.process("sim_node")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "encoder_node has not joined" in errors
    assert "Traceback" not in errors


def test_a_node_that_cannot_start_ends_the_graph_with_its_own_words(bundle, tmp_path):
    parameters = tmp_path / "wrong.yaml"
    parameters.write_text("/**/policy_node:\n  ros__parameters:\n    sead: 1\n")
    with pytest.raises(GraphError, match="policy_node has no parameter 'sead'"):
        drive(bundle, tmp_path / "logs", params_file=str(parameters))
