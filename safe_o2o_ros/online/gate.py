"""The release gate: whether a candidate bundle may drive, judged on the robot with the robot's own data.

A bundle may not certify itself. What it claims (version, thresholds, golden outputs) is checked, and the
thresholds it will run with are calibrated here, on held-out episodes that no learner has seen. The part of
the filter is judged more strictly than the part of the policy: a worse policy is caught by the filter, a
worse filter by nobody.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bundle import (
    ENCODER,
    GOLDEN,
    POLICY,
    SAFETY,
    Bundle,
    load_bundle,
    rewritten,
    sha256,
)
from safe_o2o_ros.errors import (
    BundleError,
    BundleHashError,
    BundleMismatchError,
    BundleMissingError,
    BundleNonFiniteError,
    BundleSchemaError,
    BundleShapeError,
    BundleSignatureError,
    BundleVersionError,
)
from safe_o2o_ros.manifest import Manifest, Thresholds
from safe_o2o_ros.online.held_out import Heard, hear
from safe_o2o_ros.online.verdict import Refusal, Verdict
from safe_o2o_ros.safety.conformal import Judged, conformal_threshold, events
from safe_o2o_ros.signature import TrustedKey

CANDIDATES = 123
"""Commands that the filter scores in a step."""


@dataclass(frozen=True)
class Bounds:
    """How much worse than the running bundle a candidate may be."""

    alpha: float = 0.02
    """Share of commands wrongly called safe that thresholds are calibrated to."""
    horizon: int = 10
    """Control periods within which a cost counts."""
    most_risk: float = 0.8
    """Largest threshold that calibration gives."""
    looser: float = 1.5
    """Factor by which a release may loosen the threshold, where there are episodes enough."""
    false_safe: float = 0.02
    """More of the commands before a cost may be certified than the running bundle certifies, as a share."""
    certified: float = 0.15
    """Fewer of the commands before no cost may be certified, as a share."""
    thresholds: float = 2.0
    """Factor by which stated thresholds may be looser than those calibrated here."""
    surprise: float = 1.1
    """Factor by which held-out episodes may surprise the encoder more."""
    parity: float = 1e-3
    latency_share: float = 0.5
    """Of a control period that one step may take, median processor time."""
    latency_ratio: float = 4.0
    """Of the running bundle's step."""
    score: float = 0.02
    """In standard deviations of the return: what the chosen actions may score less than the offline ones."""
    bias: float = 2.0
    """The same: how far the critics' mean may be from what the running policy really earned; twice as
    far where the running bundle's is."""


DEFAULT_BOUNDS = Bounds()


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


_BY_ERROR: tuple[tuple[type[BundleError], Refusal], ...] = (
    (BundleSignatureError, Refusal.SIGNATURE),
    (BundleMissingError, Refusal.DAMAGED),
    (BundleHashError, Refusal.DAMAGED),
    (BundleVersionError, Refusal.SCHEMA),
    (BundleSchemaError, Refusal.SCHEMA),
    (BundleNonFiniteError, Refusal.NON_FINITE),
    (BundleMismatchError, Refusal.MISMATCH),
    (BundleShapeError, Refusal.MISMATCH),
)


def judge(
    candidate: Path,
    running: Path,
    held_out: Path | None,
    out: Path | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    trusted: TrustedKey | None = None,
) -> Verdict:
    """All tests in turn; the first that fails decides.

    `held_out`: store of the robot's held-out episodes; None: what needs them is not tested, and thresholds
    that differ from the running bundle's are refused. `out`: where the bundle is written that may be offered,
    the candidate's networks with the thresholds calibrated here. `trusted`: the key that must have signed it.

    Raises BundleError only where the *running* bundle cannot be read.
    """
    base = load_bundle(running)
    measures: dict[str, float] = {}
    version = ""
    try:
        bundle = _loaded(candidate, trusted)
        version = bundle.version
        _same_robot(bundle.manifest, base.manifest)
        _golden(bundle, bounds, measures)
        _latency(bundle, base, bounds, measures)
        thresholds = _held_out(bundle, base, held_out, bounds, measures)
    except _RefusedError as refused:
        return Verdict(version, False, refused.refusal, str(refused), measures)
    if out is not None:
        manifest = dataclasses.replace(bundle.manifest, thresholds=thresholds)
        version = rewritten(candidate, out, manifest).version
    return Verdict(version, True, None, f"{version} may replace {base.version}", measures)


def _loaded(candidate: Path, trusted: TrustedKey | None) -> Bundle:
    try:
        return load_bundle(candidate, trusted=trusted)
    except BundleError as error:
        kind = next((r for e, r in _BY_ERROR if isinstance(error, e)), Refusal.DAMAGED)
        raise _RefusedError(kind, str(error)) from error


