"""What a bundle says of DubinsAvoid's states: from their images, through the deployed networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bundle import ENCODER, SAFETY, Bundle
from safe_o2o_ros.sim.exact import dubins
from safe_o2o_ros.sim.exact.dubins_picture import draw

FloatArray = NDArray[np.float32]
Progress = Callable[[int, int], None]

PERIODS = 45
"""Control periods that a start is driven: after 2.25 s the disc is passed, or has been touched."""
CANDIDATES = np.linspace(-1.0, 1.0, 9, dtype=np.float32)
"""Turns among which the safest is taken, effective."""
_BLOCK = 256


class StateReader:
    """Risk of states from their images: one ONNX call of the encoder and one of the safety network."""

    def __init__(self, bundle: Bundle) -> None:
        """`bundle`: of the task DubinsAvoid, loaded whole."""
        self._encoder, self._safety = bundle.networks[ENCODER], bundle.networks[SAFETY]
        self._state_size = bundle.manifest.latent.state_size

    def first(self, states: NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
        """Of states (N, 3) seen alone: recurrent states (N, S) and risks (N, len(CANDIDATES))."""
        n = len(states)
        return self.next(states, np.zeros((n, self._state_size), np.float32), np.zeros((n, 1), np.float32), 1)

    def next(
        self, states: NDArray[np.float64], carried: FloatArray, action: FloatArray, is_first: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """The same where `carried` (N, S) and the actions (N, 1) before are known."""
        found: list[tuple[FloatArray, FloatArray]] = []
        for a in range(0, len(states), _BLOCK):
            rows = slice(a, a + _BLOCK)
            n = len(states[rows])
            seen = self._encoder.run(
                {
                    "image": draw(states[rows]),
                    "action": action[rows],
                    "state": carried[rows],
                    "is_first": np.full((n, 1), is_first, np.float32),
                }
            )
            turns = np.broadcast_to(CANDIDATES[None, :, None], (n, len(CANDIDATES), 1))
            judged = self._safety.run({"latent": seen["latent"], "actions": np.ascontiguousarray(turns)})
            found.append((seen["next_state"], judged["risk"]))
        carried_on, risk = zip(*found, strict=True)
        return np.concatenate(carried_on), np.concatenate(risk)


def state_risks(bundle: Bundle, states: NDArray[np.float64], progress: Progress | None = None) -> FloatArray:
    """(N,) risk of the safest command in states (N, 3), each seen alone.

    What the filter asks: a state is called safe where this is at most the bundle's threshold, so that at
    least one command is certified there.
    """
    reader, risks = StateReader(bundle), np.empty(len(states), np.float32)
    for a in range(0, len(states), 8 * _BLOCK):
        rows = slice(a, a + 8 * _BLOCK)
        risks[rows] = reader.first(states[rows])[1].min(axis=1)
        if progress is not None:
            progress(min(a + 8 * _BLOCK, len(states)), len(states))
    return risks


def judge_starts(
    bundle: Bundle, starts: NDArray[np.float64], progress: Progress | None = None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(N,) risk of the safest command at starts (N, 3), and whether the disc is touched from there on.

    The safest command is driven in every period, as the graph would: images, carried state.
    """
    reader = StateReader(bundle)
    states = np.array(starts, np.float64)
    carried, risk = reader.first(states)
    at_start, touched = risk.min(axis=1), dubins.margin(states) <= 0.0
    for period in range(PERIODS):
        action = CANDIDATES[risk.argmin(axis=1)]
        states = dubins.step(states, action.astype(np.float64))
        touched |= dubins.margin(states) <= 0.0
        if progress is not None:
            progress(period + 1, PERIODS)
        if period + 1 < PERIODS:
            carried, risk = reader.next(states, carried, action[:, None])
    return at_start, touched
