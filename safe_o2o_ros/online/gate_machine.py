"""The gate's tests of a candidate on this machine: does it compute here what it did in training, in time?"""

from __future__ import annotations

import time

import numpy as np

from safe_o2o_ros.bundle import ENCODER, GOLDEN, POLICY, SAFETY, Bundle
from safe_o2o_ros.errors import BundleError
from safe_o2o_ros.online.gate_bounds import Bounds, RefusedError
from safe_o2o_ros.online.verdict import Refusal

CANDIDATES = 123
"""Commands that the filter scores in a step."""


def check_golden(bundle: Bundle, bounds: Bounds, measures: dict[str, float]) -> None:
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
        raise RefusedError(
            Refusal.PARITY, f"its {GOLDEN} cannot be compared ({error}): export it again"
        ) from error
    measures["parity_apart"] = apart
    if not apart <= bounds.parity:
        raise RefusedError(
            Refusal.PARITY,
            f"its networks differ by {apart:.1e} from what they gave in training (limit {bounds.parity:g}): "
            "export it again for this ONNX Runtime",
        )


def check_latency(bundle: Bundle, base: Bundle, bounds: Bounds, measures: dict[str, float]) -> None:
    """Median processor time of a whole step, of both in turn: what else the machine does is not its fault."""
    new, old = _Step(bundle), _Step(base)
    took: list[tuple[float, float]] = [(new(), old()) for _ in range(15)][3:]
    mine, theirs = (float(np.median([t[i] for t in took])) for i in (0, 1))
    measures |= {"step_s": mine, "running_step_s": theirs}
    period_s = base.manifest.period_s
    if mine > bounds.latency_share * period_s or mine > bounds.latency_ratio * theirs:
        raise RefusedError(
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
