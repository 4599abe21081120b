"""The world model tuned along with everything else: a comparison, not what a robot should do.

A changed encoder changes every latent. The offline actor then drives on inputs it was not trained on, and
what critics have learned is about states that are called otherwise now; fine-tuning therefore leaves the
encoder alone, and this shows what that is worth. What a bundle does not carry (decoder and heads) is made
anew on frozen latents first.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from safe_o2o_ros.bundle import ENCODER, POLICY, Bundle, load_bundle, versioned, write_bundle
from safe_o2o_ros.errors import BundleError, StoreError
from safe_o2o_ros.learning import checkpoint
from safe_o2o_ros.learning.config import PROFILES, PretrainConfig
from safe_o2o_ros.learning.dataset import Dataset, load_dataset
from safe_o2o_ros.learning.experience import Seen
from safe_o2o_ros.learning.latents import cache_latents
from safe_o2o_ros.learning.novelty import fit_novelty
from safe_o2o_ros.learning.package import PARITY_LIMIT
from safe_o2o_ros.learning.unpack import StoredGraph
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.world_model.compress import round_weights
from safe_o2o_ros.world_model.model import WorldModel

_WINDOWS, _LENGTH = 8, 16
"""Windows an update, half of them the robot's own, and their steps."""
_RATE, _CLIP = 1e-4, 100.0
_HEADS_RATE = 6e-4
_PROBES = 8
"""Pictures on which torch and ONNX Runtime are compared."""


