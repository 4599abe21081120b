"""What goes into a recording, and what comes out of it: messages as bytes, takes that have ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Heard:
    """One message."""

    topic: str
    """In the bag."""
    kind: str
    log_ns: int
    publish_ns: int
    data: bytes
    """CDR."""
    frame: bool = False
    """A camera's picture: a take without any is thrown away."""
    change: Callable[[bytes], bytes] | None = None
    """Applied in the thread before writing, e.g. compression. Raises FrameError."""


@dataclass(frozen=True)
class Finished:
    """A take that has ended."""

    name: str
    ending: str
    """Of the episode; "discarded", "empty" or "disk" where nothing or not all of it is kept."""
    messages: int
    frames: int
    bytes: int


@dataclass(frozen=True)
class Open:
    """A take begins."""

    custom: Mapping[str, str]
    first: tuple[Heard, ...]


@dataclass(frozen=True)
class End:
    """The running take is over."""

    ending: str
    last: tuple[Heard, ...] = ()
    discard: bool = False
