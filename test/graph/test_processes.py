"""Supervision with small stand-in programs: who ends, who is restarted, who is blamed."""

import os
import signal
import sys

import pytest

from safe_o2o_ros import processes
from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import Graph, NodeSpec

WAIT = """
import signal
signals = [signal.SIGINT, signal.SIGTERM]
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print("up", flush=True)
signal.sigwait(signals)
print("bye")
"""
STUBBORN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def run(monkeypatch):
    """Run programs {name: source} under the supervisor; returns what they wrote, by name."""

    def go(programs, react=None, **flags):
        written = {name: [] for name in programs}
        graph = Graph(
            tuple(NodeSpec(name, "x", name, **flags.get(name, {})) for name in programs), "", None, "info", {}
        )
        monkeypatch.setattr(
            processes, "command", lambda spec, graph: [sys.executable, "-c", programs[spec.name]]
        )

        def sink(name, line, stdout):
            written[name].append(line)
            if react:
                react(name, line)

        supervisor = processes.Processes(graph, sink)
        try:
            supervisor.run()
        finally:
            go.written = written
        return written

    return go


def test_the_end_of_an_essential_node_ends_the_others_gracefully(run):
    written = run({"worker": "print('done')", "helper": WAIT}, worker={"essential": True})
    assert written["worker"] == ["done"]


def test_the_first_to_fail_is_named_with_its_own_sentence(run):
    failing = "import sys; print('error: the lens cap is on', file=sys.stderr); sys.exit(2)"
    with pytest.raises(GraphError, match="^camera: the lens cap is on$"):
        run({"camera": failing, "helper": WAIT})


def test_a_crash_of_an_essential_node_is_told_with_its_signal(run):
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(GraphError, match="sim_node: was ended by signal SIGKILL"):
        run({"sim_node": crash}, sim_node={"essential": True})


def test_a_node_that_may_die_is_started_again(run, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_RESPAWN_S", 0.0)
    flag = tmp_path / "lived"
    twice = f"import os, pathlib; p = pathlib.Path({str(flag)!r}); first = not p.exists(); p.touch()\n"
    twice += "if first: os.abort()\nprint('second life', flush=True)\n" + WAIT

    def react(name, line):
        if line == "second life":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run({"camera": twice}, react, camera={"respawn": True})
    assert any("starting it again" in line for line in run.written["camera"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_lets_it_say_goodbye(run, number):
    def react(name, line):
        if line == "up":
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        run({"helper": WAIT}, react)
    assert run.written["helper"] == ["up", "bye"]


def test_who_does_not_listen_is_ended_anyway(run, monkeypatch):
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)

    def react(name, line):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run({"stubborn": STUBBORN}, react)
    assert run.written["stubborn"] == ["up"]
