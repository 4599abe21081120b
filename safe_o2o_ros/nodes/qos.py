"""Quality of service by what a topic means, so that both ends of one agree."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def images(reliable: bool, depth: int = 1) -> QoSProfile:
    """Camera frames: only the newest counts, except where they are recorded (`depth`)."""
    return _profile(depth, reliable)


def recorded_images(depth: int) -> QoSProfile:
    """Frames of a recording: who asks for the latched ones gets all of them, however late it is found."""
    return _profile(depth, reliable=True, latched=True)


def pipeline(lockstep: bool) -> QoSProfile:
    """Latents and commands: reliable, the newest counts.

    Lockstep latches them: one lost to a partner that is not yet matched would stall the run for ever,
    and the stamps tell an old one from a new one.
    """
    return _profile(1, reliable=True, latched=lockstep)


def facts() -> QoSProfile:
    """What a late joiner must learn: the active bundle, the last episode event."""
    return _profile(1, reliable=True, latched=True)


def answers() -> QoSProfile:
    """Said by several nodes on one topic, also to late joiners: none may push out another's."""
    return _profile(20, reliable=True, latched=True)


def chunks() -> QoSProfile:
    """Pieces of files: what is lost is asked for again, so only a few are kept for a slow partner."""
    return _profile(32, reliable=True)


def series(lockstep: bool) -> QoSProfile:
    """Values of which none may be lost. Lockstep latches them as `pipeline` does."""
    return _profile(50, reliable=True, latched=lockstep)


def receipts() -> QoSProfile:
    """What was stored: every one counts, and a late joiner learns of the last."""
    return _profile(50, reliable=True, latched=True)


def plots() -> QoSProfile:
    """Values to look at: safety value, diagnostics."""
    return _profile(10, reliable=True)
