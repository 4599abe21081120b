"""All conversions between messages and types, both ways. Pure: no node, no clock.

Twist fields are set with `float(x)`, arrays as `array.array`: message fields are unchecked by default
and anything else arrives as garbage.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist, TwistStamped
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.types import BRAKE_REASONS, Decision, FloatArray, Latent, Mode, Proposal, Reason, Source

BASE_FRAME = "base_link"
FILTER_STATUS = "safety_filter"
_NS = 1_000_000_000
_AS_ASKED = (Reason.PASS, Reason.LIMITS_ONLY, Reason.OPERATOR)


def to_time(stamp_ns: int) -> Time:
    """Nanoseconds to a message's time."""
    return Time(sec=int(stamp_ns // _NS), nanosec=int(stamp_ns % _NS))


def from_time(stamp: Time) -> int:
    """A message's time to nanoseconds."""
    return int(stamp.sec) * _NS + int(stamp.nanosec)


def to_image(pixels: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """(h, w, 3) uint8 RGB to an rgb8 Image."""
    message = Image()
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.height, message.width = int(pixels.shape[0]), int(pixels.shape[1])
    message.encoding = "rgb8"
    message.step = 3 * message.width
    message.data = array("B", pixels.tobytes())
    return message


def to_latent_image(latent: Latent) -> Image:
    """A latent as a 32FC1 Image of 1 x N; frame_id is the bundle version."""
    message = Image()
    message.header.stamp = to_time(latent.stamp_ns)
    message.header.frame_id = latent.version
    message.height, message.width = 1, int(latent.feature.size)
    message.encoding = "32FC1"
    message.step = 4 * message.width
    message.data = array("B", latent.feature.astype("<f4", copy=False).tobytes())
    return message


def from_latent_image(message: Image) -> Latent:
    """Inverse of `to_latent_image`; the surprise has its own topic and is NaN here. Raises FrameError."""
    if message.encoding != "32FC1" or message.height != 1 or len(message.data) != 4 * message.width:
        raise FrameError(
            f"a latent must be 32FC1 of height 1, got {message.encoding} {message.width}x{message.height}: "
            "check what is remapped to 'latent'"
        )
    order = ">f4" if message.is_bigendian else "<f4"
    feature = np.frombuffer(message.data, order).astype(np.float32)
    return Latent(from_time(message.header.stamp), message.header.frame_id, feature, float("nan"))


def fill_twist(twist: Twist, raw: FloatArray, adapter: RobotAdapter) -> None:
    """Write a raw action (A,) into the fields the adapter names."""
    for name, value in adapter.to_twist(raw).items():
        part, axis = name.split(".")
        setattr(getattr(twist, part), axis, float(value))


def from_twist(twist: Twist, adapter: RobotAdapter) -> FloatArray:
    """The raw action (A,) a Twist carries; all NaN if any of its six fields is NaN or infinite.

    Beyond full scale a velocity base's channels shrink together, which keeps the curvature; others clip.
    """
    parts = (twist.linear, twist.angular)
    if not all(math.isfinite(v) for part in parts for v in (part.x, part.y, part.z)):
        return np.full(adapter.action_dim, np.nan, np.float32)
    fields = {}
    for name in adapter.action_names:
        part, axis = name.split(".")
        fields[name] = float(getattr(getattr(twist, part), axis))
    if adapter.brake == "velocity":
        shares = (abs(fields[n] / s) for n, s in zip(adapter.action_names, adapter.scale, strict=True))
        most = max(1.0, *shares)
        fields = {name: value / most for name, value in fields.items()}
    return adapter.from_twist(fields)


def to_twist_stamped(
    raw: FloatArray, stamp_ns: int, adapter: RobotAdapter, frame_id: str = BASE_FRAME
) -> TwistStamped:
    """A raw action (A,) as a command in the frame of the base."""
    message = TwistStamped()
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    fill_twist(message.twist, raw, adapter)
    return message


def to_proposal(message: TwistStamped, adapter: RobotAdapter) -> Proposal:
    """A nominal command; which policy it came from is not carried."""
    return Proposal(from_time(message.header.stamp), from_twist(message.twist, adapter), "unknown")


def to_state(
    decision: Decision, mode: Mode, robot: str, more: Mapping[str, object] | None = None
) -> DiagnosticArray:
    """The filter's answer as one DiagnosticStatus; NaN is written "nan", in lists null.

    `more`: keys beside the decision's (docs/safety.md lists them). A "wiring" that is not empty is a warning,
    and so is anything novel.
    """
    more = more or {}
    text = decision.reason.value
    if decision.reason in BRAKE_REASONS:
        level = DiagnosticStatus.ERROR
    elif decision.reason in _AS_ASKED and not more.get("wiring") and not decision.novelty:
        level = DiagnosticStatus.OK
    else:
        level = DiagnosticStatus.WARN
    values: dict[str, object] = {
        "mode": mode.value,
        "action": _to_list(decision.action),
        "changed": json.dumps(decision.changed),
        "reason": decision.reason.value,
        "late_input": decision.late_input,
        "value": repr(float(decision.value)),
        "threshold": repr(float(decision.threshold)),
        "bundle": decision.version,
        "candidates": decision.candidates,
        "source": decision.source.value,
        "nominal": _to_list(decision.nominal),
        "speed_source": decision.speed_source,
        "novelty": decision.novelty,
        "would": "" if decision.would is None else decision.would.value,
        "would_action": _to_list(decision.would_action),
    }
    return to_diagnostics(FILTER_STATUS, robot, level, text, {**values, **more}, decision.stamp_ns)


def from_state(message: DiagnosticArray) -> tuple[Decision, Mode]:
    """Inverse of `to_state`, without the scores. Raises FrameError when the message is not the filter's."""
    try:
        status = next(s for s in message.status if s.name == FILTER_STATUS)
        values = {v.key: v.value for v in status.values}
        action = _from_list(values["action"])
        if action is None:
            raise ValueError("an answer always has an action")
        decision = Decision(
            stamp_ns=from_time(message.header.stamp),
            action=action,
            changed=bool(json.loads(values["changed"])),
            reason=Reason(values["reason"]),
            late_input=values["late_input"],
            value=float(values["value"]),
            threshold=float(values["threshold"]),
            candidates=int(values["candidates"]),
            version=values["bundle"],
            source=Source(values["source"]),
            nominal=_from_list(values["nominal"]),
            speed_source=values["speed_source"],
            novelty=values["novelty"],
            would=Reason(values["would"]) if values["would"] else None,
            would_action=_from_list(values["would_action"]),
        )
        return decision, Mode(values["mode"])
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        raise FrameError("a safety/state message is not the safety filter's: check the remaps") from error


def _to_list(raw: FloatArray | None) -> str:
    if raw is None:
        return "[]"
    return json.dumps([float(x) if math.isfinite(x) else None for x in raw])


def _from_list(text: str) -> FloatArray | None:
    numbers = [math.nan if x is None else x for x in json.loads(text)]
    return np.asarray(numbers, np.float32) if numbers else None


def to_diagnostics(
    name: str, hardware: str, level: bytes, text: str, values: Mapping[str, Any], stamp_ns: int
) -> DiagnosticArray:
    """One DiagnosticStatus with key values, stamped."""
    message = DiagnosticArray()
    message.header.stamp = to_time(stamp_ns)
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    message.status = [
        DiagnosticStatus(level=level, name=name, message=text, hardware_id=hardware, values=pairs)
    ]
    return message
