"""Robot adapters: what an action of the networks means for a base, and back.

Three spaces, converted here and nowhere else:

* *raw action*: what the simulated task and the recorded data use, in [-1, 1].
* *effective action*: raw divided by the value at which the actuator saturates, clipped to
  [-1, 1]. Networks read and write effective actions, and distances between commands are
  measured there, since 0.06 and 1.0 are the same action on an actuator that saturates at 0.05.
* *twist*: the two fields of a geometry_msgs/Twist in base_link (REP-103), m/s and rad/s.

For force- and torque-driven benchmark robots the twist only carries the raw action (full scale =
top speed); for a velocity base it is a velocity. The table, for an action (a0, a1):

| robot | linear.x, m/s | angular.z, rad/s |
| --- | --- | --- |
| point | 1.5 a0 | 3.0 a1 |
| car | 0.79 (a0 + a1) / 2 | 1.35 (a0 - a1) / 2 |
| room_base | 0.46 a0 | 1.9 a1 |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_WHEEL_GRID = 2.0**48


@dataclass(frozen=True)
class RobotAdapter:
    """Scaling, limits and brake of one base. Stored in a bundle's manifest.

    All tuples have one entry per action channel.
    """

    name: str
    action_names: tuple[str, ...]
    """Twist field each channel is carried in, e.g. ("linear.x", "angular.z")."""
    action_units: tuple[str, ...]
    """Unit of that Twist field, e.g. ("m/s", "rad/s")."""
    scale: tuple[float, ...]
    """Twist value carried when the raw action is 1, in `action_units`."""
    saturation: tuple[float, ...]
    """Raw action at which the actuator saturates, in (0, 1]."""
    brake: str
    """"velocity": command zero. "reverse_thrust": push against the estimated speed, then zero."""
    top_speed: tuple[float, ...]
    """Steady speed of each channel at effective action 1: m/s, rad/s."""
    time_constant_s: tuple[float, ...]
    """First-order lag from effective action to speed, seconds; 0 = the command is the speed."""
    max_accel: tuple[float, ...]
    """Largest growth of the effective action's magnitude, per second; inf = unlimited."""
    max_decel: tuple[float, ...]
    """Largest decrease of the effective action's magnitude, per second; inf = unlimited."""
    wheels: bool = False
    """True: the channels are the left and the right wheel. The first field carries their mean, the second
    half of what the left has more than the right; names, units, scale and top speed are the fields'."""

    def promises(self) -> Iterator[tuple[str, bool]]:
        """What the values of a usable adapter fulfil, each as a sentence and whether it holds."""
        columns = [getattr(self, f.name) for f in fields(self) if isinstance(getattr(self, f.name), tuple)]
        same = len({len(column) for column in columns}) == 1 and self.action_dim > 0
        yield "action_names and all other lists must have one entry per action channel", same
        yield "scale must be finite and not 0", all(np.isfinite(x) and x != 0.0 for x in self.scale)
        yield "saturation must be in (0, 1]", all(0.0 < x <= 1.0 for x in self.saturation)
        yield "top_speed must be finite and positive", all(0.0 < x < np.inf for x in self.top_speed)
        yield (
            "time_constant_s must be finite, 0 or more",
            all(0.0 <= x < np.inf for x in self.time_constant_s),
        )
        rates = (*self.max_accel, *self.max_decel)
        yield "max_accel and max_decel must be positive", all(x > 0.0 for x in rates)
        yield "brake must be one of velocity, reverse_thrust", self.brake in ("velocity", "reverse_thrust")
        # Without lag the speed is the command, and there is nothing to push against.
        lag = self.brake == "velocity" or self.time_constant_s[0] > 0.0
        yield "time_constant_s of a base that brakes by reverse_thrust must be positive", lag
        yield "wheels must be two channels", not self.wheels or self.action_dim == 2

    @property
    def obeys_velocity(self) -> bool:
        """Its twist really is a velocity, as of ROS bases; to the benchmark's robots it carries forces."""
        return self.brake == "velocity" and not self.wheels and "linear.x" in self.action_names

    @property
    def action_dim(self) -> int:
        """Number of action channels."""
        return len(self.action_names)

    def effective(self, raw: FloatArray) -> FloatArray:
        """Raw actions, shape (..., A), to effective actions in [-1, 1], float32."""
        sat = np.asarray(self.saturation, np.float32)
        return np.asarray(np.clip(np.asarray(raw, np.float32) / sat, -1.0, 1.0), np.float32)

    def raw(self, effective: FloatArray) -> FloatArray:
        """Effective actions, shape (..., A), to the smallest raw actions with that effect, float32."""
        sat = np.asarray(self.saturation, np.float32)
        return (np.clip(np.asarray(effective, np.float32), -1.0, 1.0) * sat).astype(np.float32)

    def steady_speed(self, raw: FloatArray) -> NDArray[np.float64]:
        """Speed of every Twist field, shape (..., A), m/s or rad/s, to which held raw actions (..., A) lead.

        A positive action is a negative speed where the scale is negative. Saturation acts on each wheel.
        """
        effective = self.effective(raw).astype(np.float64)
        if self.wheels:
            left, right = effective[..., 0], effective[..., 1]
            effective = np.stack([0.5 * (left + right), 0.5 * (left - right)], axis=-1)
        return effective * np.asarray(self.top_speed, np.float64) * np.sign(self.scale)

    def lagged(
        self, speed: NDArray[np.float64], target: NDArray[np.float64], dt_s: float
    ) -> NDArray[np.float64]:
        """Speeds (A,), `dt_s` seconds later, on their way to `target` (A,): v' = (target - v) / tau."""
        tau = np.asarray(self.time_constant_s, np.float64)
        decay = np.where(tau > 0.0, np.exp(-dt_s / np.maximum(tau, 1e-9)), 0.0)
        return target + (speed - target) * decay

    def measured(self, twist: Mapping[str, float]) -> FloatArray:
        """Measured Twist fields, m/s and rad/s, to the speed of each channel (A,) float32; NaN stays NaN.

        A positive action is a negative twist where the scale is negative.
        """
        channels = zip(self.action_names, self.scale, strict=True)
        return np.asarray([math.copysign(1.0, scale) * twist[name] for name, scale in channels], np.float32)

    def to_twist(self, raw: FloatArray) -> dict[str, float]:
        """Raw action, shape (A,), to Twist fields as Python floats, e.g. {"linear.x": 0.075}."""
        values = [float(value) for value in raw]
        if self.wheels:
            left, right = values
            values = [0.5 * (left + right), 0.5 * (left - right)]
        return {
            name: value * scale
            for name, value, scale in zip(self.action_names, values, self.scale, strict=True)
        }

    def from_twist(self, fields: dict[str, float]) -> FloatArray:
        """Twist fields to a raw action, shape (A,), float32, clipped to [-1, 1].

        `from_twist(to_twist(a))` is bit-exact for float32 `a` in [-1, 1]; of wheels where they are 0 or at
        least 2^-25, else within 2^-48. Wheels asked for too much slow down together, which keeps the
        curvature.
        """
        values = [fields[n] / s for n, s in zip(self.action_names, self.scale, strict=True)]
        if self.wheels:
            mean, half = values
            # A grid hides the rounding of scale and sum from the wheels, above all from one at rest.
            values = [
                round(v * _WHEEL_GRID) / _WHEEL_GRID if np.isfinite(v) else v
                for v in (mean + half, mean - half)
            ]
            most = max(1.0, *(abs(v) for v in values))
            values = [v / most for v in values]
        return np.clip(np.asarray(values, np.float64), -1.0, 1.0).astype(np.float32)

    def zero(self) -> FloatArray:
        """The raw action that asks for nothing, shape (A,), float32."""
        return np.zeros(self.action_dim, np.float32)

    def mirrored(self, action: FloatArray) -> FloatArray:
        """The actions, shape (..., A), that a robot drives in a world seen in a mirror: left is right.

        Wheels change places; of other channels what is sideways or turns changes its sign.
        """
        if self.wheels:
            return action[..., ::-1]
        sign = [-1.0 if n in ("linear.y", "angular.x", "angular.z") else 1.0 for n in self.action_names]
        return action * np.asarray(sign, np.float32)

    def to_json(self) -> dict[str, Any]:
        """Fields as JSON values; infinities become null."""
        out = {
            k: [None if isinstance(x, float) and not np.isfinite(x) else x for x in v]
            if isinstance(v, tuple)
            else v
            for k, v in asdict(self).items()
        }
        if not self.wheels:
            # As manifests had it before there were wheels.
            del out["wheels"]
        return out

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RobotAdapter:
        """Inverse of `to_json`. Raises TypeError on unknown or missing fields."""
        fields: dict[str, Any] = {
            k: tuple(float("inf") if x is None else x for x in v) if isinstance(v, list) else v
            for k, v in data.items()
        }
        return cls(**fields)


