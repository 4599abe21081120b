"""`safe-o2o record`: an operator drives, recorder_node records; progress here, the keyboard elsewhere."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from safe_o2o_ros.collection import RECORDER, arguments, collection

_KEYS = "in another terminal: safe-o2o teleop   (keys: r record, f finish, g goal, c cost, x discard, q quit)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One option per launch argument of collect.launch.py, and what becomes of the takes."""
    for name, text in arguments().items():
        parser.add_argument(f"--{name.replace('_', '-')}", default="", metavar="VALUE", help=text)
    parser.add_argument("--store", type=Path, help="at the end import all takes into this segment store")
    parser.add_argument("--json", type=Path, help="write what was recorded here")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C; 0 after a clean stop, 1 where recording ended with an error."""
    from rich.console import Console

    from safe_o2o_ros.cli.extras import BAGS, INFERENCE, ROS, SIM, require
    from safe_o2o_ros.cli.output import write_json
    from safe_o2o_ros.processes import Processes

    values = {name: getattr(args, name) for name in arguments()}
    require(ROS, BAGS, INFERENCE, *([SIM] if values["sim"].lower() == "true" else []))
    graph = collection(values)
    nodes = [
        dataclasses.replace(node, parameters=node.parameters | {"progress": True})
        if node.name == RECORDER
        else node
        for node in graph.nodes
    ]
    console = Console(stderr=True)
    console.print(_KEYS, highlight=False, soft_wrap=True)
    shown = Shown(console)
    try:
        with shown.status:
            Processes(dataclasses.replace(graph, nodes=tuple(nodes)), shown.sink).run()
    except KeyboardInterrupt:
        pass
    shown.summary(values["out"])
    if args.json is not None:
        write_json(args.json, {"takes": shown.takes, "total": shown.last}, "record")
    if args.store is not None and any(take["frames"] for take in shown.takes):
        from safe_o2o_ros.cli.main import main

        return main(["import", values["out"], "--out", str(args.store)])
    return 0 if shown.last.get("level", "OK") != "ERROR" else 1


class Shown:
    """What the user sees: a line that is kept up to date, above it what happens."""

    def __init__(self, console: Any) -> None:
        """`console`: of rich."""
        self._console = console
        self.status = console.status("starting the graph")
        self.takes: list[dict[str, Any]] = []
        """Takes that are kept."""
        self.last: dict[str, Any] = {}
        """The newest numbers of the recorder."""
        self._error = ""

    def sink(self, node: str, line: str, stdout: bool) -> None:
        """A line of a node."""
        if node == RECORDER and stdout and line.startswith("{"):
            self._take(json.loads(line))
        else:
            self._console.print(f"[{node}] {line}", markup=False, highlight=False, soft_wrap=True)

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "take":
            self.takes = [take for take in self.takes if take["name"] != event["name"]]
            if event["ending"] not in ("discarded", "empty"):
                self.takes.append(event)
            return
        self.last = event
        self.status.update(line(event))
        if event["level"] == "ERROR" and event["text"] != self._error:
            self._error = event["text"]
            self._console.print(f"error: {self._error}", markup=False, highlight=False, soft_wrap=True)

    def summary(self, out: str) -> None:
        """What there is now, and what to do with it."""
        from rich.table import Table

        if not self.last:
            print("nothing was recorded: the recorder did not start", file=sys.stderr)
            return
        table = Table(title=f"takes in {out}")
        for column in ("take", "ended by", "frames", "messages", "MB"):
            table.add_column(column, justify="left" if column in ("take", "ended by") else "right")
        for take in self.takes:
            size = f"{take['bytes'] / 1e6:.1f}"
            table.add_row(take["name"], take["ending"], str(take["frames"]), str(take["messages"]), size)
        self._console.print(table)
        self._console.print(line(self.last), highlight=False, soft_wrap=True)
        if self.takes:
            self._console.print(
                f"next: safe-o2o import {out} --out STORE", markup=False, highlight=False, soft_wrap=True
            )


def line(event: dict[str, Any]) -> str:
    """The recorder's numbers in one line."""
    dropped = sum(event[f"dropped_{cause}"] for cause in ("queue_full", "disk", "unreadable"))
    return (
        f"{event['text']}: {event['takes']} takes, {event['frames']} frames, {event['seconds']:.0f} s; "
        f"dropped {dropped} ({event['frames_dropped']} frames); {event['megabytes']:.1f} MB, "
        f"{event['gigabytes_per_hour']:.2f} GB/h; {event['free_gigabytes']:.1f} GB free"
    )
