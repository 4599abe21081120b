"""A ROS domain of one's own, so that a simulated robot never talks to a real one, nor to another test."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from safe_o2o_ros.errors import GraphError

_PORT_BASE = 32768
"""The scheme of ros-domain-coordinator: who binds this port plus the domain owns the domain."""
_DOMAINS = range(1, 101)


@contextmanager
def private_domain() -> Iterator[int]:
    """Reserve a free ROS_DOMAIN_ID on this machine and set it, localhost only; one set by the user is kept.

    Raises GraphError when all are taken.
    """
    if "ROS_DOMAIN_ID" in os.environ:
        yield int(os.environ["ROS_DOMAIN_ID"])
        return
    # Start at different places, or all would race for the first.
    start = os.getpid() % len(_DOMAINS)
    for domain in (*_DOMAINS[start:], *_DOMAINS[:start]):
        with socket.socket() as reservation:
            try:
                reservation.bind(("", _PORT_BASE + domain))
            except OSError:
                continue
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            try:
                yield domain
            finally:
                del os.environ["ROS_DOMAIN_ID"]
            return
    raise GraphError(
        "every ROS domain from 1 to 100 is in use on this machine: end a run, or set ROS_DOMAIN_ID"
    )
