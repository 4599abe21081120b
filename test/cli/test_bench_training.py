"""`safe-o2o bench training`: what it counts, by hand, and that its figures belong together."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from safe_o2o_ros.cli.bench_training import settings, update_rates, write_noise
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.learning.dataset import load_dataset


def test_the_measured_update_has_the_stated_sizes() -> None:
    config = settings("float32")
    assert config.precision == "float32" and config.percept.steps == 0
    assert (config.world_model.batch, config.world_model.length) == (16, 32)
    m = config.model
    assert (m.depth, m.deter, m.groups, m.classes, m.channels, m.image_size) == (16, 256, 16, 16, 6, 64)
    assert config.scales.decode_fraction == 1.0
    assert config.agent.batch == config.agent.imagine_batch == 512 and config.agent.horizon == 15


def test_convolutions_are_counted_forward_and_backward_and_shares_follow_from_times(tmp_path: Path) -> None:
    write_noise(tmp_path, episodes=2, steps=20)
    full = settings("bfloat16")
    small = dataclasses.replace(
        full,
        model=dataclasses.replace(full.model, depth=4, deter=8, groups=2, classes=2, units=8, percept=8),
        world_model=dataclasses.replace(full.world_model, batch=2, length=4),
        agent=dataclasses.replace(full.agent, batch=16, imagine_batch=16, horizon=2),
    )
    found = update_rates(load_dataset(tmp_path, 4), small, repeats=2)
    # 2 operations x 4 x 4 taps x channels in x channels out x pixels of the smaller side, 8 images. The
    # encoder halves 64 four times, the decoder goes the way back: as much again.
    widths, sides = (6, 4, 8, 16, 32), (32, 16, 8, 4)
    layers = [2 * 16 * a * b * side**2 * 8 for a, b, side in zip(widths[:-1], widths[1:], sides, strict=True)]
    # Backward is two of the same, but the first layer has no input that learns.
    convolutions = (3 * 2 * sum(layers) - layers[0]) / 1e9
    assert convolutions < found["world_model"]["gflop"] < 1.1 * convolutions
    assert found["full"]["gflop"] == pytest.approx(
        found["world_model"]["gflop"] + found["agent"]["gflop"], abs=0.011
    )
    for part in ("world_model", "agent", "full"):
        row = found[part]
        assert row["gflop_s"] == pytest.approx(row["gflop"] / row["s"], abs=0.1 + 0.01 / row["s"])
        assert row["share"] == pytest.approx(row["gflop_s"] / found["matrix_gflop_s"], rel=0.1, abs=0.01)
        assert row["share_of_processor_time"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--threads", "0"), "--threads must be"), (("--repeats", "0"), "--repeats must be")],
)
def test_a_bad_argument_is_named(
    arguments: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "training", *arguments]) == 2
    assert words in capsys.readouterr().err