def _same_robot(new: Manifest, old: Manifest) -> None:
    for name in ("task", "adapter", "image", "period_s", "action_repeat"):
        if getattr(new, name) != getattr(old, name):
            raise _RefusedError(
                Refusal.MISMATCH,
                f"its {name} is not that of the running bundle {old.version}: it was made for another robot "
                "or "
                "task, restart the graph to use it",
            )


def _golden(bundle: Bundle, bounds: Bounds, measures: dict[str, float]) -> None:
    """Outputs that the learner wrote down are what ONNX Runtime gives here."""
    if GOLDEN not in bundle.manifest.files:
        return
    try:
        with np.load(bundle.path / GOLDEN, allow_pickle=False) as data:
            golden = {name: data[name] for name in data.files}
        got = bundle.networks[POLICY].run({"latent": golden["latent"]})
        got |= bundle.networks[SAFETY].run({"latent": golden["latent"], "actions": golden["commands"]})
        apart = max(float(np.abs(got[n] - golden[n]).max()) for n in got if n in golden)
    except (OSError, ValueError, KeyError, BundleError) as error:
        raise _RefusedError(
            Refusal.PARITY, f"its {GOLDEN} cannot be compared ({error}): export it again"
        ) from error
    measures["parity_apart"] = apart
    if not apart <= bounds.parity:
        raise _RefusedError(
            Refusal.PARITY,
            f"its networks differ by {apart:.1e} from what they gave in training (limit {bounds.parity:g}): "
            "export it again for this ONNX Runtime",
        )


def _latency(bundle: Bundle, base: Bundle, bounds: Bounds, measures: dict[str, float]) -> None:
    """Median processor time of a whole step, of both in turn: what else the machine does is not its fault."""
    new, old = _Step(bundle), _Step(base)
    took: list[tuple[float, float]] = [(new(), old()) for _ in range(15)][3:]
    mine, theirs = (float(np.median([t[i] for t in took])) for i in (0, 1))
    measures |= {"step_s": mine, "running_step_s": theirs}
    period_s = base.manifest.period_s
    if mine > bounds.latency_share * period_s or mine > bounds.latency_ratio * theirs:
        raise _RefusedError(
            Refusal.LATENCY,
            f"one step takes {1e3 * mine:.1f} ms, the running bundle's {1e3 * theirs:.1f} ms, in a period of "
            f"{1e3 * period_s:.0f} ms: use smaller networks",
        )


class _Step:
    """One step of all three networks on one random picture."""

    def __init__(self, bundle: Bundle) -> None:
        spec, rng = bundle.manifest.image, np.random.default_rng(0)
        a = bundle.manifest.adapter.action_dim
        self._networks, self._size = bundle.networks, bundle.manifest.latent.state_size
        self._image = rng.integers(0, 255, (1, spec.height, spec.width, spec.channels), np.uint8)
        self._action = np.zeros((1, a), np.float32)
        self._commands = rng.uniform(-1, 1, (1, CANDIDATES, a)).astype(np.float32)

    def __call__(self) -> float:
        """Seconds of this thread, in which ONNX Runtime runs too."""
        start = time.thread_time()
        latent = self._networks[ENCODER].run(
            {
                "image": self._image,
                "action": self._action,
                "state": np.zeros((1, self._size), np.float32),
                "is_first": np.ones((1, 1), np.float32),
            }
        )["latent"]
        self._networks[POLICY].run({"latent": latent})
        self._networks[SAFETY].run({"latent": latent, "actions": self._commands})
        return time.thread_time() - start


def _held_out(
    bundle: Bundle, base: Bundle, store: Path | None, bounds: Bounds, measures: dict[str, float]
) -> Thresholds:
    """The thresholds to run with."""
    stated, current = bundle.manifest.thresholds, base.manifest.thresholds
    if store is None:
        if dataclasses.replace(stated, provenance={}) != dataclasses.replace(current, provenance={}):
            raise _RefusedError(
                Refusal.THRESHOLDS,
                "its thresholds are not those of the running bundle, and there are no held-out episodes to "
                "calibrate new ones on: name their directory",
            )
        if sha256(bundle.path / SAFETY) != sha256(base.path / SAFETY):
            raise _RefusedError(
                Refusal.PERMISSIVE,
                "its safety network is a new one, and there are no held-out episodes to judge it on: name "
                "their directory",
            )
        return stated
    old = hear(store, base)
    same = sha256(bundle.path / ENCODER) == sha256(base.path / ENCODER)
    new = old if same else hear(store, bundle)
    _explains(new, old, bounds, measures)
    thresholds = _certifies(bundle, base, new, old, bounds, measures)
    _earns(bundle, base, new, old, bounds, measures)
    return thresholds


