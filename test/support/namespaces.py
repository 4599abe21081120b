"""Two network namespaces with one cable between them, which can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

HOSTS = ("robot", "learner")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Hosts:
    """Their names are `name(host)`; `prefix(host)` stands before a command that runs there."""

    def __init__(self) -> None:
        self._tag = f"so2o{os.getpid() % 100_000}"

    def name(self, host: str) -> str:
        return f"{self._tag}{host[0]}"

    def prefix(self, host: str) -> list[str]:
        return ["ip", "netns", "exec", self.name(host)]

    def make(self) -> None:
        for host in HOSTS:
            _ip("netns", "add", self.name(host))
        ends = [self.name(host) for host in HOSTS]
        _ip(
            "link",
            "add",
            ends[0],
            "netns",
            ends[0],
            "type",
            "veth",
            "peer",
            "name",
            ends[1],
            "netns",
            ends[1],
        )
        for number, end in enumerate(ends, 1):
            _ip("-n", end, "link", "set", "lo", "up")
            _ip("-n", end, "address", "add", f"10.99.0.{number}/24", "dev", end)
            _ip("-n", end, "link", "set", end, "up")
            _ip("-n", end, "route", "add", "224.0.0.0/4", "dev", end)

    def cut(self) -> None:
        """The cable is pulled out at the learner's end."""
        _ip("-n", self.name("learner"), "link", "set", self.name("learner"), "down")

    def mend(self) -> None:
        end = self.name("learner")
        _ip("-n", end, "link", "set", end, "up")
        _ip("-n", end, "route", "replace", "224.0.0.0/4", "dev", end)

    def remove(self) -> None:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", self.name(host)], capture_output=True, check=False)


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Skips the test, saying why, where namespaces cannot be made."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip`: install iproute2 to test a cut link")
    hosts = Hosts()
    try:
        try:
            hosts.make()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here ({error.stderr.strip()}): run as root")
        yield hosts
    finally:
        hosts.remove()
