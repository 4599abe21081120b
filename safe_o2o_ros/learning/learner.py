"""Fine-tuning a bundle: its networks read back, trained on recorded and on new episodes, packaged again.

The encoder stays as it is, so latents of old and of new bundles are the same, and the offline actor stays
frozen (world_model/expansion.py). What changes: the online actor, the critics that choose between the two,
and the safety critics.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from safe_o2o_ros.bundle import ENCODER, GOLDEN, POLICY, SAFETY, Bundle, load_bundle, versioned, write_bundle
from safe_o2o_ros.data import Episode, EpisodeReader
from safe_o2o_ros.errors import BundleError, UsageError
from safe_o2o_ros.inference import Network
from safe_o2o_ros.learning import checkpoint
from safe_o2o_ros.learning.agent import Agent
from safe_o2o_ros.learning.config import PROFILES, AgentTraining, PretrainConfig
from safe_o2o_ros.learning.experience import EpisodeEncoder, Pool, Replay, Seen
from safe_o2o_ros.learning.online_phase import OnlinePhase
from safe_o2o_ros.learning.package import PARITY_LIMIT
from safe_o2o_ros.learning.unpack import Names, StoredGraph, Unpacked, unpack
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.world_model.compress import round_weights
from safe_o2o_ros.world_model.expansion import OnlineGraph, expanded_policy
from safe_o2o_ros.world_model.export import OnFeature, OnFeatureAndActions, PolicyGraph, SafetyGraph, to_onnx
from safe_o2o_ros.world_model.risk import RiskBound

_GOLDEN = 16
"""Latents on which torch and ONNX Runtime are compared before a candidate is written."""


@dataclass(frozen=True)
class OnlineSettings:
    """What fine-tuning can be told."""

    share: float = 0.5
    """Of every batch that is the robot's own experience."""
    warmup: int = 1500
    """Updates of the critics alone, at first."""
    batch: int = 256
    critic_rate: float = 3e-4
    actor_rate: float = 1e-4
    target_rate: float = 0.1
    """Polyak rate of target networks: with 0.02, as offline, 5,000 updates see a hundred periods ahead."""
    kappa: float = 1.0
    """Price of one unit of discounted cost in the choice between the actors."""
    score: float = 50.0
    """Nats of likelihood that one unit of score is worth when the online actor chooses a proposal."""
    temperature: float = 0.0
    hold_ticks: int = 5
    expansion: bool = True
    """False: the online actor drives alone (a comparison)."""
    safety_learns: bool = True
    """Safety critics are trained too; False: safety.onnx stays the parent's."""
    seed: int = 0

    def agent(self) -> AgentTraining:
        """The settings of the shared update."""
        base = PROFILES["small"].agent
        return dataclasses.replace(
            base,
            batch=self.batch,
            learning_rate=self.critic_rate,
            target_rate=self.target_rate,
            kappa=self.kappa,
        )


