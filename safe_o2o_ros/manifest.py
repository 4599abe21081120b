"""The bundle's manifest: everything a node must know about the networks, as typed JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import BundleMissingError, BundleSchemaError, BundleVersionError
from safe_o2o_ros.robot import RobotAdapter

SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class ImageSpec:
    """The image the encoder takes: cameras stacked on channels, in this order."""

    cameras: tuple[str, ...]
    height: int
    width: int

    @property
    def channels(self) -> int:
        """Channels of the stacked image: 3 (RGB) per camera."""
        return 3 * len(self.cameras)


@dataclass(frozen=True)
class View:
    """What one camera saw in training."""

    fovy_deg: float
    """Vertical field of view, degrees."""
    position: tuple[float, ...]
    """(x, y, z) of the camera in base_link, metres."""
    xyaxes: tuple[float, ...]
    """The image's right, then its up, as vectors in base_link; any length."""

    def problem(self) -> str:
        """What no camera can be, or ""."""
        if not 0.0 < self.fovy_deg < 180.0:
            return f"fovy_deg is {self.fovy_deg:g}, but must be between 0 and 180"
        if len(self.position) != 3 or not all(math.isfinite(x) for x in self.position):
            return "position must be three finite numbers"
        if len(self.xyaxes) != 6 or not all(math.isfinite(x) for x in self.xyaxes):
            return "xyaxes must be six finite numbers"
        (a, b, c), (d, e, f) = self.xyaxes[:3], self.xyaxes[3:]
        if math.hypot(b * f - c * e, c * d - a * f, a * e - b * d) < 1e-6:
            return "xyaxes must be two vectors that are not parallel"
        return ""


@dataclass(frozen=True)
class LatentSpec:
    """Sizes of what the encoder emits and carries."""

    size: int
    """Length of the published feature vector."""
    state_size: int
    """Length of the recurrent state the encoder carries from step to step."""
    novelty: bool = False
    """The feature's last three numbers say what is novel (safety/novelty.py): surprise, distance of the
    pictures from those of training, whether a camera repeats itself."""


@dataclass(frozen=True)
class Thresholds:
    """Calibrated thresholds and where they come from."""

    risk: float
    """A command is certified when its risk (0 safe .. 1 violation) is at most this."""
    surprise_caution: float
    """Surprise (nats, mean over 0.8 s) above which the scene is unusual."""
    surprise_stop: float
    """The same above which it is out of distribution."""
    provenance: dict[str, Any]
    """Which episodes, event, horizon and counts the thresholds were computed from."""
    pictures_caution: float | None = None
    """Distance of the pictures from those of training (mean over 0.8 s) above which they are unusual; None:
    the latent does not say."""
    pictures_stop: float | None = None
    """The same above which they are out of distribution."""
    support: float | None = None
    """A command of the filter is certified only where data supports it so well; None: that is unknown."""

    @property
    def knows_pictures(self) -> bool:
        """Pictures that are out of distribution can be told."""
        return self.pictures_caution is not None and self.pictures_stop is not None


@dataclass(frozen=True)
class Expansion:
    """Constants of safe policy expansion (method.md)."""

    proposals: int
    """Number of policies in policy.onnx: 1 (offline) or 2 (offline, online)."""
    temperature: float
    """Softmax temperature over scores; 0 = the better score wins, ties to the offline policy."""
    hold_ticks: int
    """Least number of ticks between changes of the chosen policy."""


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json."""

    schema_version: int
    version: str
    parent: str | None
    task: str
    image: ImageSpec
    adapter: RobotAdapter
    action_repeat: int
    """Control steps of the task per control period."""
    period_s: float
    """Control period, seconds."""
    latent: LatentSpec
    thresholds: Thresholds
    expansion: Expansion
    normalisation: dict[str, float]
    """Constants of the data set, e.g. {"return_std": ...}."""
    seeds: dict[str, list[list[int]]]
    """Reserved seed ranges [first, last] used for "training", "selection", "calibration"."""
    files: dict[str, str]
    """File name -> sha256 hex digest."""
    metrics: dict[str, Any] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    """Camera name -> what it saw in training; cameras may be missing."""
    signature: str | None = None
    """Ed25519 signature of the manifest without this field, hex; None = unsigned."""

    def to_json(self) -> str:
        """The manifest as indented JSON."""
        data = dataclasses.asdict(self)
        data["adapter"] = self.adapter.to_json()
        if not self.views:
            del data["views"]
        return json.dumps(data, indent=2, allow_nan=False) + "\n"

    def uses_seed(self, seed: int) -> str | None:
        """The purpose ("training", ...) `seed` was used for, or None if it is unseen."""
        for purpose, ranges in self.seeds.items():
            if any(first <= seed <= last for first, last in ranges):
                return purpose
        return None


def read_manifest(directory: Path) -> Manifest:
    """Read and check `directory`/manifest.json.

    Raises BundleMissingError, BundleSchemaError, BundleVersionError.
    """
    return manifest_from_json(read_manifest_json(directory), directory)


def read_manifest_json(directory: Path) -> dict[str, Any]:
    """The fields of `directory`/manifest.json as they stand there.

    Raises BundleMissingError, BundleSchemaError.
    """
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise BundleMissingError(
            f"no model bundle at '{directory}': {MANIFEST_NAME} is missing; give a directory made by "
            "`safe-o2o pretrain`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, OSError) as error:
        raise BundleSchemaError(
            f"{path} cannot be read as JSON ({error}): restore it or export the bundle again"
        ) from error
    if not isinstance(data, dict) or "schema_version" not in data:
        raise BundleSchemaError(f"{path} has no schema_version: it is not a bundle manifest")
    return data


def manifest_from_json(data: dict[str, Any], directory: Path) -> Manifest:
    """Check the fields of the manifest of the bundle at `directory`.

    Raises BundleSchemaError, BundleVersionError.
    """
    path = directory / MANIFEST_NAME
    if data["schema_version"] != SCHEMA_VERSION:
        raise BundleVersionError(
            f"{path} has schema version {data['schema_version']}, this software reads {SCHEMA_VERSION}: "
            "use the matching release or export the bundle again"
        )
    manifest = typing.cast(Manifest, _build(Manifest, data, str(path)))
    for sentence, holds in _promises(manifest):
        if not holds:
            raise BundleSchemaError(f"{path}: {sentence}; export the bundle again")
    return manifest


def views_from_json(data: Any, where: str) -> dict[str, View]:
    """Views as a manifest or an episode's metadata holds them. Raises BundleSchemaError naming `where`."""
    views = typing.cast(dict[str, View], _convert(dict[str, View], data, where))
    for name, view in views.items():
        if problem := view.problem():
            raise BundleSchemaError(f"{where}.{name}: {problem}")
    return views


