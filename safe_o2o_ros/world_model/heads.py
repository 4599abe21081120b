"""Prediction heads: two-hot regression of scalars (reward, cost), Bernoulli (continue)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.layers import MLP, symexp, symlog


def two_hot(x: Tensor, bins: Tensor) -> Tensor:
    """Two-hot encoding (..., K) of values (...) on increasing `bins` (K,); values outside are clamped."""
    x = x.clamp(bins[0], bins[-1])
    upper = torch.searchsorted(bins, x.contiguous(), right=True).clamp(1, len(bins) - 1)
    lower = upper - 1
    weight = (x - bins[lower]) / (bins[upper] - bins[lower])
    encoded = torch.zeros(*x.shape, len(bins), dtype=x.dtype, device=x.device)
    encoded.scatter_(-1, lower.unsqueeze(-1), (1.0 - weight).unsqueeze(-1))
    encoded.scatter_(-1, upper.unsqueeze(-1), weight.unsqueeze(-1))
    return encoded


class TwoHotHead(nn.Module):
    """Distribution over symlog-spaced bins, trained by cross-entropy (DreamerV3).

    `positive_weight` multiplies the loss of targets > 0 (the paper uses 10 for costs). That trains the
    distribution of a re-weighted world; `mean` divides the weight out again, so that what is decoded
    is calibrated (a true rate of 4 % with weight 10 would otherwise read 29 %).
    """

    bins: Tensor

    def __init__(
        self,
        inputs: int,
        units: int,
        layers: int = 1,
        bins: int = 63,
        low: float = -4.0,
        high: float = 4.0,
        positive_weight: float = 1.0,
    ) -> None:
        """`low`, `high`: first and last bin, symlog scale; 4 stands for 53.6. Zero must be a bin."""
        super().__init__()
        self.net = MLP(inputs, bins, units, layers, zero_output=True)
        self.positive_weight = positive_weight
        self.register_buffer("bins", torch.linspace(low, high, bins))

    def loss(self, feature: Tensor, target: Tensor) -> Tensor:
        """Weighted cross-entropy (...) in nats for targets (...)."""
        log_probs = torch.log_softmax(self.net(feature).float(), -1)
        loss = -(two_hot(symlog(target), self.bins) * log_probs).sum(-1)
        return torch.where(target > 0.0, self.positive_weight * loss, loss)

    def mean(self, feature: Tensor) -> Tensor:
        """Expected value (...) with the loss weight undone."""
        probs = torch.softmax(self.net(feature).float(), -1)
        if self.positive_weight != 1.0:
            # Two-hot splits a positive target over two bins; both carry its weight. The bin at zero is
            # shared with zero targets and keeps weight 1.
            weight = torch.where(self.bins > 1e-6, self.positive_weight, 1.0)
            probs = probs / weight
            probs = probs / probs.sum(-1, keepdim=True)
        return (probs * symexp(self.bins)).sum(-1)


class BernoulliHead(nn.Module):
    """Probability that the episode continues."""

    def __init__(self, inputs: int, units: int, layers: int = 1) -> None:
        super().__init__()
        self.net = MLP(inputs, 1, units, layers, zero_output=True)

    def loss(self, feature: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy (...) in nats."""
        logit = self.net(feature).float().squeeze(-1)
        return nn.functional.binary_cross_entropy_with_logits(logit, target, reduction="none")

    def mean(self, feature: Tensor) -> Tensor:
        """Probability (...)."""
        return torch.sigmoid(self.net(feature).float()).squeeze(-1)
