"""One sentence on how a camera does, from what was counted."""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.types import Level

_LOST_SHARE = 0.3
_BIG_BYTES = 200_000
"""Messages of this size and more overrun the kernel's default socket buffers when they come as one burst."""
_OLD_S = 1.0


@dataclass(frozen=True)
class Vitals:
    """What is known of one camera at one moment."""

    source: str
    """opening, running, disconnected or ended."""
    problem: str
    """The source's own words on what is wrong, or ""."""
    any_frame: bool
    """A good frame has come at some time."""
    silent_s: float
    """Seconds without a good frame."""
    rate_hz: float
    expected_hz: float
    """0 = unknown."""
    lost_share: float
    """Share of frames that were taken and never came."""
    best_effort: bool
    """Lost messages are not sent again."""
    message_bytes: int
    age_s: float
    """From stamp to arrival, seconds."""
    refusal: str
    """Why a frame was refused since the last judgement, or ""."""


def judge(v: Vitals, stall_timeout_s: float, rate_warning: float) -> tuple[Level, str]:
    """Level and sentence; the worst that holds. `rate_warning`: least share of the expected rate."""
    if v.source == "ended":
        return Level.WARN, f"ended: {v.problem}"
    if v.source == "disconnected":
        return Level.ERROR, f"disconnected: {v.problem}; it is opened again as soon as possible"
    if v.silent_s > stall_timeout_s:
        why = v.refusal or v.problem
        tail = f": {why}" if why else ""
        if not v.any_frame:
            return Level.ERROR, f"no frame yet after {v.silent_s:.1f} s{tail}"
        return Level.ERROR, f"stalled: no new frame for {v.silent_s:.1f} s{tail}"
    if not v.any_frame:
        return Level.WARN, "waiting for the first frame"
    if v.refusal:
        return Level.WARN, f"some frames are refused: {v.refusal}"
    if v.lost_share > _LOST_SHARE:
        lost = f"{100.0 * v.lost_share:.0f} % of the frames do not arrive"
        if v.best_effort and v.message_bytes >= _BIG_BYTES:
            return Level.WARN, (
                f"{lost} ({v.message_bytes} bytes each, best effort): let the kernel hold whole images (sudo "
                "sysctl -w net.core.rmem_max=4194304), or use compressed images or a reliable publisher"
            )
        return Level.WARN, f"{lost}: look for a busy machine or network"
    if v.rate_hz < rate_warning * v.expected_hz:
        return Level.WARN, f"{v.rate_hz:.1f} frames/s, expected {v.expected_hz:.1f}"
    if abs(v.age_s) > _OLD_S:
        return Level.WARN, (
            f"frames are {v.age_s:.1f} s old when they come: synchronise the clocks or look for a queue"
        )
    return Level.OK, "ok"
