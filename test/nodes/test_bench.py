import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

MAIN = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"


@pytest.fixture
def measured(tmp_path):
    """Runs `safe-o2o bench` on a tiny bundle and returns its JSON."""

    def run(*arguments):
        write_tiny_bundle(tmp_path / "tiny", risk_threshold=1.0)
        out = tmp_path / "result.json"
        bench = ["bench", *arguments, "--bundle", str(tmp_path / "tiny"), "--json", str(out)]
        subprocess.run([sys.executable, "-c", MAIN, *bench], check=True, timeout=120)
        return json.loads(out.read_text())

    return run


def test_the_latency_benchmark_measures_every_hop_and_the_bare_networks(measured):
    result = measured("latency", "--seconds", "3")
    assert result["frames"] > 0
    assert result["reasons"]["pass"] > 0
    graph = result["graph_ms"]
    assert len(graph) == 6
    for row in (*graph.values(), *result["bare_onnx_ms"].values()):
        assert 0.0 < row["p50"] <= row["p99"] <= row["max"]
    # The hops lie inside the total.
    total = graph["total: image published -> cmd_vel received"]["p50"]
    assert total > graph["encoder: image -> latent"]["p50"]


def test_the_stop_benchmark_sees_brake_zero_standstill_and_restart_in_this_order(measured):
    # Of all the longest way to the filter: driver, camera_node, encoder, policy.
    result = measured("stop", "--victim", "camera", "--repeats", "1")["victims"]["camera"]
    assert result["kills"] == 1
    assert result["late_input"] == ["latent"]
    (stop,) = result["stops"]
    assert 0.0 < stop["brake_s"] <= stop["zero_s"] <= stop["standing_s"] <= stop["driving_again_s"]


def test_a_robot_whose_filter_was_killed_stops_by_its_base_and_drives_again_after_the_restart(measured):
    result = measured("stop", "--victim", "filter", "--repeats", "1")["victims"]["filter"]
    (stop,) = result["stops"]
    assert "brake_s" not in stop
    assert 0.0 < stop["standing_s"] <= stop["driving_again_s"]


def test_the_soak_watches_every_process_and_answers_every_frame(measured, tmp_path):
    result = measured("soak", "--minutes", "0.1", "--plot", str(tmp_path / "soak.png"))
    nodes = {"sim_node", "encoder_node", "policy_node", "safety_filter_node", "monitor_node", "soak_probe"}
    assert set(result["memory"]) == nodes
    assert all(row["last_mb"] > 10.0 for row in result["memory"].values())
    # Nothing that a killed process could leave locked; a tracing library of ROS maps two pages.
    assert result["shm"]["last_mb"] < 0.05
    # 6 s at 12.5 Hz, some of them lost where the machine is busy.
    assert 30 < result["frames"] <= 80
    assert result["reasons"]["pass"] > 0
    assert (tmp_path / "soak.png").stat().st_size > 10_000


FAKE = Path(__file__).resolve().parent.parent / "support" / "fake_learner.py"


def test_every_acknowledged_transition_outlives_kills_of_recorder_and_learner(measured):
    learner = f"{sys.executable} {FAKE}"
    result = measured("crash", "--rounds", "5", "--learner", learner)
    assert sum(result["kills"].values()) == 5 and min(result["kills"].values()) > 0
    assert result["acknowledged_transitions"] > 50
    assert (result["lost"], result["changed"], result["damaged"]) == (0, 0, [])
    # Not only as it was acknowledged, but as it was driven.
    for kind in ("frames", "actions", "rewards", "costs"):
        assert result[f"{kind}_checked"] > 50
        assert result[f"{kind}_different"] == 0


def test_the_swap_benchmark_changes_the_bundle_as_often_as_asked_and_loses_no_tick(measured):
    result = measured("swap", "--swaps", "3", "--seconds", "1")
    assert result["swaps"] == 3
    assert result["changing"]["ticks"] > 0
    assert result["changing"]["lost"] == result["changing"]["answered_twice"] == 0


def test_the_recording_benchmark_reads_back_what_it_recorded(tmp_path):
    out = tmp_path / "result.json"
    bench = ["bench", "record", "--minutes", "0.15", "--out", str(tmp_path), "--json", str(out)]
    subprocess.run([sys.executable, "-c", MAIN, *bench], check=True, timeout=120)
    result = json.loads(out.read_text())
    assert 0 < result["frames_recorded"] <= result["frames_sent"]
    assert result["frames_dropped"] == result["frames_sent"] - result["frames_recorded"]
    assert result["bytes"] > 10_000 * result["frames_recorded"]
    assert result["bytes_per_hour"] == pytest.approx(result["bytes"] * 400, rel=0.01)
    assert result["memory_last_mb"] > 30.0 and len(result["samples"]) >= 4
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
