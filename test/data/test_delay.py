"""The actuation delay is found where there is one, with an honest uncertainty, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.data.delay import estimate
from safe_o2o_ros.data.flow import sideways_flow

PERIOD_S = 0.05


def steering(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Commands as a hand gives them: held for a while, changed smoothly."""
    noise = rng.standard_normal(steps + 40)
    return np.convolve(noise, np.hanning(20), "same")[20 : steps + 20]


@pytest.mark.parametrize("delay", [0, 1, 4, 11])
def test_a_known_delay_is_found_within_its_interval(delay: int) -> None:
    rng = np.random.default_rng(delay)
    runs = []
    for _ in range(3):
        command = steering(rng, 600)
        effect = -np.roll(command, delay) + 0.5 * command.std() * rng.standard_normal(600)
        runs.append((command, effect))
    found = estimate(runs, PERIOD_S, "angular.z", "flow", late_s=0.0)
    assert found is not None and found.correlation < -0.7
    assert abs(found.delay_s - delay * PERIOD_S) < 0.5 * PERIOD_S
    assert found.interval_s[0] - 0.025 <= delay * PERIOD_S <= found.interval_s[1] + 0.025
    assert found.std_s < 0.5 * PERIOD_S


def test_a_delay_between_two_steps_is_found() -> None:
    rng = np.random.default_rng(0)
    fine = steering(rng, 6000)
    # 100 samples a second are taken at every fifth, 17 of them late.
    found = estimate([(fine[100::5], np.roll(fine, 17)[100::5])], PERIOD_S, "w", "flow", late_s=0.0)
    assert found is not None and abs(found.delay_s - 0.17) < 0.015


def test_noise_has_no_delay() -> None:
    rng = np.random.default_rng(1)
    assert estimate([(steering(rng, 2000), rng.standard_normal(2000))], PERIOD_S, "w", "flow", 0.0) is None


def test_too_little_and_constant_commands_tell_nothing() -> None:
    rng = np.random.default_rng(2)
    short = steering(rng, 60)
    assert estimate([(short, short)], PERIOD_S, "w", "flow", 0.0) is None
    flat = np.zeros(2000)
    assert estimate([(flat, steering(rng, 2000))], PERIOD_S, "w", "flow", 0.0) is None
    assert estimate([], PERIOD_S, "w", "flow", 0.0) is None


def test_less_data_is_less_sure() -> None:
    rng = np.random.default_rng(3)

    def spread(steps: int) -> float:
        command = steering(rng, steps)
        noisy = np.roll(command, 4) + 1.5 * command.std() * rng.standard_normal(steps)
        found = estimate([(command, noisy)], PERIOD_S, "w", "flow", 0.0)
        assert found is not None
        return found.std_s

    assert spread(500) > spread(20_000)


def test_flow_follows_the_picture() -> None:
    rng = np.random.default_rng(4)
    wide = np.repeat(np.repeat(rng.integers(0, 256, (16, 40, 3), np.uint8), 4, 0), 4, 1)
    moves = [0, 1, 2, 3, 2, 1, 0, -1]
    places = 40 + np.cumsum([0, *moves])
    # The window moves right, so what is seen moves left.
    frames = np.stack([wide[:, p : p + 64] for p in places])
    flow = sideways_flow(frames)
    assert np.corrcoef(flow, moves)[0, 1] < -0.95
