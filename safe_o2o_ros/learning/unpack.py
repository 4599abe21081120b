"""A bundle's networks read back into torch, so that any bundle can be trained further.

Exporters store a linear layer's weight under its own name, or transposed as the second factor of a MatMul to
whose result the layer's bias, which keeps its name, is added. Both are found here. What comes out is compared
with ONNX Runtime by the caller (`check_unpacked`): nothing rests on the naming alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from safe_o2o_ros.bundle import ENCODER, POLICY, SAFETY
from safe_o2o_ros.errors import BundleShapeError
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.safety.novelty import SIGNS
from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.critics import QEnsemble, VCritic
from safe_o2o_ros.world_model.expansion import OFFLINE
from safe_o2o_ros.world_model.export import Prices
from safe_o2o_ros.world_model.percept import Percept
from safe_o2o_ros.world_model.support import Support

_ADVICE = (
    "fine-tune a bundle that `safe-o2o pretrain` made with an agent that chooses certified proposals, and "
    "not with the config debug, whose networks are too small to be stored whole"
)
_HALF = ".float16"
"""Suffix of what is stored with half the precision."""


class StoredGraph:
    """The weights of one ONNX file by the names they had in torch."""

    def __init__(self, path: Path) -> None:
        """Raises BundleShapeError where `path` is no ONNX file."""
        import onnx
        from onnx import numpy_helper

        try:
            self._model = onnx.load(str(path))
        except Exception as error:  # protobuf's exceptions share no public base
            raise BundleShapeError(f"{path} cannot be read as ONNX: {str(error).splitlines()[0]}") from error
        self.name = path.name
        self._nodes = list(self._model.graph.node)
        # Large weights are stored as float16 and cast when they are loaded (world_model/compress.py).
        self._stored = {i.name.removesuffix(_HALF): i for i in self._model.graph.initializer}
        self._values = {k: numpy_helper.to_array(i).astype(np.float32) for k, i in self._stored.items()}
        self._by_output = {name: node for node in self._nodes for name in node.output}

    def has(self, prefix: str) -> bool:
        """Anything is stored under `prefix`."""
        return any(name.startswith(prefix) for name in self._values)

    def value(self, name: str) -> NDArray[np.float32] | None:
        """What is stored under a name."""
        return self._values.get(name)

    def weight(self, layer: str) -> NDArray[np.float32]:
        """The weight (out, in) of the linear layer `layer`. Raises BundleShapeError."""
        name, turned = self._place(f"{layer}.weight")
        return self._values[name].T if turned else self._values[name]

    def load(self, prefix: str, module: nn.Module) -> None:
        """Fill `module`'s parameters from what is stored under `prefix`. Raises BundleShapeError."""
        state: dict[str, Tensor] = {}
        for name, parameter in module.state_dict().items():
            place, turned = self._place(f"{prefix}{name}")
            stored = self._values[place].T if turned else self._values[place]
            if stored.shape != tuple(parameter.shape):
                raise BundleShapeError(
                    f"{self.name} holds {stored.shape} for '{prefix}{name}', which is "
                    f"{tuple(parameter.shape)}: {_ADVICE}"
                )
            state[name] = torch.from_numpy(np.ascontiguousarray(stored))
        module.load_state_dict(state)

    def store(self, prefix: str, module: nn.Module) -> None:
        """Put `module`'s parameters in the place of what is stored under `prefix`, in its precision.

        Exact for rounded weights (`world_model/compress.py`). Raises BundleShapeError.
        """
        from onnx import numpy_helper

        for name, parameter in module.state_dict().items():
            place, turned = self._place(f"{prefix}{name}")
            values = parameter.detach().cpu().numpy()
            values = np.ascontiguousarray(values.T if turned else values)
            tensor = self._stored[place]
            old = numpy_helper.to_array(tensor)
            if old.shape != values.shape:
                raise BundleShapeError(f"'{prefix}{name}' is {values.shape}, {self.name} holds {old.shape}")
            tensor.CopyFrom(numpy_helper.from_array(values.astype(old.dtype), tensor.name))
            self._values[place] = values.astype(np.float32)

    def to_bytes(self) -> bytes:
        """The file with what was stored."""
        return bytes(self._model.SerializeToString())

    def _place(self, name: str) -> tuple[str, bool]:
        """Where the parameter `name` is stored, and whether transposed. Raises BundleShapeError."""
        if name in self._values:
            return name, False
        bias = name.removesuffix(".weight") + ".bias"
        for node in self._nodes:
            if node.op_type == "Add" and bias in node.input:
                for term in node.input:
                    product = self._by_output.get(term)
                    if (
                        product is not None
                        and product.op_type == "MatMul"
                        and product.input[1] in self._values
                    ):
                        return product.input[1], True
        raise BundleShapeError(f"{self.name} holds nothing for '{name}': {_ADVICE}")

    def constant_before(self, op: str, chain: Callable[[Any], bool]) -> list[float]:
        """Scalar constants that enter nodes of type `op` for which `chain` holds."""
        found = []
        for node in self._nodes:
            if node.op_type == op and not node.output[0].startswith(OFFLINE) and chain(node):
                found += [float(self._values[i]) for i in node.input if self._scalar(i)]
        return found

    def followed_by(self, node: Any, op: str) -> Any | None:
        """The node of type `op` that takes `node`'s first output, or None."""
        takers = (n for n in self._nodes if n.op_type == op and node.output[0] in n.input)
        return next(takers, None)

    def _scalar(self, name: str) -> bool:
        return name in self._values and self._values[name].size == 1


