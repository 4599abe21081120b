"""A graph of processes with a probe in it that says what it found, as JSON lines on its stdout."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec
from safe_o2o_ros.processes import Processes


def run_probed(
    graph: Graph,
    probe: str,
    parameters: dict[str, Any],
    said: Callable[[Processes, dict[str, Any]], None],
    **timing: float,
) -> None:
    """Run `graph` and the node `probe` until the probe ends; `said` gets every object it writes.

    `timing`: see Processes. Raises GraphError naming the first node that ended badly.
    """
    from safe_o2o_ros.domain import private_domain

    spec = NodeSpec(probe, PACKAGE, probe, parameters, essential=True)

    def sink(node: str, line: str, stdout: bool) -> None:
        if node == probe and stdout and line.startswith("{"):
            said(processes, json.loads(line))

    with private_domain():
        processes = Processes(dataclasses.replace(graph, nodes=(*graph.nodes, spec)), sink, **timing)
        processes.run()