class Learner:
    """`record` and `add` episodes, `update`, `package`."""

    def __init__(self, directory: Path, work: Path, settings: OnlineSettings) -> None:
        """`directory`: the bundle to go on from; `work`: checkpoints, continued where there are any.

        Raises BundleError where the bundle cannot be trained further, StoreError on a foreign checkpoint.
        """
        self.settings, self.work = settings, work
        self.bundle: Bundle = load_bundle(directory)
        self.manifest: Manifest = self.bundle.manifest
        self._read: Unpacked = unpack(directory, self.manifest)
        torch.manual_seed(settings.seed)
        self.agent = _agent(self._read)
        self._encoder = self._encoder_of(self.bundle)
        self.recorded, self.own = Pool(), Pool()
        config = PretrainConfig("online", settings.seed, model=self._read.config, agent=settings.agent())
        replay = Replay(self.recorded, self.own, settings.share)
        self.phase = OnlinePhase(self.agent, replay, config, settings.warmup, settings.actor_rate)
        self.step = 0
        """Updates so far."""
        self.seen = 0
        """Steps of its own that were ever taken in; the oldest may be gone."""
        self._exported = False
        state = checkpoint.restore(self._checkpoint, self.phase.modules())
        if state is not None:
            self.step = int(state["step"])

    @property
    def _checkpoint(self) -> Path:
        return self.work / "online.pt"

    def record(self, store: Path) -> int:
        """Take in recorded (offline) episodes; returns their steps. Their latents are kept in `work`.

        Raises StoreError where `store` is none.
        """
        reader = EpisodeReader(store)
        key = self._key(store, len(reader))
        state = checkpoint.load(self._recorded)
        if state is None or state["key"] != key:
            seen = list(self._encoder.encode(reader))
            state = {"key": key, "seen": [vars(one) for one in seen]}
            checkpoint.save(self._recorded, state)
        for one in state["seen"]:
            self.recorded.add(Seen(**one))
        return self.recorded.steps

    def adopt(self, bundle: Bundle) -> None:
        """From now on see by the encoder of `bundle` (learning/tuned_encoder.py), and package it too."""
        self._encoder = self._encoder_of(bundle)

    def replace(self, store: Path, recorded: Sequence[Seen], own: Sequence[Seen]) -> None:
        """All episodes anew, as the adopted encoder sees them; `store` holds the recorded ones."""
        self.recorded.clear()
        self.own.clear()
        for pool, episodes in ((self.recorded, recorded), (self.own, own)):
            for seen in episodes:
                pool.add(seen)
        key = self._key(store, len(EpisodeReader(store)))
        checkpoint.save(self._recorded, {"key": key, "seen": [vars(one) for one in recorded]})

    def _encoder_of(self, bundle: Bundle) -> EpisodeEncoder:
        read = self._read
        return EpisodeEncoder(bundle, read.feature, not read.sees_percept, self.settings.seed)

    @property
    def _recorded(self) -> Path:
        return self.work / "recorded.pt"

    def _key(self, store: Path, episodes: int) -> str:
        """Of latents kept on disk: whose they are, and who made them."""
        return f"{store.absolute()}, {episodes} episodes, {self._encoder.bundle.manifest.files[ENCODER]}"

    def add(self, episodes: Iterable[Episode]) -> int:
        """Take in the robot's own episodes; returns their steps, all that are kept."""
        for seen in self._encoder.encode(episodes):
            self.own.add(seen)
            self.seen += len(seen.action)
        return self.own.steps

    def update(self, count: int) -> dict[str, float]:
        """So many updates; the mean of what they tell. Raises UsageError without any data."""
        if not self.recorded.steps and not self.own.steps:
            raise UsageError("there is nothing to learn from: give recorded episodes or drive first")
        sums: dict[str, float] = {}
        for _ in range(count):
            torch.manual_seed((self.settings.seed << 32) + self.step)
            for name, value in self.phase.update(self.step).items():
                sums[name] = sums.get(name, 0.0) + float(value)
            self.step += 1
        return {name: value / count for name, value in sums.items()}

    def save(self) -> None:
        """Checkpoint: what `update` goes on from after a restart."""
        checkpoint.store(self._checkpoint, self.phase.modules(), {"step": self.step})

    def package(self, directory: Path, metrics: dict[str, Any] | None = None) -> Manifest:
        """Write the candidate bundle of now. Raises BundleError where ONNX Runtime computes otherwise.

        Its thresholds are the parent's: the release gate on the robot's side calibrates them anew.
        """
        agent = copy.deepcopy(self.agent).eval()
        round_weights(agent)
        source = self.bundle.path
        files = {name: (source / name).read_bytes() for name in self.manifest.files}
        files[ENCODER] = (self._encoder.bundle.path / ENCODER).read_bytes()
        files[POLICY] = self._policy(agent)
        if self.settings.safety_learns:
            files[SAFETY] = self._safety(agent)
        with tempfile.TemporaryDirectory(dir=self.work) as scratch:
            files[GOLDEN] = self._golden(agent, Path(scratch), files)
        expansion = dataclasses.replace(
            self.manifest.expansion,
            proposals=2 if self.settings.expansion else 1,
            temperature=self.settings.temperature,
            hold_ticks=self.settings.hold_ticks,
        )
        manifest = dataclasses.replace(
            self.manifest,
            parent=self.manifest.version,
            expansion=expansion,
            normalisation={**self.manifest.normalisation, "kappa": self.settings.kappa},
            signature=None,
            metrics={"online": {"update": self.step, "own_steps": self.own.steps, **(metrics or {})}},
        )
        return write_bundle(directory, versioned(manifest, files), files)

    def _risk(self, agent: Agent) -> RiskBound:
        read = self._read
        return RiskBound(agent.q_reach, read.percept, read.config.dynamics, read.near_m)

    def _graph(self, agent: Agent) -> OnlineGraph | OnFeature:
        prices = dataclasses.replace(self._read.prices, kappa=self.settings.kappa, score=self.settings.score)
        choosing, evaluation = (agent.q_reward, self._risk(agent)), (agent.pi_reward, agent.pi_cost)
        if self.settings.expansion:
            return OnlineGraph(agent.actor, choosing, evaluation, prices, self._read.feature)
        return OnFeature(PolicyGraph([agent.actor], choosing, evaluation, prices), self._read.feature)

    def _policy(self, agent: Agent) -> bytes:
        """The exporter runs once; after that only weights are exchanged."""
        place = self.work / "policy-template.onnx"
        if not self._exported:
            # Of random weights: the exporter would store equal tensors, as untrained norms are, only once.
            any_agent = copy.deepcopy(agent)
            with torch.no_grad():
                for parameter in any_agent.parameters():
                    parameter.normal_()
            graph = self._graph(any_agent)
            if isinstance(graph, OnlineGraph):
                parent = (self.bundle.path / POLICY).read_bytes()
                template = expanded_policy(parent, graph, self.manifest.latent.size)
            else:
                latent = torch.zeros(2, self.manifest.latent.size)
                template = to_onnx(graph, (latent,), ["latent"], ["actions", "scores"])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(template)
            self._exported = True
        stored = StoredGraph(place)
        names = Names.of(stored, StoredGraph(self.bundle.path / SAFETY))
        stored.store(names.actor, agent.actor)
        stored.store(names.pi_reward, agent.pi_reward)
        stored.store(names.pi_cost, agent.pi_cost)
        if names.chosen_risk:
            stored.store(names.chosen_risk, agent.q_reach)
        return stored.to_bytes()

    def _safety(self, agent: Agent) -> bytes:
        stored = StoredGraph(self.bundle.path / SAFETY)
        names = Names.of(StoredGraph(self.bundle.path / POLICY), stored)
        stored.store(names.q_reach, agent.q_reach)
        stored.store(names.v_reach, agent.v_reach)
        stored.store(names.q_cost, agent.q_cost)
        return stored.to_bytes()

    @torch.no_grad()
    def _golden(self, agent: Agent, scratch: Path, files: Mapping[str, bytes]) -> bytes:
        """What the networks give for some latents, by torch: the file GOLDEN.

        Raises BundleError unless ONNX Runtime gives the same, and the offline actor is the parent's.
        """
        rng = np.random.default_rng(0)
        latent = rng.random((_GOLDEN, self.manifest.latent.size), np.float32)
        commands = rng.uniform(-1, 1, (_GOLDEN, 5, self._read.config.action_dim)).astype(np.float32)
        frozen = self.bundle.networks[POLICY].run({"latent": latent})["actions"][:, :1]
        inputs, graph = torch.from_numpy(latent), self._graph(agent)
        told = graph(inputs, torch.from_numpy(frozen)) if isinstance(graph, OnlineGraph) else graph(inputs)
        golden = {"actions": told[0].numpy(), "scores": told[1].numpy()}
        got: dict[str, Any] = {}
        for name in (POLICY, SAFETY):
            (scratch / name).write_bytes(files[name])
            network = Network(scratch / name)
            got |= network.run({"latent": latent, **({"actions": commands} if name == SAFETY else {})})
        if self.settings.safety_learns:
            safety = SafetyGraph(self._risk(agent), agent.v_reach, agent.q_cost, self._read.support)
            values = OnFeatureAndActions(safety, self._read.feature)(inputs, torch.from_numpy(commands))
            names = ("risk", "cost", "state_risk", "support")[: len(values)]
            golden |= {n: v.numpy() for n, v in zip(names, values, strict=True)}
        for name, value in golden.items():
            apart = float(np.abs(value - got[name]).max())
            if not apart <= PARITY_LIMIT:
                raise BundleError(
                    f"ONNX Runtime and torch differ by {apart:.1e} in '{name}' (limit {PARITY_LIMIT:.0e}): "
                    "the candidate is not faithful, nothing was written"
                )
        packed = io.BytesIO()
        np.savez(packed, latent=latent, commands=commands, **golden)  # type: ignore[arg-type]
        return packed.getvalue()


def _agent(read: Unpacked) -> Agent:
    """The bundle's networks as an agent; the in-sample reward critic starts from the policy's own.

    The policy's cost critic starts from nothing: offline it is pessimistic by several units, and to unlearn
    that takes longer than to learn it.
    """
    agent = Agent(read.config, read.actor if read.sees_percept else None)
    if not read.sees_percept:
        agent.actor.load_state_dict(read.actor.state_dict())
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (agent.q_reach, read.q_reach),
        (agent.v_reach, read.v_reach),
        (agent.q_cost, read.q_cost),
        (agent.pi_reward, read.pi_reward),
        (agent.q_reward, read.pi_reward),
    ]
    for module, source in pairs:
        module.load_state_dict(source.state_dict())
    agent.follow(1.0)
    return agent