def _explains(new: Sequence[Heard], old: Sequence[Heard], bounds: Bounds, measures: dict[str, float]) -> None:
    mine, theirs = (float(np.mean(np.concatenate([h.surprise for h in hs]))) for hs in (new, old))
    measures |= {"surprise_nats": mine, "running_surprise_nats": theirs}
    if not all(np.isfinite(h.latent).all() for h in new):
        raise _RefusedError(
            Refusal.NON_FINITE, "its encoder gives latents that are not finite: do not deploy it"
        )
    if not mine <= bounds.surprise * theirs:
        raise _RefusedError(
            Refusal.WORLD_MODEL,
            f"held-out episodes surprise its encoder by {mine:.2f} nats a period, the running one by "
            f"{theirs:.2f}: train its world model on this robot's data too",
        )


def _certifies(
    bundle: Bundle,
    base: Bundle,
    new: Sequence[Heard],
    old: Sequence[Heard],
    bounds: Bounds,
    measures: dict[str, float],
) -> Thresholds:
    risks, running_risks = _risks(bundle, new), _risks(base, old)
    if not all(np.isfinite(r).all() for r in risks):
        raise _RefusedError(
            Refusal.NON_FINITE, "its safety network gives risks that are not finite: do not deploy it"
        )
    event = [events(h.cost, bounds.horizon) for h in new]
    inside = [np.concatenate([[False], h.cost[:-1] > 0.0]) for h in new]
    unsafe = np.concatenate(event)
    harmless = ~unsafe & ~np.concatenate(inside)
    if not unsafe.any():
        raise _RefusedError(
            Refusal.PERMISSIVE,
            "no held-out episode costs anything, so nothing shows that its safety network sees danger: "
            "record "
            "some that do (bumps while teleoperating)",
        )
    # With few episodes a small alpha would certify nothing; then the threshold may only become stricter.
    few = 1.5 / (len(new) + 1.0)
    alpha, limit = max(bounds.alpha, few), base.manifest.thresholds.risk
    most = min(bounds.most_risk, limit * (1.0 if few > bounds.alpha else bounds.looser))
    judged = [Judged(r.astype(np.float64), e, h.allowed) for r, e, h in zip(risks, event, new, strict=True)]
    mine, theirs = np.concatenate(risks), np.concatenate(running_risks)
    promised = conformal_threshold(judged, alpha, most)
    threshold = min(most, max(promised, _matched(mine[unsafe], theirs[unsafe], base.manifest)))
    measures |= {
        "threshold": threshold,
        "promised_threshold": promised,
        "event_rate": float(np.mean([j.loss(threshold) for j in judged])),
        "running_threshold": limit,
        "alpha": alpha,
        "held_out_episodes": float(len(new)),
        "held_out_unsafe_commands": float(unsafe.sum()),
        "false_safe": float((mine[unsafe] <= threshold).mean()),
        "running_false_safe": float((theirs[unsafe] <= limit).mean()),
        "certified": float((mine[harmless] <= threshold).mean()),
        "running_certified": float((theirs[harmless] <= limit).mean()),
    }
    m = measures
    if m["false_safe"] > m["running_false_safe"] + bounds.false_safe:
        raise _RefusedError(
            Refusal.PERMISSIVE,
            f"it would certify {100 * m['false_safe']:.0f} % of the held-out commands that ended in a "
            "cost, the "
            f"running bundle {100 * m['running_false_safe']:.0f} %: train its safety critics on more costs",
        )
    if m["certified"] < m["running_certified"] - bounds.certified:
        raise _RefusedError(
            Refusal.TIMID,
            f"it would certify {100 * m['certified']:.0f} % of the held-out commands that did no harm, the "
            f"running bundle {100 * m['running_certified']:.0f} %: its risks do not tell danger apart",
        )
    stated = bundle.manifest.thresholds
    root = base.manifest.thresholds.provenance.get("recalibrated", {}).get("root_risk", limit)
    _not_forged(stated, base.manifest.thresholds, max(threshold, limit, root), bounds)
    provenance = {
        **stated.provenance,
        "recalibrated": {
            "episodes": len(new),
            "rule": "as much of what ended in a cost as the bundle before, or the promise if that is more",
            "promised_risk": promised,
            "alpha": alpha,
            "horizon_periods": bounds.horizon,
            "event_rate": measures["event_rate"],
            "root_risk": root,
        },
    }
    current = base.manifest.thresholds
    if stated.support is not None and current.support is not None:
        stated = dataclasses.replace(stated, support=max(stated.support, current.support))
    return dataclasses.replace(stated, risk=threshold, provenance=provenance)


def _matched(mine: NDArray[np.float32], theirs: NDArray[np.float32], running: Manifest) -> float:
    """The threshold at which no more of the unsafe commands are certified than the running bundle does."""
    allowed = int((theirs <= running.thresholds.risk).sum())
    ordered = np.sort(mine)
    if allowed >= len(ordered):
        return running.thresholds.risk
    return float(np.nextafter(ordered[allowed], -1.0)) if ordered[allowed] > 0.0 else 0.0


