"""Work for the processes of a pool, where they can import it."""

from __future__ import annotations

import os

from safe_o2o_ros.errors import StoreError


def squared(number: int) -> tuple[int, int]:
    """The square, and the process that computed it."""
    if number == 13:
        raise StoreError("thirteen cannot be squared: choose another number")
    return number * number, os.getpid()


def vanish(number: int) -> int:
    """End the process as the kernel would."""
    os._exit(number)
