"""The upper bound of the risk, by hand."""

from __future__ import annotations

import pytest
import torch

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.critics import QEnsemble
from safe_o2o_ros.world_model.percept import Percept
from safe_o2o_ros.world_model.risk import RiskBound, near_risk

CONFIG = ModelConfig(depth=2, deter=3, groups=1, classes=2, units=4, percept=8)


def test_risk_rises_from_the_margin_where_it_begins_to_one_as_deep_inside() -> None:
    margins = torch.tensor([0.3, 0.1, 0.05, 0.0, -0.1, -0.5])
    assert near_risk(margins, 0.1).tolist() == pytest.approx([0.0, 0.0, 0.25, 0.5, 1.0, 1.0])


def test_the_most_worried_estimate_counts_and_an_untaught_margin_does_not() -> None:
    torch.manual_seed(0)
    ensemble, percept = QEnsemble(CONFIG, bounded=True), Percept(CONFIG, 16)
    torch.nn.init.zeros_(percept.margin[-1].weight)
    with torch.no_grad():
        percept.margin[-1].bias.copy_(torch.tensor([9.0, 0.5]))  # least margin ahead: 0.5 units = 5 cm
    feature, action = torch.randn(2, 3, CONFIG.feature), torch.rand(2, 3, 2)
    alone = RiskBound(ensemble, percept, CONFIG.dynamics, 0.0)(feature, action)
    assert torch.equal(alone, ensemble(feature, action).amax(0)) and float(alone.detach().max()) < 0.1
    both = RiskBound(ensemble, percept, CONFIG.dynamics, 0.1)(feature, action)
    assert both.flatten().tolist() == pytest.approx([0.25] * 6)
