"""The bundle's critics behind one call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros.bundle import SAFETY, load_bundle
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.risk import BundleRisk, RiskEstimate
from safe_o2o_ros.types import Latent, Proposal, Reason


def test_a_batch_of_commands_is_scored_as_each_alone(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle")
    risk = BundleRisk(load_bundle(tmp_path / "bundle", (SAFETY,)))
    rng = np.random.default_rng(0)
    feature = rng.standard_normal(STATE).astype(np.float32)
    actions = rng.uniform(-1, 1, (51, 2)).astype(np.float32)
    together = risk(feature, actions)
    assert together.risk.shape == together.cost.shape == (51,)
    for i in (0, 17, 50):
        alone = risk(feature, actions[i : i + 1])
        assert together.risk[i] == pytest.approx(alone.risk[0], abs=1e-6)
        assert together.cost[i] == pytest.approx(alone.cost[0], abs=1e-5)
        assert together.state_risk == pytest.approx(alone.state_risk, abs=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_bad_number_makes_an_estimate_unusable(bad: float, part: int) -> None:
    parts = [np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(1, np.float32)]
    assert RiskEstimate(parts[0], parts[1], float(parts[2][0])).is_finite()
    parts[part][-1] = bad
    assert not RiskEstimate(parts[0], parts[1], float(parts[2][0])).is_finite()


def test_a_real_bundle_passes_substitutes_and_escapes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((200, STATE)).astype(np.float32)
    seen = set()
    for threshold in (0.1, 0.5):
        manifest = write_tiny_bundle(tmp_path / "bundle", risk_threshold=threshold)
        bundle = load_bundle(tmp_path / "bundle", (SAFETY,))
        risk = BundleRisk(bundle)
        for feature in features:
            subject = SafetyFilter(manifest.adapter, FilterConfig(), risk, threshold, bundle.version)
            action = rng.uniform(-1, 1, 2).astype(np.float32)
            inputs = FilterInputs(True, Latent(1, "tiny-1", feature, 0.0), Proposal(1, action, "offline"))
            decision = subject.decide(inputs)
            seen.add(decision.reason)
            executed = manifest.adapter.effective(decision.action)
            certified = risk(feature, executed[None]).risk[0] <= threshold + 1e-6
            assert certified == (decision.reason is not Reason.ESCAPE)
    assert seen == {Reason.PASS, Reason.SUBSTITUTE, Reason.ESCAPE}
