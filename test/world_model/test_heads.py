"""Two-hot regression and its calibration, by hand."""

import pytest
import torch

from safe_o2o_ros.world_model.heads import TwoHotHead, two_hot
from safe_o2o_ros.world_model.layers import symlog


def test_two_hot_splits_a_value_between_its_neighbouring_bins():
    bins = torch.tensor([-1.0, 0.0, 2.0])
    encoded = two_hot(torch.tensor([0.5, -1.0, 2.0, 9.0, -9.0]), bins)
    expected = [[0.0, 0.75, 0.25], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    for row, want in zip(encoded.tolist(), expected, strict=True):
        assert row == pytest.approx(want)


def fitted(weight: float) -> TwoHotHead:
    """A head of constant logits that minimises the weighted loss on a 4 % rate of cost 1."""
    head = TwoHotHead(1, 4, bins=31, low=0.0, high=3.0, positive_weight=weight)
    target = torch.zeros(100)
    target[:4] = 1.0
    share = torch.where(target > 0.0, weight, 1.0)[:, None] * two_hot(symlog(target), head.bins)
    head.net[-1].bias.data = torch.log(share.sum(0) / share.sum() + 1e-12)
    head.loss(torch.zeros(100, 1), target).mean().backward()
    assert float(head.net[-1].bias.grad.abs().max()) < 1e-6  # it is the minimum
    return head.requires_grad_(False)


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_a_weighted_cost_head_decodes_the_true_rate(weight):
    assert float(fitted(weight).mean(torch.zeros(1, 1))) == pytest.approx(0.04, abs=1e-3)


def test_without_undoing_the_weight_four_percent_would_read_twenty_nine():
    head = fitted(10.0)
    head.positive_weight = 1.0
    # 0.04 * 10 / (0.04 * 10 + 0.96) = 0.294
    assert float(head.mean(torch.zeros(1, 1))) == pytest.approx(0.294, abs=5e-3)
