"""The linear mishap head: what it must find, and what it must not believe."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.cli.bench_reachability import area_under_curve
from safe_o2o_ros.learning.mishaps import MishapHead


def test_a_direction_that_tells_mishaps_is_found_among_others() -> None:
    rng = np.random.default_rng(0)
    feature = rng.standard_normal((400, 30)).astype(np.float32)
    mishap = feature[:, 3] + 0.3 * rng.standard_normal(400) > 1.3
    head = MishapHead(feature[:300], mishap[:300])
    assert area_under_curve(head(feature[300:]), mishap[300:]) > 0.9


def test_scale_and_offset_of_a_feature_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    feature = rng.standard_normal((200, 4)).astype(np.float32)
    mishap = feature[:, 0] > 0.5
    moved = feature * np.array([1000.0, 1.0, 0.1, 5.0], np.float32) + 7.0
    assert MishapHead(moved, mishap)(moved) == pytest.approx(MishapHead(feature, mishap)(feature), abs=0.03)


def test_without_examples_of_both_kinds_nothing_is_claimed() -> None:
    feature = np.ones((5, 2), np.float32)
    for mishap in (np.zeros(5, bool), np.ones(5, bool)):
        assert MishapHead(feature, mishap)(feature).tolist() == [0.0] * 5
    assert MishapHead(feature[:0], mishap[:0])(feature).tolist() == [0.0] * 5
