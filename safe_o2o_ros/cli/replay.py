"""`safe-o2o deploy --replay`: a recording through the whole graph, which drives nothing; a report of it."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from safe_o2o_ros.cli.extras import BAGS, INFERENCE, ROS, require
from safe_o2o_ros.cli.output import report_folder
from safe_o2o_ros.cli.replay_source import Source, source_of
from safe_o2o_ros.data.bag_recording import read_bag
from safe_o2o_ros.data.driven import Driven, driven
from safe_o2o_ros.data.topic_map import TopicMap
from safe_o2o_ros.data.tracks import Recording
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.graph import PACKAGE, DeployOptions, Graph, NodeSpec, deployment
from safe_o2o_ros.manifest import Manifest
from safe_o2o_ros.perception.shaping import WHOLE, Shape
from safe_o2o_ros.types import Mode

_PROBE, _CAMERAS = "replay_probe", "camera_node"
_USED = ("bundle", "task", "base", "params_file", "log_level")
"""Launch arguments that say something about a replay."""
_REPORT = ("replay.json", "replay.png", "index.html", "frames.npz")
"""What a report is made of: an older one in the same folder goes first."""
_APART = {"ROS_DOMAIN_ID": None, "ROS_STATIC_PEERS": None, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def run(args: argparse.Namespace, launch: dict[str, str]) -> int:
    """Convert where needed, read, play, report. `launch`: the launch arguments as text, "" = not given."""
    require(ROS, INFERENCE, BAGS)
    others = [name for name, value in launch.items() if value and name not in _USED]
    if others:
        raise UsageError(f"--{others[0].replace('_', '-')} does not go with --replay: leave it out")
    if not launch["bundle"]:
        raise UsageError("--replay needs the bundle that is to drive: add --bundle DIR")
    from rich.console import Console

    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.report.replay_record import conclude

    manifest = load_bundle(Path(launch["bundle"]), networks=(), task=launch["task"] or None).manifest
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="safe-o2o-replay-") as folder:
        scratch = Path(folder)
        with console.status("reading the recording"):
            source = source_of(args, manifest, scratch)
            recording, plan = _read(source, manifest)
        graph = _graph(launch, manifest, source, plan, scratch)
        out = report_folder(args.out, "replay", _REPORT)
        with (out / "nodes.log").open("w", encoding="utf-8") as log, console.status("starting") as status:
            _play(graph, log, status.update)
        found = json.loads((scratch / "found.json").read_text(encoding="utf-8"))
        with np.load(scratch / "found.npz") as file:
            pictures, stamps = file["pictures"], file["stamps_ns"]
    with console.status("writing the report"):
        page = conclude(
            out,
            found,
            plan,
            recording,
            manifest,
            name=str(args.replay),
            topics=source.topics,
            converted=source.converted,
            pictures=pictures,
            picture_ns=stamps,
        )
    print(f"report: {page}")
    return 0


def _read(source: Source, manifest: Manifest) -> tuple[Recording, Driven]:
    """The whole recording, for its commands and its account. Raises RecordingError, UsageError."""
    topics = TopicMap(cameras=source.topics, command=source.command)
    # Its pictures are played by camera_node; here only their times count.
    recording = read_bag(source.bag, topics, manifest.adapter, Shape(8, 8, WHOLE))
    return recording, driven(
        recording, manifest.image.cameras[0], manifest.adapter.action_dim, manifest.period_s
    )


def _graph(launch: dict[str, str], manifest: Manifest, source: Source, plan: Driven, scratch: Path) -> Graph:
    """The graph of a deployment, with a probe, and cameras that play the recording."""
    graph = deployment(
        DeployOptions(
            bundle=launch["bundle"],
            task=launch["task"] or None,
            base=launch["base"] or None,
            params_file=launch["params_file"] or None,
            log_level=launch["log_level"] or "info",
            mode=Mode.SHADOW.value,
            start_enabled=True,
            use_camera_node=True,
            use_monitor=False,
        )
    )
    plan.save(scratch / "driven.npz")
    more: dict[str, dict[str, Any]] = {
        "encoder_node": {"image_qos": "reliable"},
        "safety_filter_node": {"state_every_tick": True, "use_e_stop": False, "use_odom": "never"},
        _CAMERAS: {"cameras": list(source.topics)},
    }
    for camera, topic in source.topics.items():
        played = {
            "source": "bag",
            "file": str(source.bag.absolute()),
            "topic": topic,
            "crop": source.crop,
            "playback": "real_time",
            # Every message of the graph then carries the recorded time of its frame.
            "stamps": "recorded",
            "loop": False,
        }
        more[_CAMERAS] |= {f"{camera}.{key}": value for key, value in played.items()}
    # Not even another node on this domain is to take the filter's answers for commands.
    remaps = {"safety_filter_node": (("cmd_vel", "replay/cmd_vel"),)}
    if len(plan.command_ns):
        remaps["encoder_node"] = (("executed_cmd", "recorded_cmd"),)
    nodes = [
        replace(
            node,
            parameters={**node.parameters, **more.get(node.name, {})},
            remaps=remaps.get(node.name, ()),
            essential=True,
        )
        for node in graph.nodes
    ]
    probe = {
        "bundle": str(Path(launch["bundle"]).absolute()),
        "driven": str(scratch / "driven.npz"),
        "found": str(scratch / "found.json"),
    }
    nodes.append(NodeSpec(_PROBE, PACKAGE, _PROBE, probe, essential=True))
    return replace(graph, nodes=tuple(nodes))


def _play(graph: Graph, log: IO[str], say: Any) -> None:
    """Run until the recording has been played. Raises GraphError."""
    from safe_o2o_ros.processes import Processes

    cameras = next(node for node in graph.nodes if node.name == _CAMERAS)

    def sink(node: str, line: str, stdout: bool) -> None:
        if node == _PROBE and stdout and line.startswith("{"):
            told = json.loads(line)
            if told.get("ready"):
                # Only now: the first frames would find nobody who answers.
                processes.start(cameras)
            else:
                say(f"playing: {told['answered']} of {told['of']} frames answered")
        else:
            log.write(f"[{node}] {line}\n")
            log.flush()

    with _apart():
        processes = Processes(
            replace(graph, nodes=tuple(node for node in graph.nodes if node is not cameras)), sink
        )
        processes.run()


@contextmanager
def _apart() -> Iterator[None]:
    """A ROS domain on this machine that no robot is in, whatever the environment says."""
    from safe_o2o_ros.domain import private_domain

    before = {name: os.environ.get(name) for name in _APART}
    _set(_APART)
    try:
        with private_domain():
            yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
