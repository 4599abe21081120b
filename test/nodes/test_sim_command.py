"""`safe-o2o sim` from end to end: checks, processes, lockstep, record, report."""

import json
import subprocess
import sys

from support.direct_loop import drive_directly
from support.tiny_bundle import write_tiny_bundle

MAIN = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"


def test_a_run_leaves_a_record_that_agrees_with_the_direct_loop_and_a_report(tmp_path):
    bundle, out = tmp_path / "tiny", tmp_path / "out"
    write_tiny_bundle(bundle, seed=5, risk_threshold=0.35)
    options = ["--bundle", bundle, "--out", out, "--json", tmp_path / "record.json"]
    options += ["--episodes", "2", "--periods", "10", "--seed", "40000"]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "sim", *map(str, options)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    direct = drive_directly(bundle, 40_000, 2, 10)
    assert record["task"] == "PointGoal1"
    assert record["bundle"] == "tiny-1"
    assert record["filter"] == "filter"
    assert [e["seed"] for e in record["per_episode"]] == [40_000, 40_001]
    assert [e["reward"] for e in record["per_episode"]] == [sum(e.rewards.tolist()) for e in direct]
    assert [e["cost"] for e in record["per_episode"]] == [sum(e.costs.tolist()) for e in direct]
    assert record["reward_mean"] == sum(e["reward"] for e in record["per_episode"]) / 2
    assert json.loads((out / "result.json").read_text())["per_episode"] == record["per_episode"]
    assert (out / "nodes.log").read_text().count("tiny-1") == 3
    assert f"report: {out}" in done.stdout
    assert not list(out.glob(".*"))
