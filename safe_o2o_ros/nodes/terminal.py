"""Keys from a terminal as they are pressed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from typing import Any

from safe_o2o_ros.errors import UsageError


class Terminal:
    """Standard input without line buffering and echo. `close` it on every way out."""

    def __init__(self) -> None:
        self._kept: list[Any] | None = None

    def open(self) -> None:
        """Take single keys from now on. Raises UsageError where standard input is no terminal."""
        if not sys.stdin.isatty():
            raise UsageError(
                "teleop reads keys, but its input is no terminal: run it in a terminal of its own"
            )
        self._descriptor = sys.stdin.fileno()
        self._kept = termios.tcgetattr(self._descriptor)
        mode = termios.tcgetattr(self._descriptor)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        # Suspended, it could neither say zero nor give the terminal back; Ctrl-C still ends it.
        mode[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, mode)

    def read(self) -> str | None:
        """What was typed since the last call, "" if nothing; None when the terminal is gone."""
        try:
            if not select.select([self._descriptor], [], [], 0.0)[0]:
                return ""
            typed = os.read(self._descriptor, 1024)
        except OSError:
            return None
        return typed.decode(errors="replace") if typed else None

    def write(self, text: str) -> None:
        """Show text, where anybody can still see it."""
        with contextlib.suppress(OSError):
            print(text, end="", flush=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._kept is None:
            return
        try:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._kept)
        except termios.error:
            return  # it is gone
        finally:
            self._kept = None
