"""`safe-o2o bench crash`: kill the recorder and the learner of a driving graph, then read everything back."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shlex
import signal
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.data.episode import Episode
from safe_o2o_ros.data.experience import ExperienceReader
from safe_o2o_ros.data.store import decode_episode
from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import DeployOptions, Graph, deployment
from safe_o2o_ros.processes import Processes

_PIECE_S = 0.4
_IN_FORCE_NS = 600_000_000
"""The base obeys a command for half a second, and the period it does so in may have begun just then."""


def measure(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Kill `args.rounds` times, then compare what was acknowledged with what is stored and what was said."""
    from safe_o2o_ros.cli.bench_graph import run_probed

    with tempfile.TemporaryDirectory(prefix="safe-o2o-crash-") as folder:
        store, out = Path(folder) / "experience", Path(folder) / "seen.json"
        graph = _graph(args, bundle, store)
        kills: list[dict[str, int]] = []

        def said(processes: Processes, line: dict[str, Any]) -> None:
            if "kill" in line:
                _kill(processes.pid("finetune_node"), line)
            else:
                kills.append(line["kills"])

        parameters = {"bundle": str(bundle), "rounds": args.rounds, "out": str(out)}
        run_probed(graph, "crash_probe", parameters, said)
        if not kills:
            raise GraphError("the probe ended without a result: run it again")
        seen = json.loads(out.read_text(encoding="utf-8"))
        found = {"task": args.task, "kills": kills[0], **compare(store, seen)}
    return found


def _graph(args: argparse.Namespace, bundle: Path, store: Path) -> Graph:
    graph = deployment(
        DeployOptions(
            sim=True,
            task=args.task,
            bundle=str(bundle),
            seed=40_000,
            finetune=True,
            experience_dir=str(store),
            train=True,
            use_respawn=True,
            use_monitor=False,
        )
    )
    more: dict[str, Any] = {"piece": _PIECE_S, "restarts_per_hour": 10_000}
    if args.learner:
        more["learner"] = shlex.split(args.learner)
    nodes = [
        dataclasses.replace(n, parameters={**n.parameters, **more}) if n.name == "finetune_node" else n
        for n in graph.nodes
    ]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _kill(node: int, line: dict[str, Any]) -> None:
    """Kill the node, or the learner that is its child."""
    if line["kill"] == "node":
        os.kill(node, signal.SIGKILL)
        return
    pid = int(line["pid"])
    try:
        # Behind the name, which may hold anything, come the state and the parent.
        parent = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return
    if parent == node:
        os.kill(pid, signal.SIGKILL)


def compare(store: Path, seen: dict[str, Any]) -> dict[str, Any]:
    """What was acknowledged against what is stored; what is stored against what the graph said.

    `seen`: what the crash probe wrote. "lost" and "changed" count acknowledged pieces that are not there or
    not the same to the last bit. The others count frames and transitions; what the probe itself did not hear
    cannot be checked.
    """
    reader = ExperienceReader(store)
    stored = dict(reader.payloads_since(-1))
    acks = {ack["id"]: ack for ack in seen["acks"]}
    lost = [i for i in acks if i not in stored]
    changed = [
        i for i, ack in acks.items() if i in stored and hashlib.sha256(stored[i]).hexdigest() != ack["sha256"]
    ]
    heard, counts = _Heard(seen), Counter[str]()
    for payload in stored.values():
        heard.check(decode_episode(payload), counts)
    kinds = ("frames", "actions", "rewards", "costs")
    return {
        "acknowledged_pieces": len(acks),
        "acknowledged_transitions": sum(ack["steps"] for ack in acks.values()),
        "lost": len(lost),
        "changed": len(changed),
        "stored_pieces": len(stored),
        "damaged": reader.skipped,
        **{f"{kind}_checked": counts[kind] for kind in kinds},
        **{f"{kind}_different": counts[f"{kind} different"] for kind in kinds},
        "longest_silence_of_commands_s": seen["longest_silence_s"],
    }


class _Heard:
    """What the graph said, by stamp."""

    def __init__(self, seen: dict[str, Any]) -> None:
        self._frames = {
            camera: {stamp: (crc, sent_ns) for stamp, crc, sent_ns in rows}
            for camera, rows in seen["frames"].items()
        }
        self._commands = [(sent_ns, bytes.fromhex(data)) for sent_ns, data in seen["commands"]]
        self._outcomes = {
            name: (np.array([at for at, _ in rows], np.int64), np.array([v for _, v in rows], np.float64))
            for name, rows in seen["outcomes"].items()
        }

    def check(self, piece: Episode, counts: Counter[str]) -> None:
        """Count what of a piece was heard, too, and what of it is different."""
        from zlib import crc32

        stamps = piece.extras["stamp_ns"].tolist()
        for camera, frames in piece.images.items():
            for stamp, frame in zip(stamps, frames, strict=True):
                if stamp in self._frames[camera]:
                    counts["frames"] += 1
                    counts["frames different"] += crc32(frame.tobytes()) != self._frames[camera][stamp][0]
        for t, (since, until) in enumerate(zip(stamps, stamps[1:], strict=False)):
            start, end = self._sent(since), self._sent(until)
            if not (start and end):
                continue
            said = {data for sent_ns, data in self._commands if start - _IN_FORCE_NS < sent_ns < end}
            counts["actions"] += 1
            counts["actions different"] += piece.actions[t].tobytes() not in said
            for name, column in (("reward", piece.rewards), ("cost", piece.costs)):
                times, values = self._outcomes[name]
                total = np.float32(values[(times > start) & (times < end)].sum())
                counts[f"{name}s"] += 1
                counts[f"{name}s different"] += bool(total != column[t])

    def _sent(self, stamp_ns: int) -> int:
        """When the frames of a stamp were sent; 0 where the probe heard none."""
        return max((found[stamp_ns][1] for found in self._frames.values() if stamp_ns in found), default=0)


def show(result: dict[str, Any]) -> None:
    """Print the result in sentences."""
    from rich.console import Console

    kills = " and ".join(f"{count} of the {name}" for name, count in result["kills"].items())
    console = Console()
    for line in (
        f"kills: {kills}; longest time without a command {result['longest_silence_of_commands_s']:.2f} s",
        f"acknowledged: {result['acknowledged_transitions']} transitions in {result['acknowledged_pieces']} "
        f"pieces; lost: {result['lost']} pieces, changed: {result['changed']}, damaged records: "
        f"{len(result['damaged'])}",
        *(
            f"{kind} compared with what the graph said: {result[f'{kind}_checked']}, different: "
            f"{result[f'{kind}_different']}"
            for kind in ("frames", "actions", "rewards", "costs")
        ),
    ):
        console.print(line, highlight=False)
