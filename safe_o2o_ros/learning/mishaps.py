"""A linear head that tells mishaps from the percept of a finished world model.

Recordings with labels are few, and mishaps in them fewer: a handful of stretches. What has that few examples
gets one layer with a strong penalty, on features that were learned from everything else.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

_LEAST_SPREAD = 1e-3
_ITERATIONS = 60


class MishapHead:
    """Logistic regression on standardised features, both classes of equal weight."""

    def __init__(self, feature: NDArray[np.float32], mishap: NDArray[np.bool_], penalty: float = 1.0) -> None:
        """`feature` (N, P), `mishap` (N,); `penalty` on the sum of squared weights.

        Without examples of both kinds all scores are 0.
        """
        some = feature if len(feature) else np.zeros((1, feature.shape[1]), np.float32)
        self._mean = some.mean(0)
        self._spread = some.std(0) + _LEAST_SPREAD
        self._weight: NDArray[np.float32] = np.zeros(feature.shape[1], np.float32)
        self._bias = 0.0
        if mishap.any() and not mishap.all():
            self._fit(feature, mishap, penalty)

    def _fit(self, feature: NDArray[np.float32], mishap: NDArray[np.bool_], penalty: float) -> None:
        inputs = torch.from_numpy(((feature - self._mean) / self._spread).astype(np.float32))
        target = torch.from_numpy(mishap.astype(np.float32))
        balance = (1.0 - target.mean()) / target.mean()
        weight = torch.zeros(inputs.shape[1], requires_grad=True)
        bias = torch.zeros(1, requires_grad=True)
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS)

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            fit = binary_cross_entropy_with_logits(inputs @ weight + bias, target, pos_weight=balance)
            loss = fit + penalty * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        self._weight, self._bias = weight.detach().numpy(), float(bias.detach())

    def __call__(self, feature: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N,) log odds of a mishap, up to a constant, of features (N, P)."""
        return ((feature - self._mean) / self._spread) @ self._weight.astype(np.float64) + self._bias
