"""The deployment graph as plain processes, for machines where `ros2 launch` does not exist."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import site
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from safe_o2o_ros.errors import GraphError, UsageError
from safe_o2o_ros.graph import PACKAGE, USER_ERROR, Graph, NodeSpec

PARENT_VARIABLE = "SAFE_O2O_LAUNCHER_PID"
"""Tells nodes whose child they are: they brake and end when that process is gone."""
_POLL_S = 0.1
_GRACE_S = 6.0
"""Time nodes have for their last words before SIGTERM, and again before SIGKILL, seconds."""
_RESPAWN_S = 1.0

LineSink = Callable[[str, str, bool], None]
"""Gets (node name, line, whether it came on stdout)."""


def command(spec: NodeSpec, graph: Graph) -> list[str]:
    """The command line of one node."""
    if spec.package == PACKAGE:
        start = [sys.executable, "-m", f"{PACKAGE}.nodes.{spec.executable}"]
    else:
        found = shutil.which(spec.executable)
        if found is None:
            raise UsageError(f"{spec.executable} is not installed: leave it out or install it")
        start = [found]
    ros = ["--ros-args", "-r", f"__node:={spec.name}", "--log-level", graph.log_level]
    if graph.namespace:
        ros += ["-r", f"__ns:=/{graph.namespace.strip('/')}"]
    for source, target in spec.remaps:
        ros += ["-r", f"{source}:={target}"]
    if graph.params_file is not None:
        ros += ["--params-file", str(graph.params_file)]
    for name, value in spec.parameters.items():
        ros += ["-p", f"{name}:={_yaml(value)}"]
    return [*start, *spec.arguments, *ros]


def _yaml(value: Any) -> str:
    # JSON is YAML, except that YAML 1.1 reads 1e-05 as a string.
    text = json.dumps(value)
    return f"{value:.17f}" if isinstance(value, float) and "e" in text else text


def environment(graph: Graph) -> dict[str, str]:
    """The environment of the node processes: this one's and what the graph sets."""
    return {**python_environment(), **graph.environment, PARENT_VARIABLE: str(os.getpid())}


def python_environment() -> dict[str, str]:
    """This process's environment, in which another Python finds this package too."""
    env = dict(os.environ)
    root = str(Path(__file__).resolve().parent.parent)
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        # A source checkout that is imported from its folder must be found from any folder.
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH", ""))))
    return env


@dataclass
class _Running:
    spec: NodeSpec
    process: subprocess.Popen[str]
    last_error: str = ""
    last_line: str = ""
    open_streams: int = 2


@dataclass(frozen=True)
class _Event:
    name: str
    line: str | None
    """None: the stream ended."""
    stdout: bool


class Processes:
    """Starts, watches and stops the processes of a graph."""

    def __init__(self, graph: Graph, sink: LineSink, respawn_s: float = _RESPAWN_S) -> None:
        """`sink` is called, in the thread of `run`, with every line the nodes write.

        `respawn_s`: how long after its death a node that may return is started again, seconds.
        """
        self._graph = graph
        self._sink = sink
        self._respawn_s = respawn_s
        self._running: dict[str, _Running] = {}
        self._events: queue.Queue[_Event] = queue.Queue()
        self._respawn_at: dict[str, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Start everything; return, with the rest stopped, when an essential node has ended well.

        Raises GraphError naming the first node that ended badly, and KeyboardInterrupt on SIGINT or
        SIGTERM; both after everything was stopped.
        """
        previous = signal.signal(signal.SIGTERM, _raise_interrupt)
        try:
            commands = {spec.name: command(spec, self._graph) for spec in self._graph.nodes}
            for spec in self._graph.nodes:
                self._start(spec, commands[spec.name])
            self._watch()
        finally:
            self.stop()
            signal.signal(signal.SIGTERM, previous)

    def stop(self) -> None:
        """End every process: ask, wait, insist."""
        self._stopping = True
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for running in self._running.values():
                if running.process.poll() is None:
                    running.process.send_signal(number)
            deadline = time.monotonic() + _GRACE_S
            for running in self._running.values():
                try:
                    running.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    break
            else:
                break
        deadline = time.monotonic() + _GRACE_S
        while any(r.open_streams for r in self._running.values()) and time.monotonic() < deadline:
            self._take(_POLL_S)

    def pid(self, name: str) -> int:
        """Process id of a node that was started."""
        return self._running[name].process.pid

    def start(self, spec: NodeSpec) -> None:
        """Start one more node, from the sink (in the thread of `run`); nothing starts once all is to end."""
        if not self._stopping:
            self._start(spec, command(spec, self._graph))

    def _start(self, spec: NodeSpec, argv: list[str]) -> None:
        process = subprocess.Popen(
            argv,
            env=environment(self._graph),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Own session: Ctrl-C reaches the nodes once, from here, and not also from the terminal.
            start_new_session=True,
        )
        running = _Running(spec, process)
        self._running[spec.name] = running
        for stream, stdout in ((process.stdout, True), (process.stderr, False)):
            threading.Thread(target=self._read, args=(spec.name, stream, stdout), daemon=True).start()

    def _read(self, name: str, stream: IO[str], stdout: bool) -> None:
        with stream:
            for line in stream:
                self._events.put(_Event(name, line.rstrip("\n"), stdout))
        self._events.put(_Event(name, None, stdout))

    def _take(self, timeout_s: float) -> None:
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return
        running = self._running[event.name]
        if event.line is None:
            running.open_streams -= 1
            return
        if not event.stdout and event.line.strip():
            running.last_line = event.line.strip()
            if event.line.startswith("error: "):
                running.last_error = event.line.removeprefix("error: ")
        self._sink(event.name, event.line, event.stdout)

    def _watch(self) -> None:
        while True:
            self._take(_POLL_S)
            now_s = time.monotonic()
            for name, running in list(self._running.items()):
                if name in self._respawn_at:
                    if now_s >= self._respawn_at[name]:
                        del self._respawn_at[name]
                        self._start(running.spec, command(running.spec, self._graph))
                    continue
                over = running.open_streams == 0 and running.process.poll() is not None
                if over and self._ended(running, now_s):
                    return

    def _ended(self, running: _Running, now_s: float) -> bool:
        """Handle the end of one process; True ends the graph."""
        code, spec = running.process.returncode, running.spec
        what = running.last_error or _describe(code, running.last_line)
        if code == USER_ERROR or (spec.essential and code != 0):
            raise GraphError(f"{spec.name}: {what}")
        if spec.essential:
            return True
        if spec.respawn:
            self._sink(spec.name, f"{what}; starting it again", False)
            self._respawn_at[spec.name] = now_s + self._respawn_s
            return False
        self._sink(spec.name, f"{what}; the rest of the graph goes on", False)
        del self._running[spec.name]
        return not self._running


def _describe(code: int, last_line: str) -> str:
    how = f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return f"{how} ({last_line})" if last_line and code else how


def _raise_interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