def _not_forged(stated: Thresholds, current: Thresholds, limit: float, bounds: Bounds) -> None:
    """Stated thresholds may not be much looser than what is calibrated here or runs already."""
    pairs = {
        "risk": (stated.risk, limit),
        "surprise_caution": (stated.surprise_caution, current.surprise_caution),
        "surprise_stop": (stated.surprise_stop, current.surprise_stop),
        "pictures_caution": (stated.pictures_caution, current.pictures_caution),
        "pictures_stop": (stated.pictures_stop, current.pictures_stop),
        # Here less is looser.
        "support": (current.support, stated.support),
    }
    for name, (mine, theirs) in pairs.items():
        if theirs is None and mine is None:
            continue
        if theirs is None or mine is None or mine > bounds.thresholds * theirs + 1e-9:
            raise _RefusedError(
                Refusal.THRESHOLDS,
                f"its threshold '{name}' is {stated_value(stated, name)}, far looser than this robot's: a "
                "bundle "
                "may not certify itself, calibrate it anew",
            )


def stated_value(thresholds: Thresholds, name: str) -> str:
    """A threshold for a sentence."""
    value = getattr(thresholds, name)
    return "missing" if value is None else f"{value:.3g}"


def _risks(bundle: Bundle, heard: Sequence[Heard]) -> list[NDArray[np.float32]]:
    """(T,) risk of every executed command."""
    network = bundle.networks[SAFETY]
    return [
        network.run({"latent": h.latent, "actions": h.action[:, None]})["risk"][:, 0].astype(np.float32)
        for h in heard
    ]


def _earns(
    bundle: Bundle,
    base: Bundle,
    new: Sequence[Heard],
    old: Sequence[Heard],
    bounds: Bounds,
    measures: dict[str, float],
) -> None:
    """The critics that choose between the actors are sane where the running policy drove."""
    own = [h for h in new if h.own]
    if not own or bundle.manifest.expansion.proposals < 2:
        return
    scores = _scores(bundle, own)
    if not all(np.isfinite(s).all() for s in scores):
        raise _RefusedError(
            Refusal.NON_FINITE, "its critics give scores that are not finite: do not deploy it"
        )
    measures |= {
        "score_gain": float(np.mean(np.concatenate([s.max(1) - s[:, 0] for s in scores]))),
        "online_share": float(np.mean(np.concatenate([s[:, 1] > s[:, 0] for s in scores]))),
    }
    bias, limit = _bias(bundle, own, scores), bounds.bias
    if bias is not None:
        before = [h for h in old if h.own]
        running = _bias(base, before, _scores(base, before)) or 0.0
        measures |= {"score_bias": bias, "running_score_bias": running}
        # In a changed world the running bundle's critics are off too, and are no reason to keep it.
        limit = max(limit, min(abs(running), 2.0 * limit))
        if abs(bias) > limit:
            raise _RefusedError(
                Refusal.RETURN,
                f"its critics are off by {bias:.1f} standard deviations of what the running policy really "
                f"earned (limit {limit:.1f}): train them longer",
            )
    if measures["score_gain"] < -bounds.score:
        raise _RefusedError(
            Refusal.RETURN, "it expects to earn less than the running policy: train it longer"
        )


def _scores(bundle: Bundle, heard: Sequence[Heard]) -> list[NDArray[np.float32]]:
    """(T, N) what the critics give each proposal."""
    return [bundle.networks[POLICY].run({"latent": h.latent})["scores"] for h in heard]


def _bias(bundle: Bundle, own: Sequence[Heard], scores: Sequence[NDArray[np.float32]]) -> float | None:
    """Mean of what the critics expect of the offline actor less what was earned; None: too short to tell."""
    norm = bundle.manifest.normalisation
    gamma, kappa, sigma = norm.get("gamma", 0.99), norm.get("kappa", 1.0), norm.get("return_std", 1.0)
    error = []
    for h, s in zip(own, scores, strict=True):
        # Of the last periods too little of the return is known.
        returns = _discounted(h.reward - kappa * h.cost, gamma) / sigma
        whole = max(0, len(returns) - round(2.0 / max(1.0 - gamma, 1e-3)))
        error.append(s[:whole, 0] - returns[:whole])
    errors = np.concatenate(error)
    return float(errors.mean()) if len(errors) else None


def _discounted(rewards: NDArray[np.float32], gamma: float) -> NDArray[np.float64]:
    returns = np.zeros(len(rewards))
    following = 0.0
    for t in range(len(rewards) - 1, -1, -1):
        following = float(rewards[t]) + gamma * following
        returns[t] = following
    return returns
