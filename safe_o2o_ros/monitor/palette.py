"""Colours of the filter's answers, as Nav2's collision monitor has them, for a dark background."""

from __future__ import annotations

from safe_o2o_ros.monitor.shapes import RGBA
from safe_o2o_ros.types import BRAKE_REASONS, Reason

STOP: RGBA = (0.94, 0.24, 0.27, 1.0)
CHANGE: RGBA = (1.00, 0.64, 0.14, 1.0)
PASS: RGBA = (0.20, 0.82, 0.47, 1.0)
OPERATOR: RGBA = (0.30, 0.62, 1.00, 1.0)
UNPROTECTED: RGBA = (0.83, 0.50, 0.96, 1.0)
"""Shadow and limits only: commands go through that nobody certified."""
OFF: RGBA = (0.62, 0.65, 0.70, 1.0)
"""Not enabled, or no word from the filter."""
NOMINAL: RGBA = (0.92, 0.95, 1.00, 1.0)
WHITE: RGBA = (1.0, 1.0, 1.0, 1.0)
TRACK: RGBA = (0.02, 0.03, 0.05, 0.75)
"""The empty part of the value bar."""

_BY_REASON: dict[str, RGBA] = {
    **{reason.value: STOP for reason in BRAKE_REASONS},
    Reason.DISABLED.value: OFF,
    Reason.PASS.value: PASS,
    Reason.SUBSTITUTE.value: CHANGE,
    Reason.ESCAPE.value: CHANGE,
    Reason.RECOVER.value: CHANGE,
    Reason.SHADOW.value: UNPROTECTED,
    Reason.LIMITS_ONLY.value: UNPROTECTED,
    Reason.OPERATOR.value: OPERATOR,
}


def reason_colour(reason: str) -> RGBA:
    """Red stops, orange changes, green passes; "" (no word from the filter) is grey.

    A reason this software does not know is drawn as a stop, so that it gets looked at.
    """
    return _BY_REASON.get(reason, STOP) if reason else OFF


def faded(colour: RGBA, alpha: float) -> RGBA:
    """The colour with another opacity."""
    return (*colour[:3], alpha)
