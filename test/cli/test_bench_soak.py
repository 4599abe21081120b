"""What a long run comes to, from numbers made by hand."""

import mmap
import os

import numpy as np
import pytest

from safe_o2o_ros.cli.bench_soak import conclude, resident_mb, shared_mb, trend
from safe_o2o_ros.report.soak_plot import write_soak_plot

MINUTES = np.arange(1, 31)


def test_a_steady_growth_is_found_with_its_slope_in_mb_per_hour():
    found = trend(list(60.0 * MINUTES), list(100.0 + 6.0 * MINUTES / 60.0))
    assert found["mb_per_hour"] == pytest.approx(6.0)
    assert found["interval"] == pytest.approx([6.0, 6.0], abs=1e-6)
    assert found["grows"] is True
    assert (found["first_mb"], found["last_mb"]) == pytest.approx((100.1, 103.0))


def test_what_settles_in_the_first_fifth_is_no_growth():
    values = np.where(MINUTES <= 6, 100.0 + MINUTES, 106.0)
    found = trend(list(60.0 * MINUTES), list(values))
    assert found["mb_per_hour"] == 0.0
    assert found["grows"] is False


def test_noise_widens_the_interval_and_neighbours_that_are_alike_widen_it_more():
    times = list(60.0 * MINUTES)
    jumping = trend(times, list(100.0 + 0.5 * (-1.0) ** MINUTES))["interval"]
    wandering = trend(times, list(100.0 + 0.5 * np.sign(np.sin(MINUTES / 3.0))))["interval"]
    assert jumping[0] < 0.0 < jumping[1]
    assert wandering[1] - wandering[0] > 1.5 * (jumping[1] - jumping[0])


def test_too_few_samples_give_no_slope():
    assert trend([1.0, 2.0, 3.0], [5.0, 5.0, 5.0])["grows"] is None


def window(number, latencies_ms, unanswered=0):
    return {
        "end_s": 10.0 * number,
        "latencies_ms": latencies_ms,
        "unanswered": unanswered,
        "reasons": {"pass": 2},
        "rtf": 1.0 - 0.01 * number,
        "sim": {"late_ticks": number, "skipped_ticks": 0},
        "rss_mb": {"encoder_node": 90.0 + number},
        "shm_mb": 0.0,
    }


def test_a_tick_is_late_beyond_one_period_and_the_ends_of_the_run_are_compared():
    windows = [window(1, [5.0, 5.0]), window(2, [80.0, 80.1], unanswered=1), window(3, [9.0, 9.0])]
    found = conclude(windows, period_ms=80.0)
    assert (found["frames"], found["late_ticks"], found["unanswered"]) == (6, 1, 1)
    assert (found["p99_first_third_ms"], found["p99_last_third_ms"]) == (5.0, 9.0)
    assert found["latency_ms"]["max"] == 80.1
    assert found["simulator"] == {"late_ticks": 3, "skipped_ticks": 0, "rtf_min": pytest.approx(0.97)}
    assert found["reasons"] == {"pass": 6}
    assert found["memory"]["encoder_node"]["last_mb"] == 93.0


def test_a_window_without_an_answer_is_drawn_as_a_gap(tmp_path):
    windows = [window(1, [5.0]), window(2, []), window(3, [9.0])]
    result = {"minutes": 0.5, "task": "PointGoal1", "period_ms": 80.0, "windows": windows}
    write_soak_plot(tmp_path / "soak.png", result)
    assert (tmp_path / "soak.png").read_bytes()[:4] == b"\x89PNG"


def test_memory_and_shared_memory_of_a_process_are_read_from_the_kernel():
    assert resident_mb(os.getpid()) > 10.0
    before = shared_mb([os.getpid()])
    with open("/dev/shm/safe_o2o_ros_soak_test", "w+b") as file:
        os.unlink(file.name)
        file.truncate(1_000_000)
        mapped = mmap.mmap(file.fileno(), 1_000_000)
        assert shared_mb([os.getpid(), os.getpid()]) - before == pytest.approx(1.0, abs=0.01)
        mapped.close()
