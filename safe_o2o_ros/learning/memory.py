"""Keep glibc from giving the large buffers of every update back to the kernel."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_LARGE = 2**31 - 1


def keep_freed_memory() -> None:
    """Reuse freed memory instead of mapping it anew; no effect where the C library is not glibc.

    Each update allocates and frees hundreds of megabytes of activations. By default glibc maps such
    blocks from the kernel every time, and the page faults took a fifth of the processor time on two
    cores (0.74 s an update against 0.60 s).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, _LARGE)