_UNLIMITED = (float("inf"), float("inf"))

POINT = RobotAdapter(
    name="point",
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(1.5, 3.0),
    saturation=(0.05, 1.0),
    brake="reverse_thrust",
    top_speed=(1.5, 3.0),
    time_constant_s=(0.52, 0.1),
    max_accel=_UNLIMITED,
    max_decel=_UNLIMITED,
)
"""Safety-Gymnasium's Point: force along x (saturates at 0.05), turn servo about z."""

CAR = RobotAdapter(
    name="car",
    wheels=True,
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(0.79, 1.35),
    saturation=(0.02, 0.02),
    brake="velocity",
    top_speed=(0.79, 1.35),
    time_constant_s=(0.06, 0.04),
    max_accel=_UNLIMITED,
    max_decel=_UNLIMITED,
)
"""Safety-Gymnasium's Car: torque on the left and the right wheel (saturates at 0.02). Without torque its
wheels' friction stops it within 0.2 s."""

_ROOM_RATES = (0.9 / 0.46, 3.0 / 1.9)
"""0.9 m/s^2 and 3 rad/s^2 as effective action per second."""

ROOM_BASE = RobotAdapter(
    name="room_base",
    action_names=("linear.x", "angular.z"),
    action_units=("m/s", "rad/s"),
    scale=(0.46, 1.9),
    saturation=(1.0, 1.0),
    brake="velocity",
    top_speed=(0.46, 1.9),
    time_constant_s=(0.0, 0.0),
    max_accel=_ROOM_RATES,
    max_decel=_ROOM_RATES,
)
"""RoomNav's differential-drive base of TurtleBot 4 class: its twist is a velocity."""

ADAPTERS: dict[str, RobotAdapter] = {adapter.name: adapter for adapter in (POINT, ROOM_BASE, CAR)}
"""Known robots by name, for where no bundle says which one it is."""
