"""What ours is compared with: each method is a change of the agent's settings, and nothing else differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning.config import AgentTraining, PretrainConfig

OURS = "ours"


@dataclass(frozen=True)
class Method:
    """A row of the comparison."""

    line: str
    """What it is, for tables."""
    part: bool
    """Ours with one part of it off; False: ours as it is, or another agent."""
    change: Callable[[AgentTraining], dict[str, Any]]
    """Settings that replace those of ours."""


METHODS: dict[str, Method] = {
    OURS: Method("ours", False, lambda c: {}),
    # Nothing to wait for, nobody to score: the actor trains alone, from the first update to the last.
    "clone": Method(
        "behaviour cloning",
        False,
        lambda c: {"weights": "equal", "driver": "actor", "actor_from": 0.0, "evaluation_from": 1.0},
    ),
    # The reward critics choose: without a price of risk, "certified" would be the likeliest proposal.
    "reward_only": Method(
        "reward alone, no reachability",
        False,
        lambda c: {"weights": "reward", "driver": "critics", "risk_price": 0.0},
    ),
    # The actor starts from the same imitation and waits as long for its critics as ours for its own.
    "lagrangian": Method(
        "Lagrangian in imagination",
        False,
        lambda c: {
            "actor_learns": "imagination",
            "driver": "actor",
            "evaluation_from": 0.0,
            "imagine_every": 1,
        },
    ),
    "lower_reward_expectile": Method(
        "lower reward expectile", True, lambda c: {"tau_reward": 1.0 - c.tau_reward}
    ),
    "upper_safety_expectile": Method(
        "upper cost and risk expectiles",
        True,
        lambda c: {"tau_cost": 1.0 - c.tau_cost, "tau_reach": 1.0 - c.tau_reach},
    ),
    "no_reach_weight": Method("weights without reachability", True, lambda c: {"weights": "reward"}),
    "no_data_critics": Method("no choice by critics", True, lambda c: {"driver": "actor"}),
    # At the price that PointGoal1's first bundle had.
    "reward_critics": Method(
        "choice by the reward critics", True, lambda c: {"driver": "critics", "risk_price": 16.0}
    ),
    "no_margin_head": Method("risk without the margin head", True, lambda c: {"margin_near_m": 0.0}),
    # They choose, so they must know as long as those of ours what the actor does.
    "policy_critics": Method(
        "choice by the policy's critics",
        True,
        lambda c: {"driver": "policy_critics", "evaluation_from": c.actor_from},
    ),
}
"""Name -> method, in the order of tables. Losses and weights they switch: AgentTraining's fields."""


_AT_DEPLOYMENT = ("driver", "risk_price", "certified_risk", "margin_near_m", "kappa")
"""Settings that no update looks at."""


def twins(name: str, config: PretrainConfig) -> list[str]:
    """The other methods whose training is the same, so that one agent serves all of them."""
    mine, found = configured(name, config).agent, []
    for other in METHODS:
        its = configured(other, config).agent
        shared = dataclasses.replace(its, **{key: getattr(mine, key) for key in _AT_DEPLOYMENT})
        if other != name and shared == mine and its.in_sample == mine.in_sample:
            found.append(other)
    return found


def configured(name: str, config: PretrainConfig) -> PretrainConfig:
    """`config` as the method `name` has it. Raises UsageError on an unknown name."""
    if name not in METHODS:
        raise UsageError(f"unknown method '{name}': choose among {', '.join(METHODS)}")
    changes = METHODS[name].change(config.agent)
    return dataclasses.replace(config, agent=dataclasses.replace(config.agent, **changes))
