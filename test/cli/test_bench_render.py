"""`safe-o2o bench render`: every figure is there, and says the same as the settings it ran with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safe_o2o_ros.cli.main import main


@pytest.mark.parametrize("task", ["PointGoal1", "RoomNav"])
def test_the_render_benchmark_measures_images_periods_and_processes(task: str, tmp_path: Path) -> None:
    out = tmp_path / "render.json"
    arguments = ["--task", task, "--seconds", "0.5", "--workers", "2", "--json", str(out)]
    assert main(["bench", "render", *arguments]) == 0
    result = json.loads(out.read_text())
    assert result["task"] == task and result["size"] == 64
    assert (result["settings"]["shadowsize"], result["settings"]["offsamples"]) == (0, 0)
    # Both cameras of eight scenes, at least one image each.
    assert result["image"]["images"] >= 16 <= result["image_at_mujocos_default_quality"]["images"]
    image = result["image"]
    assert 0.0 < image["cpu_ms"] <= image["cpu_ms_slowest_view"]
    assert image["images_per_cpu_s"] == pytest.approx(1e3 / image["cpu_ms"], rel=0.02)
    step = result["step"]
    assert step["images_per_s"] == pytest.approx(2 * step["periods_per_s"], rel=0.01)
    assert result["processes"]["processes"] == 2 and result["processes"]["images_per_s"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--workers", "0"), "--workers must be"), (("--task", "Chess1"), "'Chess1' is unknown")],
)
def test_a_bad_argument_is_named(
    arguments: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "render", "--seconds", "0.5", *arguments]) == 2
    assert words in capsys.readouterr().err