@dataclass(frozen=True)
class Names:
    """Prefixes of the modules in policy.onnx and safety.onnx: two exporters had different ones."""

    actor: str
    chosen_risk: str
    """The reachability ensemble inside policy.onnx; "" where its choice asks none."""
    pi_reward: str
    pi_cost: str
    q_reach: str
    v_reach: str
    q_cost: str
    margin: str
    support: str

    @classmethod
    def of(cls, policy: StoredGraph, safety: StoredGraph) -> Names:
        """As these files have them."""
        p, s = ("inner." if g.has("inner.") else "" for g in (policy, safety))
        risk = f"{s}risk." if safety.has(f"{s}risk.") else s
        chosen = f"{p}choose_risk.q_reach."
        return cls(
            f"{p}actors.0.",
            chosen if policy.has(chosen) else "",
            f"{p}q_reward.",
            f"{p}q_cost.",
            f"{risk}q_reach.",
            f"{s}v_reach.",
            f"{s}q_cost.",
            f"{risk}percept.margin.",
            f"{s}support.",
        )


@dataclass(frozen=True)
class Unpacked:
    """What a bundle's policy.onnx and safety.onnx hold, as modules in evaluation mode."""

    config: ModelConfig
    feature: int
    """Width of what policy and safety networks look at; the latent may have signs of novelty behind."""
    sees_percept: bool
    """The actor looks at the percept's part of a feature only."""
    actor: Actor
    """The newest actor: the online one where there are two."""
    q_reach: QEnsemble
    v_reach: VCritic
    q_cost: QEnsemble
    pi_reward: QEnsemble
    pi_cost: QEnsemble
    percept: Percept | None
    """Only its margin head is filled; None where the risk does not ask it."""
    near_m: float
    """See RiskBound; 0 without margin head."""
    support: Support | None
    prices: Prices


