"""Networks to ONNX, and the proof that ONNX Runtime computes the same."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from safe_o2o_ros.inference import Network
from safe_o2o_ros.safety.novelty import SIGNS
from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.compress import store_as_float16
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.critics import QEnsemble, VCritic, of_commands
from safe_o2o_ros.world_model.novelty import Novelty, Repeats
from safe_o2o_ros.world_model.risk import RiskBound, UpperBound
from safe_o2o_ros.world_model.support import Support
from safe_o2o_ros.world_model.vision import ImageEncoder, normalise

OPSET = 18


class Recurrence(Protocol):
    """What can be an encoder: a world model, or the cloned baseline."""

    config: ModelConfig
    encoder: ImageEncoder

    def step_embedded(
        self, embedding: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`step` from an image embedding."""
        ...

    def step(
        self, image: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """latent, next_state, surprise."""
        ...


@dataclass(frozen=True)
class Graphs:
    """The three networks of a bundle in torch, and the widths of what the encoder emits and carries."""

    encoder: Recurrence
    policy: nn.Module
    safety: nn.Module
    feature: int
    """Width of what policy and safety networks look at."""
    recurrent: int
    """Width of what the encoder itself carries."""
    novelty: Novelty | None = None
    """Measures how unlike training the pictures are; None: that is not known."""

    @property
    def latent(self) -> int:
        """Width of what is published: features, and behind them what is novel."""
        return self.feature + (0 if self.novelty is None else len(SIGNS))

    @property
    def safety_outputs(self) -> list[str]:
        """Of safety.onnx."""
        known = getattr(self.safety, "support", None) is not None
        return ["risk", "cost", "state_risk", *(["support"] if known else [])]

    def on_latents(self) -> tuple[OnFeature, OnFeatureAndActions]:
        """Policy and safety networks as they are exported: of whole latents."""
        return OnFeature(self.policy, self.feature), OnFeatureAndActions(self.safety, self.feature)

    @property
    def state(self) -> int:
        """Width of what is carried from step to step."""
        return self.recurrent + (0 if self.novelty is None else Repeats(self.encoder.config.channels).size)


class EncoderGraph(nn.Module):
    """encoder.onnx: see `safe_o2o_ros.bundle.signatures`."""

    def __init__(self, graphs: Graphs) -> None:
        super().__init__()
        self.model, self.novelty = graphs.encoder, graphs.novelty
        self.repeats, self._recurrent = Repeats(graphs.encoder.config.channels), graphs.recurrent

    def forward(
        self, image: Tensor, action: Tensor, state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """latent, next_state, surprise."""
        if self.novelty is None:
            return self.model.step(image, action, state, is_first)
        seen = normalise(image)
        embedding = self.model.encoder(seen)
        carried, before = state[:, : self._recurrent], state[:, self._recurrent :]
        feature, following, surprise = self.model.step_embedded(embedding, action, carried, is_first)
        thumbnails = self.repeats.thumbnails(seen)
        repeated = self.repeats(thumbnails, before, action) * (1.0 - is_first)
        latent = torch.cat([feature, surprise, self.novelty(seen, embedding), repeated], 1)
        return latent, torch.cat([following, thumbnails], 1), surprise


class _OnFeature(nn.Module):
    """A network that looks at features, given whole latents."""

    def __init__(self, inner: nn.Module, feature: int) -> None:
        super().__init__()
        self.inner, self._feature = inner, feature


class OnFeature(_OnFeature):
    """policy.onnx."""

    def forward(self, latent: Tensor) -> tuple[Tensor, ...]:
        """See the inner network."""
        return cast(tuple[Tensor, ...], self.inner(latent[:, : self._feature]))


class OnFeatureAndActions(_OnFeature):
    """safety.onnx."""

    def forward(self, latent: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """See the inner network."""
        return cast(tuple[Tensor, ...], self.inner(latent[:, : self._feature], actions))


LEAST_WEIGHT = 0.1
"""Share of a mixture below which a component's proposals are not considered: they are off the data."""
LEAST_NATS, SHIFTED_NATS, UNLIKELY_NATS = -4.0, 0.7, -6.0
"""In the choice by certification: what the unlikeliest component counts; by how much less half a mean, or
one a deviation aside, counts; what an action of the grid counts."""
GRID_LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Of each channel, effective units, where every proposal is risky."""


@dataclass(frozen=True)
class Prices:
    """How a policy weighs what its critics say."""

    risk: float
    """Reward (critics), or nats of likelihood (certified), that one unit of risk is worth in the choice."""
    kappa: float
    """Reward that one unit of discounted cost is worth, in the score of the chosen action."""
    sigma: float
    """The data set's return standard deviation, which makes scores comparable over bundles."""
    by: str = "critics"
    """Who chooses, see PolicyGraph: "critics", "certified", or "likeliest"."""
    certified: float = 1.0
    """Risk up to which a proposal is certified."""
    score: float = 0.0
    """Nats of likelihood that one unit of score is worth in the choice by certification; 0: nothing."""


class PolicyGraph(nn.Module):
    """policy.onnx: one action and one score per actor.

    An actor proposes what the data would do, and one of its proposals is taken. By
    * critics: the one with the highest min Q_r - price * risk (as in IDQL, arXiv 2304.10573, for reward);
    * certified: the likeliest one whose risk is certified. The actor's weights already favour reward, and Q_r
      errs where nobody stood: a robot that follows its maximum may settle there for good;
    * likeliest: the mean of the likeliest component, whatever its risk.
    Where no proposal is certified, certified takes from a grid over all actions: drivers seldom show a way
    out of where they never get themselves, but random bursts in the data cover it.
    """

    grid: Tensor
    """(G, A) effective actions."""

    def __init__(
        self,
        actors: list[Actor],
        choosing: tuple[QEnsemble, RiskBound | UpperBound],
        evaluation: tuple[QEnsemble, QEnsemble],
        prices: Prices,
    ) -> None:
        """`choosing`: Q_r and a bound of harm; `evaluation`: (Q_r, Q_c) of the current policy, to score."""
        super().__init__()
        self.actors = nn.ModuleList(actors)
        self.choose_reward, self.choose_risk = choosing
        self.q_reward, self.q_cost = evaluation
        self.prices = prices
        levels = torch.tensor(GRID_LEVELS)
        self.register_buffer("grid", torch.cartesian_prod(*[levels] * actors[0].action_dim))

    def choose(self, actor: Actor, latent: Tensor) -> Tensor:
        """The actor's best proposal (B, A)."""
        if self.prices.by == "likeliest":
            return actor.likeliest(latent)
        actions, log_weight = actor.proposals(latent)
        if self.prices.by == "critics":
            features = latent.unsqueeze(1).expand(-1, actions.shape[1], -1)
            worth = self.choose_reward(features, actions).amin(0)
            worth = worth - self.prices.risk * self.choose_risk(features, actions)
            # The likeliest component always stays, so there is always a choice.
            floor = torch.clamp(log_weight.amax(-1, keepdim=True), max=math.log(LEAST_WEIGHT))
            worth = torch.where(log_weight >= floor, worth, torch.full_like(worth, -1e9))
        else:
            shifted = torch.arange(actions.shape[1], device=latent.device) >= actor.components
            likely = log_weight.clamp(min=LEAST_NATS) - SHIFTED_NATS * shifted
            anything = self.grid.expand(latent.shape[0], -1, -1)
            actions = torch.cat([actions, anything], 1)
            worth = torch.cat([likely, torch.full_like(anything[..., 0], UNLIKELY_NATS)], 1)
            risk = self.choose_risk(latent.unsqueeze(1).expand(-1, actions.shape[1], -1), actions)
            worth = worth - self.prices.risk * torch.clamp(risk - self.prices.certified, min=0.0)
            if self.prices.score > 0.0:
                worth = worth + self.prices.score * self.score(latent, actions)
        best = worth.argmax(-1)
        return actions.gather(1, best[:, None, None].expand(-1, 1, actions.shape[-1])).squeeze(1)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """actions (B, P, A), scores (B, P): (min Q_r - kappa max Q_c) / sigma."""
        actions = torch.stack([self.choose(cast(Actor, actor), latent) for actor in self.actors], 1)
        return actions, self.score(latent, actions)

    def score(self, latent: Tensor, actions: Tensor) -> Tensor:
        """Scores (B, P) of actions (B, P, A)."""
        features = latent.unsqueeze(1).expand(-1, actions.shape[1], -1)
        reward = self.q_reward(features, actions).amin(0)
        cost = self.q_cost(features, actions).amax(0)
        return (reward - self.prices.kappa * cost) / self.prices.sigma


class SafetyGraph(nn.Module):
    """safety.onnx: ensemble's upper bounds for a batch of commands in one state."""

    def __init__(
        self, risk: RiskBound, v_reach: VCritic, q_cost: QEnsemble, support: Support | None = None
    ) -> None:
        super().__init__()
        self.risk, self.v_reach, self.q_cost, self.support = risk, v_reach, q_cost, support

    def forward(self, latent: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """risk (B, K), cost (B, K), state_risk (B, 1); support (B, K) where it is known."""
        risk = self.risk.of_commands(latent, actions)
        cost = of_commands(self.q_cost, latent, actions).amax(0)
        told = risk, cost, self.v_reach(latent).unsqueeze(-1)
        return told if self.support is None else (*told, self.support.of_commands(latent, actions))


def to_onnx(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    candidates: bool = False,
) -> bytes:
    """Serialise; axis 0 of every input is free, and with `candidates` axis 1 of the last input too."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    shapes: list[dict[int, object]] = [{0: batch} for _ in example]
    if candidates:
        shapes[-1][1] = torch.export.Dim("candidates", min=1, max=4096)
    # The exporter tells of its own deprecations and of torchvision, which is not used here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), _all_different(graph):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return store_as_float16(bytes(program.model_proto.SerializeToString()))


@contextmanager
def _all_different(graph: nn.Module) -> Iterator[None]:
    """For a while no two tensors of `graph` are the same to the last bit.

    The exporter stores equal ones once, under one name, and fine-tuning would not find the others: a critic
    that never had anything to learn, as of rewards in recordings that know none, is as it was initialised.
    """
    seen: set[tuple[torch.Size, bytes]] = set()
    moved: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for tensor in (*graph.parameters(), *graph.buffers()):
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            first, before = tensor[(0,) * tensor.dim()], tensor.clone()
            while (key := (tensor.shape, tensor.numpy().tobytes())) in seen:
                first.copy_(torch.nextafter(first, torch.full_like(first, torch.inf)))
            seen.add(key)
            if not torch.equal(tensor, before):
                moved.append((tensor, before))
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in moved:
                tensor.copy_(before)


def export_networks(graphs: Graphs) -> dict[str, bytes]:
    """encoder.onnx, policy.onnx, safety.onnx. Faithful for rounded weights only (see compress.py)."""
    c = graphs.encoder.config
    policy, safety = graphs.on_latents()
    image = torch.zeros(2, c.image_size, c.image_size, c.channels, dtype=torch.uint8)
    action, state, first = torch.zeros(2, c.action_dim), torch.zeros(2, graphs.state), torch.zeros(2, 1)
    latent, commands = torch.zeros(2, graphs.latent), torch.zeros(2, 3, c.action_dim)
    return {
        "encoder.onnx": to_onnx(
            EncoderGraph(graphs),
            (image, action, state, first),
            ["image", "action", "state", "is_first"],
            ["latent", "next_state", "surprise"],
        ),
        "policy.onnx": to_onnx(policy, (latent,), ["latent"], ["actions", "scores"]),
        "safety.onnx": to_onnx(
            safety,
            (latent, commands),
            ["latent", "actions"],
            graphs.safety_outputs,
            candidates=True,
        ),
    }


@dataclass(frozen=True)
class Parity:
    """Largest differences between torch and ONNX Runtime."""

    per_step: dict[str, float]
    """Output name -> max |difference| from equal states over the roll-out; of "novelty", the signs at the end
    of a latent, which have no bound, as a share."""
    rollout: float
    """max |difference| of the latent over a roll-out in which each runtime carries its own state."""
    category_flips: int
    """Categories whose mode differed during that roll-out."""
    steps: int


@torch.no_grad()
def check_parity(
    graphs: Graphs,
    networks: Mapping[str, Network],
    images: NDArray[np.uint8],
    actions: NDArray[np.float32],
) -> Parity:
    """Compare on recorded images (T, H, W, C) uint8 and effective actions (T, A) before each of them."""
    worst: dict[str, float] = {}

    def note(
        names: list[str], torch_values: tuple[Tensor, ...], onnx_values: dict[str, NDArray[np.float32]]
    ) -> None:
        for name, value in zip(names, torch_values, strict=True):
            error = float(np.abs(value.numpy() - onnx_values[name]).max())
            worst[name] = max(worst.get(name, 0.0), error)

    encoder = EncoderGraph(graphs)
    policy, safety = graphs.on_latents()
    c = graphs.encoder.config
    one_hot = slice(c.deter, c.dynamics)  # empty for a clone
    rng = np.random.default_rng(0)
    own = np.zeros((1, graphs.state), np.float32)
    torch_state = torch.zeros(1, graphs.state)
    rollout, flips = 0.0, 0
    for t in range(len(images)):
        first: NDArray[np.float32] = np.full((1, 1), float(t == 0), np.float32)
        frame, action = images[t : t + 1], actions[t : t + 1].astype(np.float32)
        feature, following, surprise = encoder(
            torch.from_numpy(frame), torch.from_numpy(action), torch_state, torch.from_numpy(first)
        )
        inputs: dict[str, NDArray[Any]] = {
            "image": frame,
            "action": action,
            "state": torch_state.numpy(),
            "is_first": first,
        }
        equal = networks["encoder.onnx"].run(inputs)
        note(["next_state", "surprise"], (following, surprise), equal)
        for name, apart in _apart(feature.numpy(), equal["latent"], graphs.feature).items():
            worst[name] = max(worst.get(name, 0.0), apart)
        free = networks["encoder.onnx"].run({**inputs, "state": own})
        rollout = max(rollout, _apart(feature.numpy(), free["latent"], graphs.feature)["latent"])
        flips += int(np.abs(following.numpy() - free["next_state"])[:, one_hot].sum() / 2)
        own, torch_state = free["next_state"], following
        commands = rng.uniform(-1, 1, (1, 5, c.action_dim)).astype(np.float32)
        latent = feature.numpy()
        note(["actions", "scores"], policy(feature), networks["policy.onnx"].run({"latent": latent}))
        note(
            graphs.safety_outputs,
            safety(feature, torch.from_numpy(commands)),
            networks["safety.onnx"].run({"latent": latent, "actions": commands}),
        )
    return Parity(worst, rollout, flips, len(images))


def _apart(
    torch_latent: NDArray[np.float32], onnx_latent: NDArray[np.float32], feature: int
) -> dict[str, float]:
    """Largest difference of the features, and of the signs of novelty; see Parity."""
    apart = np.abs(torch_latent - onnx_latent)
    worst = {"latent": float(apart[:, :feature].max())}
    if apart.shape[1] > feature:
        scale = np.maximum(1.0, np.abs(torch_latent[:, feature:]))
        worst["novelty"] = float((apart[:, feature:] / scale).max())
    return worst
