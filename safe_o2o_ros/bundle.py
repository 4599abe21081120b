"""Model bundles: a directory of ONNX networks and a manifest, verified before any of it runs."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.errors import (
    BundleHashError,
    BundleMismatchError,
    BundleMissingError,
    BundleNonFiniteError,
    BundleSchemaError,
)
from safe_o2o_ros.inference import Network
from safe_o2o_ros.manifest import MANIFEST_NAME, Manifest, read_manifest

ENCODER = "encoder.onnx"
POLICY = "policy.onnx"
SAFETY = "safety.onnx"
NETWORKS = (ENCODER, POLICY, SAFETY)

_Signature = tuple[dict[str, tuple[tuple[int | None, ...], str]], tuple[str, ...]]


def signatures(manifest: Manifest) -> dict[str, _Signature]:
    """Inputs (name -> shape with None = batch, dtype) and outputs of each network of a bundle.

    encoder.onnx  image uint8 (B,H,W,C), action float32 (B,A) effective, state (B,S), is_first (B,1)
                  -> latent (B,N), next_state (B,S), surprise (B,1) nats
    policy.onnx   latent (B,N) -> actions (B,P,A) effective in [-1,1], scores (B,P)
    safety.onnx   latent (B,N), actions (B,K,A) effective -> risk (B,K) in [0,1] (ensemble's upper bound),
                  cost (B,K) discounted cost-to-go, state_risk (B,1) in [0,1]
    """
    spec, a = manifest.image, manifest.adapter.action_dim
    n, s = manifest.latent.size, manifest.latent.state_size
    return {
        ENCODER: (
            {
                "image": ((None, spec.height, spec.width, spec.channels), "uint8"),
                "action": ((None, a), "float32"),
                "state": ((None, s), "float32"),
                "is_first": ((None, 1), "float32"),
            },
            ("latent", "next_state", "surprise"),
        ),
        POLICY: ({"latent": ((None, n), "float32")}, ("actions", "scores")),
        SAFETY: (
            {"latent": ((None, n), "float32"), "actions": ((None, None, a), "float32")},
            ("risk", "cost", "state_risk"),
        ),
    }


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its manifest and the networks that were asked for."""

    path: Path
    manifest: Manifest
    networks: Mapping[str, Network]

    @property
    def version(self) -> str:
        """The bundle's version id."""
        return self.manifest.version


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load_bundle(
    path: Path | str,
    networks: Sequence[str] = NETWORKS,
    task: str | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
) -> Bundle:
    """Verify every file of the bundle at `path`, load `networks`, run one probe step of each.

    `task`: refuse a bundle made for another task. Raises a BundleError that says what is wrong.
    """
    directory = Path(path)
    manifest = read_manifest(directory)
    if task is not None and task != manifest.task:
        raise BundleMismatchError(
            f"bundle '{directory}' was trained for {manifest.task}, not {task}: choose a bundle of {task}"
        )
    for name in NETWORKS:
        if name not in manifest.files:
            raise BundleSchemaError(f"the manifest of '{directory}' lists no {name}: export the bundle again")
    for name, expected in manifest.files.items():
        file = directory / name
        if Path(name).name != name:
            raise BundleSchemaError(f"the manifest of '{directory}' lists '{name}', which is not a plain file name")
        if not file.is_file():
            raise BundleMissingError(f"bundle '{directory}' lacks {name}: copy the whole directory again")
        if sha256(file) != expected:
            raise BundleHashError(
                f"{file} does not have the sha256 its manifest states: the file is damaged or was changed, copy it again"
            )
    loaded = {name: Network(directory / name, providers) for name in networks}
    for name, network in loaded.items():
        _probe(network, *signatures(manifest)[name], manifest=manifest)
    return Bundle(directory, manifest, loaded)


def _probe(
    network: Network,
    inputs: dict[str, tuple[tuple[int | None, ...], str]],
    outputs: tuple[str, ...],
    manifest: Manifest,
) -> None:
    """One step on zeros: the signature holds and every output is finite. Doubles as warm-up."""
    network.check_signature(inputs, outputs)
    probe: dict[str, Any] = {
        name: np.zeros([1 if d is None else d for d in shape], dtype) for name, (shape, dtype) in inputs.items()
    }
    results = network.run(probe)
    expected = {
        "latent": (1, manifest.latent.size),
        "next_state": (1, manifest.latent.state_size),
        "surprise": (1, 1),
        "actions": (1, manifest.expansion.proposals, manifest.adapter.action_dim),
        "scores": (1, manifest.expansion.proposals),
        "risk": (1, 1),
        "cost": (1, 1),
        "state_risk": (1, 1),
    }
    for name in outputs:
        if results[name].shape != expected[name]:
            raise BundleMismatchError(
                f"{network.name} gives '{name}' with shape {results[name].shape}, "
                f"the manifest promises {expected[name]}: export the bundle again"
            )
        if not np.isfinite(results[name]).all():
            raise BundleNonFiniteError(f"{network.name} gives a non-finite '{name}' on a probe step: do not deploy it")


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write a bundle atomically: temporary directory, fsync, rename. Returns the manifest with hashes.

    An existing bundle at `directory` is replaced only once the new one is complete on disk.
    """
    directory = directory.absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    manifest = dataclasses.replace(
        manifest, files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    )
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        for name, data in {**files, MANIFEST_NAME: manifest.to_json().encode()}.items():
            with (temporary / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        temporary.chmod(0o755)
        _fsync_directory(temporary)
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
            directory.rename(old / "bundle")
            temporary.rename(directory)
            shutil.rmtree(old)
        else:
            temporary.rename(directory)
        _fsync_directory(directory.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)
    return manifest


def _fsync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
