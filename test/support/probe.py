"""Real processes and a real ROS participant beside them, for tests that await conditions, never time."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from safe_o2o_ros.graph import Graph
from safe_o2o_ros.processes import command, environment

DEADLINE_S = 40.0
"""Generous: only a hang reaches it."""


class Probe:
    """Subscribes, publishes and spins until a condition holds."""

    def __init__(self, context: Context, name: str) -> None:
        self.node = rclpy.create_node(name, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)

    def listen(self, kind: type[Any], topic: str, profile: QoSProfile) -> list[Any]:
        """A list that grows with every message."""
        received: list[Any] = []
        self.node.create_subscription(kind, topic, received.append, profile)
        return received

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Spin until `condition` holds; fail, naming `what`, at the deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {DEADLINE_S:g} s in vain for {what}")
            self._executor.spin_once(timeout_sec=0.05)

    def call(self, kind: type[Any], service: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        self.until(client.service_is_ready, f"service {service}")
        future = client.call_async(request)
        self.until(future.done, f"the answer of {service}")
        return future.result()

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()


@contextmanager
def probing(name: str = "probe") -> Iterator[Probe]:
    """A probe in a context of its own."""
    context = Context()
    rclpy.init(context=context)
    probe = Probe(context, name)
    try:
        yield probe
    finally:
        probe.close()
        rclpy.try_shutdown(context=context)


class RunningNodes:
    """Node processes of a graph, one by one, by name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, *names: str) -> None:
        """Start nodes of the graph; all if none is named."""
        for spec in self._graph.nodes:
            if not names or spec.name in names:
                self._processes[spec.name] = subprocess.Popen(
                    command(spec, self._graph),
                    env=environment(self._graph),
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )

    def end(self, name: str, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, wait; returns exit code and what was written on stderr."""
        process = self._processes.pop(name)
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE_S)
        return process.returncode, errors

    def process(self, name: str) -> subprocess.Popen[str]:
        """The process of a started node."""
        return self._processes[name]

    def kill_all(self) -> None:
        """End whatever still runs."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.communicate()


@contextmanager
def running(graph: Graph, *names: str) -> Iterator[RunningNodes]:
    """The nodes of a graph (or those named) as processes, ended on the way out."""
    nodes = RunningNodes(graph)
    nodes.start(*names)
    try:
        yield nodes
    finally:
        nodes.kill_all()