def _refuse_constant(name: str) -> typing.NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _promises(m: Manifest) -> typing.Iterator[tuple[str, bool]]:
    """What the values must fulfil beyond their types, so that no node has to ask."""
    cameras = m.image.cameras
    yield "image.cameras must be distinct names", bool(cameras) and len(set(cameras)) == len(cameras)
    yield "image.height and image.width must be positive", m.image.height > 0 and m.image.width > 0
    yield "action_repeat must be positive", m.action_repeat > 0
    yield "period_s must be positive", 0.0 < m.period_s < math.inf
    yield "latent sizes must be positive", m.latent.size > 0 and m.latent.state_size > 0
    t, e = m.thresholds, m.expansion
    optional = [x for x in (t.pictures_caution, t.pictures_stop, t.support) if x is not None]
    finite = all(math.isfinite(x) for x in (t.risk, t.surprise_caution, t.surprise_stop, *optional))
    yield "thresholds must be finite", finite
    yield (
        "thresholds.pictures_* must be numbers exactly where latent.novelty is true",
        ((t.pictures_caution is None) == (t.pictures_stop is None) == (not m.latent.novelty)),
    )
    yield "expansion.proposals must be 1 or 2", e.proposals in (1, 2)
    yield "expansion.temperature must be 0 or more", 0.0 <= e.temperature < math.inf
    yield "expansion.hold_ticks must be 0 or more", e.hold_ticks >= 0
    for name, view in m.views.items():
        yield f"views.{name} is of a camera that image.cameras lacks", name in cameras
        yield f"views.{name}: {view.problem()}", not view.problem()
    for purpose, ranges in m.seeds.items():
        paired = all(len(r) == 2 and r[0] <= r[1] for r in ranges)
        yield f"seeds.{purpose} must be a list of [first, last]", paired
    for sentence, holds in m.adapter.promises():
        yield f"adapter.{sentence}", holds


def _build(cls: Any, data: Any, where: str) -> Any:
    """A dataclass from JSON; unknown, missing and mistyped fields are named."""
    if not isinstance(data, dict):
        raise BundleSchemaError(f"{where} must be an object")
    if cls is RobotAdapter:
        data = {
            k: [math.inf if x is None else x for x in v] if isinstance(v, list) else v
            for k, v in data.items()
        }
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise BundleSchemaError(f"{where} has an unknown field '{unknown[0]}'")
    values = {}
    for f in dataclasses.fields(cls):
        if f.name in data:
            values[f.name] = _convert(hints[f.name], data[f.name], f"{where}: {f.name}")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise BundleSchemaError(f"{where} lacks the field '{f.name}'")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return None if value is None else _convert(inner[0], value, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise BundleSchemaError(f"{where} must be a list")
        return tuple(_convert(typing.get_args(hint)[0], v, where) for v in value)
    if origin is list:
        if not isinstance(value, list):
            raise BundleSchemaError(f"{where} must be a list")
        return [_convert(typing.get_args(hint)[0], v, where) for v in value]
    if origin is dict:
        if not isinstance(value, dict):
            raise BundleSchemaError(f"{where} must be an object")
        item = typing.get_args(hint)[1]
        return {k: _convert(item, v, where) for k, v in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise BundleSchemaError(f"{where} must be of type {hint.__name__}, not {type(value).__name__}")
    return value
