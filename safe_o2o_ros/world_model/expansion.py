"""policy.onnx of safe policy expansion: the offline actor as it was shipped, and an online one beside it.

The offline actor is not exported again: its graph is taken over node by node, so it stays frozen to the last
bit, whatever torch or its exporter do.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from safe_o2o_ros.world_model.actor import Actor
from safe_o2o_ros.world_model.compress import store_as_float16
from safe_o2o_ros.world_model.critics import QEnsemble
from safe_o2o_ros.world_model.export import PolicyGraph, Prices, to_onnx
from safe_o2o_ros.world_model.risk import RiskBound

OFFLINE = "offline/"
"""Prefix of everything in a graph that belongs to the frozen actor."""
_OFFLINE_ACTIONS = "offline_actions"


class OnlineGraph(nn.Module):
    """(latent, the offline actor's action (B, 1, A)) -> actions (B, 2, A), scores (B, 2)."""

    def __init__(
        self,
        actor: Actor,
        choosing: tuple[QEnsemble, RiskBound],
        evaluation: tuple[QEnsemble, QEnsemble],
        prices: Prices,
        feature: int,
    ) -> None:
        """`choosing`, `evaluation`, `prices`: see PolicyGraph; `feature`: width of what networks look at."""
        super().__init__()
        # The names under which `learning/unpack.py` reads a bundle.
        self.inner = PolicyGraph([actor], choosing, evaluation, prices)
        self._feature = feature

    def forward(self, latent: Tensor, offline_actions: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        seen = latent[:, : self._feature]
        online = self.inner.choose(cast(Actor, self.inner.actors[0]), seen).unsqueeze(1)
        actions = torch.cat([offline_actions, online], 1)
        return actions, self.inner.score(seen, actions)


def expanded_policy(parent: bytes, online: OnlineGraph, latent: int) -> bytes:
    """policy.onnx with both actors; `parent`: that of the running bundle, with one actor or with two.

    `latent`: width of the latent. The parent's offline actor is kept, its online one is replaced.
    """
    import onnx
    from onnx import helper

    actions = online.inner.grid.shape[1]
    example = torch.zeros(2, latent), torch.zeros(2, 1, actions)
    grown = onnx.load_model_from_string(
        to_onnx(online, example, ["latent", _OFFLINE_ACTIONS], ["actions", "scores"])
    )
    frozen = _offline_part(onnx.load_model_from_string(parent))
    offline = next(o.name for o in frozen.graph.output)
    for node in grown.graph.node:
        for place, name in enumerate(node.input):
            if name == _OFFLINE_ACTIONS:
                node.input[place] = offline
    nodes = [*frozen.graph.node, *grown.graph.node]
    # One graph must have its nodes in the order of data: the frozen actor comes first.
    merged = helper.make_graph(
        nodes,
        "expansion",
        [i for i in grown.graph.input if i.name == "latent"],
        list(grown.graph.output),
        [*frozen.graph.initializer, *grown.graph.initializer],
        value_info=[frozen.graph.output[0]],  # by which it is found again
    )
    model = helper.make_model(merged, opset_imports=grown.opset_import, ir_version=grown.ir_version)
    return store_as_float16(model.SerializeToString())


def _offline_part(policy: Any) -> Any:
    """latent -> the offline actor's action, with every name but `latent` under OFFLINE."""
    from onnx.compose import add_prefix
    from onnx.utils import Extractor

    output = f"{OFFLINE}actions"
    if any(output in node.output for node in policy.graph.node):  # it was expanded before
        return Extractor(policy).extract_model(["latent"], [output])
    frozen = add_prefix(Extractor(policy).extract_model(["latent"], ["actions"]), OFFLINE)
    for node in frozen.graph.node:
        for place, name in enumerate(node.input):
            if name == f"{OFFLINE}latent":
                node.input[place] = "latent"
    return frozen
