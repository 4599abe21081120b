"""From key presses to a driving command. Pure: no node, no terminal; times are given."""

from __future__ import annotations

import math
import re

_ARROWS = {"A": "w", "B": "s", "C": "d", "D": "a"}
_ESCAPE = re.compile(r"\x1b[\[O]([0-9;]*)([A-Za-z~])")
_UNFINISHED = re.compile(r"\x1b([\[O][0-9;]*)?$")
_STEP = 1.1
_LEAST, _MOST = 0.1, 10.0


class KeyReader:
    """Characters of a terminal to keys; arrows, which come as several characters, become w, a, s, d."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Keys in the order they were pressed, in lower case; the start of an arrow waits for its end."""
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        text = text[: len(text) - len(self._rest)]
        return [key.lower() for key in _ESCAPE.sub(_arrow, text)]


def _arrow(match: re.Match[str]) -> str:
    # Any other special key is one key that means nothing: it stops.
    return _ARROWS.get(match[2], "\x1b")


class KeyDrive:
    """Which command the keys ask for. A key counts for `hold_s` after its last repeat.

    A terminal tells presses and repeats, never releases, and repeats only the key pressed last. So w and s
    drive straight, a and d turn and keep what was driven; every key that means nothing else stops.
    """

    def __init__(self, speed_m_s: float, turn_rad_s: float, hold_s: float) -> None:
        self._full = (speed_m_s, turn_rad_s)
        self._hold_s = hold_s
        self._factor = 1.0
        self._drive = self._turn = 0
        self._until_s = -math.inf

    @property
    def speed_m_s(self) -> float:
        """Speed of w and s."""
        return self._full[0] * self._factor

    @property
    def turn_rad_s(self) -> float:
        """Turn rate of a and d."""
        return self._full[1] * self._factor

    def press(self, key: str, now_s: float) -> None:
        """A key was pressed or repeated."""
        if key in ("+", "=", "-"):
            factor = self._factor * (1.0 / _STEP if key == "-" else _STEP)
            self._factor = min(max(factor, _LEAST), _MOST)
            return
        if now_s > self._until_s:
            self._drive = 0
        self._turn = {"a": 1, "d": -1}.get(key, 0)
        if not self._turn:
            self._drive = {"w": 1, "s": -1}.get(key, 0)
        self._until_s = now_s + self._hold_s

    def command(self, now_s: float) -> tuple[float, float] | None:
        """Linear (m/s, forward) and angular (rad/s, to the left) velocity; None when no key is held."""
        if now_s > self._until_s:
            return None
        return self._drive * self.speed_m_s, self._turn * self.turn_rad_s
