"""The mathematics of learning, each a pure function with a hand-computed test."""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLAT_RISK = 0.9
"""Risk of a state above which every action is as bad: inside a violation, or just before."""


def expectile(error: Tensor, tau: float) -> Tensor:
    """|tau - 1[error < 0]| error^2 with error = target - prediction (IQL, arXiv 2110.06169).

    tau > 0.5 regresses to the upper side of the targets, tau < 0.5 to the lower.
    """
    weight = torch.where(error < 0.0, 1.0 - tau, tau)
    return weight * error**2


def harm(cost: Tensor, margin: Tensor, near_m: float, near_risk: float) -> Tensor:
    """The reachability label l in [0, 1] of a transition with `cost` that ended at `margin` metres.

    1 where it cost something, else near_risk * clip(1 - margin / near_m, 0, 1): what only just did not
    touch would have touched with a little less luck. 0 where the margin is unknown (NaN) or near_m is 0.
    """
    violated = (cost > 0.0).to(margin.dtype)
    if near_m <= 0.0:
        return violated
    near = near_risk * torch.clamp(1.0 - margin / near_m, 0.0, 1.0)
    return torch.maximum(violated, torch.nan_to_num(near, nan=0.0))


def reachability_target(label: Tensor, cont: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """max(l, gamma * cont * phi_V(s')): harm now, or discounted later.

    The label is what was observed. cont = 0 only where the episode terminated; a time limit keeps 1.
    """
    return torch.maximum(label.to(next_value.dtype), gamma * cont * next_value)


def safety_bellman_target(margin: Tensor, cont: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """(1 - gamma) l + gamma min(l, V(s')), l the signed margin of the state itself, higher = safer.

    The discounted safety Bellman equation (Fisac et al., ICRA 2019). Where the episode terminated nothing
    follows, and l alone counts.
    """
    following = torch.minimum(margin, next_value)
    return (1.0 - gamma) * margin + gamma * torch.where(cont > 0.0, following, margin)


def td_target(reward: Tensor, cont: Tensor, next_value: Tensor, gamma: float) -> Tensor:
    """r + gamma * cont * V(s')."""
    return reward + gamma * cont * next_value


def lambda_returns(reward: Tensor, cont: Tensor, next_values: Tensor, gamma: float, lam: float) -> Tensor:
    """TD(lambda) returns R_t = r_t + gamma c_t ((1 - lam) V_{t+1} + lam R_{t+1}), all (..., T).

    next_values[t] is V(s_{t+1}); the last return bootstraps fully: R_{T-1} = r + gamma c V_T.
    """
    result = torch.empty_like(reward)
    following = next_values[..., -1]
    for t in range(reward.shape[-1] - 1, -1, -1):
        mixed = (1.0 - lam) * next_values[..., t] + lam * following
        following = reward[..., t] + gamma * cont[..., t] * mixed
        result[..., t] = following
    return result


def awr_weights(
    advantage_r: Tensor,
    risk_q: Tensor,
    risk_v: Tensor,
    advantage_c: Tensor,
    *,
    threshold: float,
    beta_r: float,
    beta_h: float,
    beta_c: float,
    clip: float,
) -> Tensor:
    """Weights (B,) of advantage-weighted regression (method.md, "Actor").

    Feasible states (risk_v <= threshold): 1[risk_q <= threshold] exp(clip(A_r / beta_r)), so that an
    action that leaves the feasible set has weight 0 whatever it earns.
    Infeasible: exp(clip((risk_v - risk_q) / beta_h)) for actions that lower the risk and 0 for the others,
    or every careless approach to a hazard would be imitated up to its edge. Where the risk is flat (near 1
    for every action inside a violation) the cost advantage ranks the escapes: exp(clip(A_c / beta_c)).
    """
    safe = (risk_q <= threshold).to(advantage_r.dtype)
    feasible = safe * torch.exp(torch.clamp(advantage_r / beta_r, -clip, clip))
    lowers = (risk_q <= risk_v).to(advantage_r.dtype)
    retreat = lowers * torch.exp(torch.clamp((risk_v - risk_q) / beta_h, -clip, clip))
    escape = torch.exp(torch.clamp(advantage_c / beta_c, -clip, clip))
    infeasible = torch.where(risk_v > FLAT_RISK, escape, retreat)
    return torch.where(risk_v <= threshold, feasible, infeasible)


def reward_weights(advantage_r: Tensor, *, beta_r: float, clip: float) -> Tensor:
    """Weights (B,) of regression that knows no safety: exp(clip(A_r / beta_r)) whatever the risk."""
    return torch.exp(torch.clamp(advantage_r / beta_r, -clip, clip))


def discounted_limit(cost_limit: float, action_repeat: int, gamma: float) -> float:
    """The discounted cost-to-go at a steady rate of `cost_limit` in 1000 control steps.

    gamma discounts per control period, which has `action_repeat` steps. Infinite without discount.
    """
    rate = cost_limit * action_repeat / 1000.0
    return rate / (1.0 - gamma) if gamma < 1.0 else math.inf


def augmented_multiplier(
    multiplier: Tensor, penalty: Tensor, excess: Tensor, growth: float
) -> tuple[Tensor, Tensor]:
    """Next multiplier and penalty of an augmented Lagrangian; `excess` = cost - limit.

    max(0, multiplier + penalty * excess) is at the same time the derivative of the Lagrangian by the cost,
    so it is the price of cost in this update. The penalty grows by the share `growth`, up to 1.
    (LAMBDA, arXiv 2201.09802; SafeDreamer, arXiv 2307.07176.)
    """
    following = torch.clamp(multiplier + penalty * excess, min=0.0)
    return following, torch.clamp(penalty * (1.0 + growth), max=1.0)


def lagrangian_advantage(advantage_r: Tensor, advantage_c: Tensor, price: Tensor) -> Tensor:
    """A_r - price * A_c in standard deviations around its mean, so that no price makes the steps larger.

    advantage_c > 0 means more cost than the policy expects.
    """
    total = advantage_r - price * advantage_c
    return (total - total.mean()) / total.std().clamp(min=1e-6)
