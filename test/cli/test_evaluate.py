"""`safe-o2o evaluate` from end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.cli import evaluate_worker
from safe_o2o_ros.cli.evaluate_rows import Row, rows_of
from safe_o2o_ros.cli.evaluate_worker import Filming, Job, drive, film
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.report.record import episode_record
from safe_o2o_ros.sim.tasks import TASKS
from safe_o2o_ros.types import Mode

FIELDS = [
    "task",
    "variant",
    "bundle",
    "filter",
    "action_repeat",
    "episodes",
    "seed",
    "reward_mean",
    "reward_std",
    "reward_ci95",
    "cost_mean",
    "cost_std",
    "cost_ci95",
    "success_rate",
    "contact_rate",
    "overrides_per_100",
    "per_episode",
]


def evaluate(out: Path, *arguments: object) -> dict[str, Any]:
    assert main(["evaluate", *map(str, arguments), "--json", str(out)]) == 0
    return dict(json.loads(out.read_text()))


def test_a_reference_repeats_and_episode_i_uses_seed_plus_i_on_any_number_of_workers(tmp_path: Path) -> None:
    driver = ("--policy", "random", "--seed", 50_000)
    alone = evaluate(tmp_path / "a.json", *driver, "--episodes", 3, "--workers", 1)
    shared = evaluate(tmp_path / "b.json", *driver, "--episodes", 3, "--workers", 2)
    assert alone == shared
    assert [e["seed"] for e in alone["per_episode"]] == [50_000, 50_001, 50_002]
    later = evaluate(
        tmp_path / "c.json", "--policy", "random", "--seed", 50_002, "--episodes", 1, "--workers", 1
    )
    assert later["per_episode"] == alone["per_episode"][2:]
    assert [*FIELDS, "policy"] == list(alone) and alone["policy"] == "random" and alone["bundle"] is None
    rewards = [e["reward"] for e in alone["per_episode"]]
    assert alone["reward_mean"] == pytest.approx(sum(rewards) / 3)
    assert alone["reward_std"] == pytest.approx(np.std(rewards))
    assert all(e["steps"] == 1000 and e["success"] is None for e in alone["per_episode"])
    low, high = alone["reward_ci95"]
    assert min(rewards) <= low < alone["reward_mean"] < high <= max(rewards)
    assert later["reward_ci95"] is None and later["cost_ci95"] is None
    assert alone["success_rate"] is None and alone["contact_rate"] is None
    assert alone["overrides_per_100"] == 0.0


def test_a_bundle_is_scored_behind_its_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    record = evaluate(
        tmp_path / "a.json",
        *("--bundle", tmp_path / "bundle", "--filter", "on", "--seed", 50_000),
        *("--episodes", 1, "--workers", 1),
    )
    assert list(record) == FIELDS
    assert (record["bundle"], record["filter"], record["action_repeat"]) == ("tiny-1", "filter", 4)
    (episode,) = record["per_episode"]
    assert episode["overrides"] > 0
    assert record["overrides_per_100"] == pytest.approx(100.0 * episode["overrides"] / 250)
    shown = capsys.readouterr().out
    assert "PointGoal1, seeds 50000..50000" in shown and f"{record['reward_mean']:.2f}" in shown


@pytest.mark.usefixtures("short")
def test_a_blind_bundle_drives_on_black_pictures_and_the_record_says_so(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    driver = ("--bundle", tmp_path / "bundle", "--seed", 50_000, "--episodes", 1, "--workers", 1)
    seeing = evaluate(tmp_path / "a.json", *driver)
    blind = evaluate(tmp_path / "b.json", *driver, "--blind")
    assert list(blind) == [*FIELDS, "blind"] and blind["blind"] is True
    assert blind["per_episode"] != seeing["per_episode"]


def test_a_scripted_reference_cannot_be_blinded(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--policy", "random", "--blind"]) == 2
    assert "--blind needs --bundle" in capsys.readouterr().err


def test_a_task_with_success_is_scored_by_success_and_contact(tmp_path: Path) -> None:
    driver = ("--task", "RoomNav", "--seed", 50_000, "--episodes", 4, "--workers", 1, "--policy")
    straight = evaluate(tmp_path / "a.json", *driver, "straight")
    assert straight["action_repeat"] == 1
    episodes = straight["per_episode"]
    assert straight["success_rate"] == np.mean([e["success"] for e in episodes])
    assert straight["contact_rate"] == np.mean([e["cost"] > 0 for e in episodes])
    assert not any(e["success"] and e["cost"] > 0 for e in episodes)
    safe = evaluate(tmp_path / "b.json", *driver, "safe")
    assert (safe["success_rate"], safe["contact_rate"]) == (1.0, 0.0)
    assert main(["evaluate", "--task", "PointGoal1", "--policy", "straight"]) == 2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Episodes of PointGoal1 that this process drives have 20 control periods and one that is cut short."""
    monkeypatch.setitem(TASKS, "PointGoal1", replace(TASKS["PointGoal1"], episode_steps=82))
    evaluate_worker._LAST.clear()
    yield
    evaluate_worker._LAST.clear()


