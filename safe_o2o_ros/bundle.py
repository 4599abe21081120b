"""Model bundles: a directory of ONNX networks and a manifest, verified before any of it runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from safe_o2o_ros.atomic import place_directory, replace_file, sync_directory
from safe_o2o_ros.errors import (
    BundleError,
    BundleHashError,
    BundleMismatchError,
    BundleMissingError,
    BundleNonFiniteError,
    BundleSchemaError,
    BundleShapeError,
)
from safe_o2o_ros.inference import Network
from safe_o2o_ros.manifest import (
    MANIFEST_NAME,
    Manifest,
    manifest_from_json,
    read_manifest_json,
)

if TYPE_CHECKING:
    from safe_o2o_ros.signature import SigningKey, TrustedKey

ENCODER = "encoder.onnx"
POLICY = "policy.onnx"
SAFETY = "safety.onnx"
NETWORKS = (ENCODER, POLICY, SAFETY)
GOLDEN = "golden.npz"
"""Optional file: latents and commands, and what the networks gave for them where they were trained."""

_PROBE_COMMANDS = 3
"""Commands scored by a probe step: more than one, since the filter scores many at a time."""

_Signature = tuple[dict[str, tuple[tuple[int | None, ...], str]], tuple[str, ...]]


def signatures(manifest: Manifest) -> dict[str, _Signature]:
    """Inputs (name -> shape with None = batch, dtype) and outputs of each network of a bundle.

    encoder.onnx  image uint8 (B,H,W,C), action float32 (B,A) effective, state (B,S), is_first (B,1)
                  -> latent (B,N), next_state (B,S), surprise (B,1) nats
    policy.onnx   latent (B,N) -> actions (B,P,A) effective in [-1,1], scores (B,P)
    safety.onnx   latent (B,N), actions (B,K,A) effective -> risk (B,K) in [0,1] (ensemble's upper bound),
                  cost (B,K) discounted cost-to-go, state_risk (B,1) in [0,1]; where thresholds.support is
                  given, support (B,K) in [0,1]
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
            ("risk", "cost", "state_risk", *(() if manifest.thresholds.support is None else ("support",))),
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
    trusted: TrustedKey | None = None,
    reuse: Mapping[str, Network] | None = None,
) -> Bundle:
    """Verify every file of the bundle at `path`, load `networks`, run one probe step of each.

    `task`: refuse a bundle made for another task. `trusted`: refuse one that this key has not signed.
    `reuse`: sha256 of a file -> the network loaded from such a file before, in place of loading it again.
    Raises a BundleError that says what is wrong.
    """
    directory = Path(path)
    fields = read_manifest_json(directory)
    if trusted is not None:
        trusted.verify(fields, str(directory))
    manifest = manifest_from_json(fields, directory)
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
            raise BundleSchemaError(
                f"the manifest of '{directory}' lists '{name}', which is not a plain file name"
            )
        if not file.is_file():
            raise BundleMissingError(f"bundle '{directory}' lacks {name}: copy the whole directory again")
        try:
            digest = sha256(file)
        except OSError as error:
            raise BundleMissingError(
                f"{file} cannot be read ({error.strerror}): copy the bundle again"
            ) from error
        if digest != expected:
            raise BundleHashError(
                f"{file} does not have the sha256 its manifest states: it is damaged or was changed, "
                "copy it again"
            )
    known = reuse or {}
    loaded = {
        name: known.get(manifest.files[name]) or Network(directory / name, providers) for name in networks
    }
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
    free = {0: 1, 1: _PROBE_COMMANDS}
    probe: dict[str, Any] = {
        name: np.zeros([free[i] if d is None else d for i, d in enumerate(shape)], dtype)
        for name, (shape, dtype) in inputs.items()
    }
    results = network.run(probe)
    expected = {
        "latent": (1, manifest.latent.size),
        "next_state": (1, manifest.latent.state_size),
        "surprise": (1, 1),
        "actions": (1, manifest.expansion.proposals, manifest.adapter.action_dim),
        "scores": (1, manifest.expansion.proposals),
        "risk": (1, _PROBE_COMMANDS),
        "cost": (1, _PROBE_COMMANDS),
        "state_risk": (1, 1),
        "support": (1, _PROBE_COMMANDS),
    }
    for name in outputs:
        if results[name].shape != expected[name] or results[name].dtype != np.float32:
            raise BundleShapeError(
                f"{network.name} gives '{name}' as {results[name].dtype} {results[name].shape}, "
                f"the manifest promises float32 {expected[name]}: export the bundle again"
            )
        if not np.isfinite(results[name]).all():
            raise BundleNonFiniteError(
                f"{network.name} gives a non-finite '{name}' on a probe step: do not deploy it"
            )


