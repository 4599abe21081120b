"""The agent's networks: two families of critics, reachability, policy-evaluation critics, actor."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.actor import Actor, PerceptActor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.critics import QEnsemble, VCritic


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, rate: float) -> None:
    """Move a target network by `rate` towards what it is a slow copy of (Polyak)."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), rate)


class Multiplier(nn.Module):
    """The price of cost and how fast it grows: numbers of training, kept with the weights."""

    value: Tensor
    penalty: Tensor

    def __init__(self, value: float, penalty: float) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value))
        self.register_buffer("penalty", torch.tensor(penalty))


class Agent(nn.Module):
    """Everything that is trained on cached latents."""

    def __init__(self, config: ModelConfig, imitation: Actor | None = None) -> None:
        """`imitation`: a percept's behaviour to go on from; None: an untrained actor on whole latents."""
        super().__init__()
        # In-sample (expectile) family, on data transitions only.
        self.q_reward, self.v_reward = QEnsemble(config), VCritic(config)
        self.q_cost, self.v_cost = QEnsemble(config), VCritic(config)
        self.q_reach, self.v_reach = QEnsemble(config, bounded=True), VCritic(config, bounded=True)
        # Policy-evaluation family, of the current actor.
        self.pi_reward, self.pi_cost = QEnsemble(config), QEnsemble(config)
        self.actor = Actor(config) if imitation is None else PerceptActor(config, imitation)
        self._slow = {"q_reward", "q_cost", "q_reach", "pi_reward", "pi_cost"}
        self.targets = nn.ModuleDict({n: copy.deepcopy(getattr(self, n)) for n in sorted(self._slow)})
        self.targets.requires_grad_(False)

    def critics(self) -> Iterator[nn.Parameter]:
        """Parameters of every critic, targets excluded."""
        for name, module in self.named_children():
            if name not in ("actor", "targets"):
                yield from module.parameters()

    def follow(self, rate: float) -> None:
        """Move the target networks by `rate` (Polyak)."""
        for name, target in self.targets.items():
            follow(target, getattr(self, name), rate)