class TunedEncoder:
    """A bundle's world model in training: `tune`, then `bundle` and `seen` with what it has become."""

    def __init__(self, parent: Bundle, work: Path, heads_updates: int, seed: int = 0) -> None:
        """`parent`: the bundle to go on from; `work`: where checkpoints lie, continued where there are any;
        `heads_updates`: of what the bundle does not carry, before anything else changes.

        Raises BundleError where the bundle does not tell by which profile it was trained.
        """
        self.parent, self.work, self._seed, self._heads_updates = parent, work, seed, heads_updates
        config = _config(parent.manifest)
        torch.manual_seed(seed)
        self.model = WorldModel(config.model, config.scales)
        stored = StoredGraph(parent.path / ENCODER)
        self._carried = _carried(stored, self.model)
        for prefix, module in self._carried:
            stored.load(prefix, module)
        self._reduced = config.precision == "bfloat16"
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=_RATE, eps=1e-7)
        self.step = 0
        """Updates so far, without those of the heads alone."""
        state = checkpoint.restore(self._checkpoint, self._modules())
        if state is not None:
            self.step = int(state["step"])

    @property
    def bundle(self) -> Bundle | None:
        """The parent with the newest encoder; None before the first `tune`."""
        return load_bundle(self._place) if self._place.exists() else None

    def tune(self, recorded: Path, own: Path, updates: int) -> tuple[Bundle, list[Seen], list[Seen]]:
        """So many updates on windows of both stores; what came out, and both stores as it sees them.

        Raises StoreError where a store holds no episode of _LENGTH steps, BundleError where ONNX Runtime
        computes otherwise than torch.
        """
        # Too short an episode for a window is none for the world model, but still one for the critics.
        stores = [load_dataset(place, 1) for place in (recorded, own)]
        for place, store in zip((recorded, own), stores, strict=True):
            if store.length.max() < _LENGTH:
                raise StoreError(
                    f"no episode of {place} has the {_LENGTH} steps of a window: record longer ones"
                )
        if self.step == 0:
            self._fit_heads(stores)
        for _ in range(updates):
            self._update(stores, self.step, _RATE)
            self.step += 1
        deployed = copy.deepcopy(self.model).eval()
        round_weights(deployed)
        made = self._bundle(deployed, stores[0])
        checkpoint.store(self._checkpoint, self._modules(), {"step": self.step})
        old, new = ([*_seen(deployed, store, made, self._seed)] for store in stores)
        return made, old, new

    @property
    def _place(self) -> Path:
        return self.work / f"encoder-{self.step:06d}"

    @property
    def _checkpoint(self) -> Path:
        return self.work / "world_model.pt"

    def _modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"model": self.model, "optimiser": self.optimiser}

    def _fit_heads(self, stores: list[Dataset]) -> None:
        for _, module in self._carried:
            module.requires_grad_(False)
        for number in range(self._heads_updates):
            self._update(stores, -1 - number, _HEADS_RATE)
        for _, module in self._carried:
            module.requires_grad_(True)

    def _update(self, stores: list[Dataset], number: int, rate: float) -> None:
        # Numbers below 0 are those of the heads: seeds are not.
        key = (self._seed, 7, int(number < 0), abs(number))
        rng = np.random.default_rng(key)
        torch.manual_seed(int(rng.integers(2**31)))
        halves = [store.windows(rng, _WINDOWS // 2, _LENGTH) for store in stores]
        batch = {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._reduced):
            loss, _ = self.model.loss(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        self.optimiser.step()

    def _bundle(self, model: WorldModel, recorded: Dataset) -> Bundle:
        """The parent's files with the encoder of now, on disk."""
        source = self.parent.path
        files = {name: (source / name).read_bytes() for name in self.parent.manifest.files}
        stored = StoredGraph(source / ENCODER)
        for prefix, module in _carried(stored, model):
            stored.store(prefix, module)
        if stored.has("novelty."):
            stored.store("novelty.", fit_novelty(model, recorded, self._seed))
        files[ENCODER] = stored.to_bytes()
        write_bundle(self._place, versioned(self.parent.manifest, files), files)
        made = load_bundle(self._place)
        _check_parity(model, made, recorded)
        return made


def _config(manifest: Manifest) -> PretrainConfig:
    """The profile a bundle was trained by, for its pictures and commands."""
    name = str(manifest.metrics.get("training", {}).get("config", ""))
    if name not in PROFILES:
        raise BundleError(
            f"{manifest.version} does not tell by which profile it was trained: tune the world model of a "
            "bundle that `safe-o2o pretrain` wrote"
        )
    config = PROFILES[name]
    model = dataclasses.replace(
        config.model,
        channels=manifest.image.channels,
        image_size=manifest.image.height,
        action_dim=manifest.adapter.action_dim,
    )
    return dataclasses.replace(config, model=model)


def _carried(stored: StoredGraph, model: WorldModel) -> list[tuple[str, nn.Module]]:
    """What encoder.onnx carries of a world model: prefix and module."""
    inputs = model.percept.inputs
    # Novelty looks through the percept's first layer, and the exporter names it after its first user.
    first = "novelty.inputs." if stored.has("novelty.inputs.") else "model.percept.inputs.0."
    return [
        ("model.encoder.", model.encoder),
        ("model.rssm.", model.rssm),
        (first, inputs[0]),
        ("model.percept.inputs.1.", inputs[1]),
        ("model.percept.cell.", model.percept.cell),
    ]


@torch.no_grad()
def _check_parity(model: WorldModel, made: Bundle, dataset: Dataset) -> None:
    """Raises BundleError where the encoder on disk is not the one in memory."""
    count = min(_PROBES, len(dataset.image))
    image, latent = dataset.image[:count], made.manifest.latent
    action = np.zeros((count, made.manifest.adapter.action_dim), np.float32)
    first = np.ones((count, 1), np.float32)
    state = torch.zeros(count, model.config.state)
    mine = model.step(torch.from_numpy(image), torch.from_numpy(action), state, torch.from_numpy(first))[0]
    got = made.networks[ENCODER].run(
        {
            "image": image,
            "action": action,
            "state": np.zeros((count, latent.state_size), np.float32),
            "is_first": first,
        }
    )["latent"]
    apart = float(np.abs(got[:, : mine.shape[1]] - mine.numpy()).max())
    if not apart <= PARITY_LIMIT:
        raise BundleError(
            f"ONNX Runtime and torch differ by {apart:.1e} in the tuned encoder (limit {PARITY_LIMIT:.0e}): "
            "it is not faithful"
        )


def _seen(model: WorldModel, dataset: Dataset, bundle: Bundle, seed: int) -> Iterable[Seen]:
    """Every episode as `model` sees it."""
    latents = cache_latents(model, dataset, "cpu", seed)
    size = bundle.manifest.latent.size
    for s, n in zip(dataset.start, dataset.length, strict=True):
        frames, steps = slice(s, s + n + 1), slice(s, s + n)
        feature = latents.feature[frames].clone()
        # The policy looks at the feature alone: the signs of novelty behind it may be anything.
        padded = np.zeros((len(feature), size), np.float32)
        padded[:, : feature.shape[1]] = feature.numpy()
        offline = bundle.networks[POLICY].run({"latent": padded})["actions"][:, 0]
        columns = (dataset.action, dataset.reward, dataset.cost, dataset.cont)
        action, reward, cost, cont = (torch.from_numpy(column[steps].copy()) for column in columns)
        yield Seen(
            feature,
            latents.scrambled[frames].clone(),
            torch.from_numpy(offline.copy()),
            action,
            reward,
            cost,
            cont,
            torch.from_numpy(dataset.margin[frames].copy()),
        )
