"""How fast the base drives: odometry where it can be believed, else what the commands let expect."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.limits import SpeedEstimate
from safe_o2o_ros.types import FloatArray, MeasuredSpeed

FROZEN_S = 0.25
"""A measured speed that stays the same to the last bit for longer is frozen, if the model disagrees."""
AGREEMENT = 0.1
"""Share of the top speed by which a standing value may differ from the model."""


class BaseSpeed:
    """A model driven by executed commands alone, and beside it the same model set right by odometry.

    Apart, since a model that odometry has corrected agrees with it also when it is wrong.
    """

    def __init__(self, adapter: RobotAdapter) -> None:
        self._top = np.asarray(adapter.top_speed, np.float64)
        self._model = SpeedEstimate(adapter)
        self._corrected = SpeedEstimate(adapter)
        self.measured: NDArray[np.float64] | None = None
        """(A,) m/s, rad/s as odometry has it; None where that is not to be believed."""
        self.frozen = False
        """The newest measured speed was refused as frozen."""

    def reset(self) -> None:
        """The robot stands."""
        self._model.reset()
        self._corrected.reset()

    def advance(self, raw: FloatArray, dt_s: float, measured: MeasuredSpeed | None = None) -> None:
        """`raw` action (A,) was in force for the `dt_s` seconds that end now."""
        self._model.advance(raw, dt_s)
        self._corrected.advance(raw, dt_s)
        self.frozen = measured is not None and self._is_frozen(measured)
        if measured is None or self.frozen:
            self.measured = None
            self._corrected.speed = self._model.speed.copy()
            return
        self.measured = measured.speed.astype(np.float64)
        if measured.age_s < dt_s:
            # It came after the last call; until now the command in force has worked on it.
            self._corrected.speed = self.measured.copy()
            self._corrected.advance(raw, measured.age_s)

    @property
    def source(self) -> str:
        """ "odom" or "model"."""
        return "model" if self.measured is None else "odom"

    @property
    def value(self) -> NDArray[np.float64]:
        """(A,) m/s, rad/s."""
        return self._corrected.speed

    def _is_frozen(self, measured: MeasuredSpeed) -> bool:
        apart = np.abs(measured.speed - self._model.speed) > AGREEMENT * self._top
        return bool(measured.still_s > FROZEN_S and apart.any())