def check_successor(running: Manifest, other: Manifest) -> None:
    """Raise BundleMismatchError unless `other` can take over from the `running` bundle while it drives.

    The robot, what it sees, and the pace must be the same; networks and thresholds may differ.
    """
    a, b = running.adapter, other.adapter
    parts: dict[str, tuple[object, object]] = {
        "task": (running.task, other.task),
        "robot": (a.name, b.name),
        "cameras": (running.image.cameras, other.image.cameras),
        "image size": ((running.image.height, running.image.width), (other.image.height, other.image.width)),
        "control period": (running.period_s, other.period_s),
        "action repeat": (running.action_repeat, other.action_repeat),
        **{
            f"adapter's {f.name}": (getattr(a, f.name), getattr(b, f.name))
            for f in dataclasses.fields(a)
            if f.name != "name"
        },
    }
    for name, (ours, theirs) in parts.items():
        if ours != theirs:
            raise BundleMismatchError(
                f"bundle {other.version} has another {name} ({theirs}) than the running {running.version} "
                f"({ours}): only a bundle of the same robot can take over, restart the graph for another"
            )


def check_target(directory: Path) -> None:
    """Raise BundleError unless a bundle may be written to `directory`: absent, empty, or a bundle now."""
    ours = directory.is_dir() and (
        (directory / MANIFEST_NAME).is_file() or next(directory.iterdir(), None) is None
    )
    if directory.exists() and not ours:
        raise BundleError(
            f"'{directory}' holds something else than a model bundle, which would be deleted: "
            "give a directory that does not exist yet"
        )


def write_bundle(directory: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Write a bundle atomically: temporary directory, fsync, rename. Returns the manifest with hashes.

    It is unsigned: a signature of another manifest would not hold. An existing bundle at `directory` is
    replaced, in one step, only once the new one is complete on disk. Raises BundleError when something else
    stands there, or when the disk refuses.
    """
    directory = directory.absolute()
    check_target(directory)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = dataclasses.replace(manifest, files=hashes, signature=None)
    temporary: Path | None = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        for name, data in {**files, MANIFEST_NAME: manifest.to_json().encode()}.items():
            with (temporary / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        temporary.chmod(0o755)
        sync_directory(temporary)
        place_directory(temporary, directory)
    except OSError as error:
        raise BundleError(
            f"the bundle cannot be written to '{directory}' ({error.strerror}): free some space or choose "
            "another directory"
        ) from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)
    return manifest


def versioned(manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """The manifest with a version made of everything that decides what the robot does.

    Equal networks with other thresholds are another bundle. Metrics and hashes of files do not count.
    """
    plain = dataclasses.replace(manifest, version="", files={}, metrics={}, signature=None)
    parts = [files[name] for name in sorted(files)] + [plain.to_json().encode()]
    digest = hashlib.sha256(b"".join(parts)).hexdigest()
    return dataclasses.replace(manifest, version=f"{manifest.task}-{digest[:12]}")


def sign_bundle(directory: Path, key: SigningKey) -> None:
    """Put the key's signature into the manifest of the bundle at `directory`, in one step on disk.

    Raises BundleError where it cannot be read or written.
    """
    manifest = manifest_from_json(read_manifest_json(directory), directory)
    signed = dataclasses.replace(manifest, signature=key.sign(json.loads(manifest.to_json())))
    try:
        replace_file(directory / MANIFEST_NAME, signed.to_json().encode())
    except OSError as error:
        raise BundleError(
            f"the manifest of '{directory}' cannot be written ({error.strerror}): check its permissions"
        ) from error


def rewritten(source: Path, directory: Path, manifest: Manifest) -> Manifest:
    """The networks of the bundle at `source` under another `manifest`, written to `directory`.

    Raises what `write_bundle` raises.
    """
    files = {name: (source / name).read_bytes() for name in manifest.files}
    return write_bundle(directory, versioned(manifest, files), files)