def test_rows_are_all_combinations_in_order_and_references_are_driven_unfiltered(tmp_path: Path) -> None:
    bundles = [tmp_path / name for name in ("first", "second")]
    for index, path in enumerate(bundles):
        write_tiny_bundle(path, version=f"tiny-{index}")
    arguments = Namespace(
        task="PointGoal1", bundle=[*bundles, bundles[0]], policy=["random"], filter=["off", "on"],
        variant=["light", "default"], blind=True, seed=50_000, episodes=1, guard=None,
    )  # fmt: skip
    rows = [(r.variant, r.driver, r.version, r.filter) for r in rows_of(arguments)]
    each = [
        ("first (blind)", "tiny-0", "off"), ("first (blind)", "tiny-0", "on"),
        ("second (blind)", "tiny-1", "off"), ("second (blind)", "tiny-1", "on"),
        ("random", None, "off"),
    ]  # fmt: skip
    assert rows == [(variant, *row) for variant in ("light", "default") for row in each]


def test_bundles_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    bundles = [tmp_path / parent / "goal" for parent in ("a", "b")]
    for path in bundles:
        path.parent.mkdir()
        write_tiny_bundle(path)
    common = {
        "task": "PointGoal1", "policy": None, "filter": ["off"], "variant": None, "blind": False,
        "guard": None,
    }  # fmt: skip
    both = rows_of(Namespace(bundle=bundles, seed=50_000, episodes=1, **common))
    assert [row.driver for row in both] == [str(path) for path in bundles]
    (alone,) = rows_of(Namespace(bundle=bundles[:1], seed=50_000, episodes=1, **common))
    assert alone.driver == "goal"


def test_a_guard_stands_behind_references_and_other_bundles(tmp_path: Path) -> None:
    for name in ("guard", "other"):
        write_tiny_bundle(tmp_path / name, version=name)
    common = {"task": "PointGoal1", "variant": None, "blind": False, "seed": 50_000, "episodes": 1}
    rows = rows_of(
        Namespace(
            bundle=[tmp_path / "other"],
            policy=["careless"],
            filter=["off", "on"],
            guard=tmp_path / "guard",
            **common,
        )
    )
    assert [(r.driver, r.filter, r.guard_version, r.cameras) for r in rows] == [
        (f"{name} (guarded)", mode, "guard", ("front", "back"))
        for name in ("other", "careless")
        for mode in ("off", "on")
    ]


@pytest.mark.usefixtures("short")
def test_what_a_guard_substitutes_is_what_drives_and_off_it_changes_nothing(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "guard", risk_threshold=0.2)
    seeds = ("--seed", 50_000, "--episodes", 1, "--workers", 1)
    plain = evaluate(tmp_path / "plain.json", "--policy", "careless", *seeds)
    guarded = ("--policy", "careless", "--guard", tmp_path / "guard", *seeds)
    off = evaluate(tmp_path / "off.json", *guarded, "--filter", "off")
    on = evaluate(tmp_path / "on.json", *guarded, "--filter", "on")
    assert off["per_episode"] == plain["per_episode"] and off["guard"] == on["guard"] == "tiny-1"
    assert on["per_episode"][0]["overrides"] > 0 and on["per_episode"] != off["per_episode"]