def unpack(directory: Path, manifest: Manifest) -> Unpacked:
    """The networks of the bundle at `directory`. Raises BundleShapeError where it was made otherwise."""
    policy, safety = StoredGraph(directory / POLICY), StoredGraph(directory / SAFETY)
    encoder = StoredGraph(directory / ENCODER)
    names = Names.of(policy, safety)
    config = _sizes(encoder, policy, safety, manifest, names)
    feature = manifest.latent.size - (len(SIGNS) if manifest.latent.novelty else 0)
    if config.feature != feature:
        raise BundleShapeError(
            f"the latent of {directory} is {feature} wide, not {config.feature}: {_ADVICE}"
        )
    width = policy.weight(f"{names.actor}net.0").shape[1]
    actor = Actor(config, inputs=width)
    q_reach, q_cost = QEnsemble(config, bounded=True), QEnsemble(config)
    v_reach, pi_reward, pi_cost = VCritic(config, bounded=True), QEnsemble(config), QEnsemble(config)
    policy.load(names.actor, actor)
    policy.load(names.pi_reward, pi_reward)
    policy.load(names.pi_cost, pi_cost)
    safety.load(names.q_reach, q_reach)
    safety.load(names.v_reach, v_reach)
    safety.load(names.q_cost, q_cost)
    percept, near_m, support = None, 0.0, None
    if safety.has(names.margin):
        percept = Percept(config, 1)
        safety.load(names.margin, percept.margin)
        near_m = _near_m(safety)
    if safety.has(names.support):
        support = Support(config)
        safety.load(names.support, support)
    out = Unpacked(
        config,
        feature,
        width == config.percept and width != feature,
        actor,
        q_reach,
        v_reach,
        q_cost,
        pi_reward,
        pi_cost,
        percept,
        near_m,
        support,
        _prices(policy, manifest),
    )
    for module in (actor, q_reach, v_reach, q_cost, pi_reward, pi_cost, percept, support):
        if module is not None:
            module.eval()
    return out


def _sizes(
    encoder: StoredGraph, policy: StoredGraph, safety: StoredGraph, manifest: Manifest, names: Names
) -> ModelConfig:
    hidden = encoder.value("model.percept.cell.weight_hh")
    gates = encoder.value("model.rssm.gates.weight")
    prior = encoder.value("model.rssm.prior_net.3.weight")
    head = policy.value(f"{names.actor}net.0.bias")
    first = safety.value(f"{names.q_reach}members.0.0.bias")
    if hidden is None or gates is None or prior is None or head is None or first is None:
        raise BundleShapeError(
            f"the networks of {manifest.version} are not those of a world model: {_ADVICE}"
        )
    actions = manifest.adapter.action_dim
    members = itertools.takewhile(lambda i: safety.has(f"{names.q_reach}members.{i}."), itertools.count())
    return ModelConfig(
        channels=manifest.image.channels,
        image_size=manifest.image.height,
        action_dim=actions,
        deter=gates.shape[0] // 3,
        groups=1,  # how the stochastic part is divided matters to imagination only
        classes=prior.shape[0],
        units=len(head),
        critic_units=len(first),
        percept=hidden.shape[1],
        ensemble=len(list(members)),
        components=policy.weight(f"{names.actor}net.6").shape[0] // (1 + 2 * actions),
    )


def _near_m(safety: StoredGraph) -> float:
    """The constant in near_risk(margin, near_m) = clip((near_m - margin) / (2 near_m))."""
    found = safety.constant_before("Sub", lambda n: safety.followed_by(n, "Div") is not None)
    if len(set(found)) != 1:
        raise BundleShapeError(f"{safety.name} does not tell how near counts as risk: {_ADVICE}")
    return found[0]


def _prices(policy: StoredGraph, manifest: Manifest) -> Prices:
    """price * relu(risk - certified): the chain Sub, Clip, Mul."""

    def clipped(node: Any) -> bool:
        clip = policy.followed_by(node, "Clip") or policy.followed_by(node, "Relu")
        return clip is not None and policy.followed_by(clip, "Mul") is not None

    def after_sub(node: Any) -> bool:
        sources = [policy._by_output.get(i) for i in node.input]
        clip = next((s for s in sources if s is not None and s.op_type in ("Clip", "Relu")), None)
        before = None if clip is None else policy._by_output.get(clip.input[0])
        return before is not None and before.op_type == "Sub" and clipped(before)

    certified = policy.constant_before("Sub", clipped)
    price = policy.constant_before("Mul", after_sub)
    constants = manifest.normalisation
    kappa, sigma = constants.get("kappa", 1.0), constants["return_std"]
    if len(set(certified)) == 1 and len(set(price)) == 1:
        return Prices(price[0], kappa, sigma, "certified", certified[0])
    return Prices(0.0, kappa, sigma, "likeliest")


def state_of(unpacked: Unpacked) -> Mapping[str, nn.Module]:
    """Name -> module of everything that was read."""
    names = ("actor", "q_reach", "v_reach", "q_cost", "pi_reward", "pi_cost", "percept", "support")
    return {n: m for n in names if (m := getattr(unpacked, n)) is not None}