def test_what_is_compared_is_what_it_is_alone_whichever_process_drives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    seeds = ("--seed", 50_000, "--episodes", 1)
    bundle = ("--bundle", tmp_path / "bundle", *seeds)
    command = (*bundle, "--policy", "random", "--filter", "off", "on", "--workers", 2)
    assert main(["evaluate", *map(str, (*command, "--json", tmp_path / "all.json"))]) == 0
    records = json.loads((tmp_path / "all.json").read_text())
    drivers = [(r["bundle"] or r["policy"], r["filter"]) for r in records]
    assert drivers == [("tiny-1", "limits_only"), ("tiny-1", "filter"), ("random", "limits_only")]
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("bundle", "random", "PointGoal1, seeds 50000..50000"))
    alone = evaluate(tmp_path / "alone.json", *bundle, "--filter", "on", "--workers", 1)
    assert alone == records[1]


@pytest.mark.usefixtures("short")
def test_variants_are_rows_too_and_each_stands_in_its_record(tmp_path: Path) -> None:
    driver = ("--policy", "careless", "--seed", 50_000, "--episodes", 1, "--workers", 1)
    command = ["evaluate", *map(str, driver), "--variant", "default", "action_latency_3"]
    assert main([*command, "--json", str(tmp_path / "two.json")]) == 0
    published, late = json.loads((tmp_path / "two.json").read_text())
    assert (published["variant"], late["variant"]) == ("default", "action_latency_3")
    assert published["per_episode"] != late["per_episode"]


@pytest.mark.usefixtures("short")
def test_a_report_shows_the_rows_and_replaces_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "report"
    seeds = ("--seed", 50_000, "--episodes", 2, "--workers", 1, "--no-video", "--report", out)
    assert main(["evaluate", *map(str, ("--policy", "random", "careless", *seeds))]) == 0
    records = json.loads((out / "evaluation.json").read_text())
    assert [r["policy"] for r in records] == ["random", "careless"]
    page = (out / "index.html").read_text()
    assert sorted(p.name for p in out.iterdir()) == [
        "episodes.png", "evaluation.json", "index.html", "row1.png", "row2.png",
    ]  # fmt: skip
    assert "<h2>random</h2>" in page and "<h2>careless</h2>" in page and "<video" not in page
    # With fewer rows nothing old stays.
    assert main(["evaluate", *map(str, ("--policy", "careless", *seeds))]) == 0
    assert not (out / "row2.png").exists()
    assert json.loads((out / "evaluation.json").read_text()) == records[1:]


@pytest.mark.usefixtures("short")
def test_the_films_are_of_the_episodes_that_were_scored(tmp_path: Path) -> None:
    """What is driven again with cameras and pictures is the same to the last bit."""
    write_tiny_bundle(tmp_path / "bundle", risk_threshold=0.3)
    common = {"task": "PointGoal1", "variant": "moving_hazards", "blind": False, "action_repeat": 4}
    bundle = {"bundle": str(tmp_path / "bundle"), "version": "tiny-1", "policy": None, "mode": Mode.FILTER}
    policy = {"bundle": None, "version": None, "policy": "careless", "mode": Mode.LIMITS_ONLY}
    for name, driver, cameras in (("a", bundle, ("front", "back")), ("b", policy, ())):
        row = Row(name=name, cameras=cameras, **common, **driver)
        scored, _ = drive(Job(row, 50_001))
        filmed = film(Filming(row, 50_001, "title", tmp_path / f"{name}.mp4"))
        assert episode_record(filmed.log) == scored
        assert filmed.log.images == {} and filmed.log.top is None
        assert (filmed.video is None) == (filmed.note is not None)
        if filmed.video is not None:
            assert filmed.video.stat().st_size > 1_000


@pytest.mark.usefixtures("short")
def test_without_ffmpeg_the_report_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    driver = ("--policy", "careless", "--seed", 50_000, "--episodes", 2, "--workers", 1)
    assert main(["evaluate", *map(str, (*driver, "--report", tmp_path / "report"))]) == 0
    sentence = "pip install imageio-ffmpeg"
    assert capsys.readouterr().out.count(sentence) == 1
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count(sentence) == 1 and "<video" not in page


def test_ctrl_c_ends_all_processes_at_once_and_in_one_word(tmp_path: Path) -> None:
    code = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"
    arguments = (
        "--policy",
        "safe",
        "--episodes",
        "100000",
        "--workers",
        "2",
        "--report",
        str(tmp_path / "r"),
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "evaluate", *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        # Both workers are there, wherever they are in what they do.
        while len(workers := workers_of(process.pid)) < 2:
            assert process.poll() is None
        # As a terminal does: to every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def workers_of(pid: int) -> list[str]:
    """Worker processes that `pid` has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [c for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()]
