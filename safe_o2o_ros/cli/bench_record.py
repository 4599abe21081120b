"""`safe-o2o bench record`: does the recorder keep up with a camera, and what does that take?"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from safe_o2o_ros.cli.bench_soak import resident_mb, trend
from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.graph import ONE_THREAD, PACKAGE, Graph, NodeSpec
from safe_o2o_ros.processes import Processes

WIDTH, HEIGHT, RATE_HZ = 640, 480, 30.0
_CAMERA, _OTHERS = "/front/image_raw/compressed", ("/executed_cmd", "/reward", "/bumper")
_RECORDER = "recorder_node"


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Record for `args.minutes`, then read the bag. Raises GraphError."""
    from safe_o2o_ros.cli.bench_graph import run_probed

    with tempfile.TemporaryDirectory(prefix="safe-o2o-record-", dir=args.out) as folder:
        out = Path(folder) / "takes"
        given = {"out": str(out), "cameras": ["front"], "images": "jpeg", "min_free_gigabytes": 0.0}
        graph = Graph((NodeSpec(_RECORDER, PACKAGE, _RECORDER, given),), "", None, "warn", dict(ONE_THREAD))
        samples: list[tuple[float, float, float]] = []
        sent: list[dict[str, int]] = []

        def said(processes: Processes, line: dict[str, Any]) -> None:
            if "sent" in line:
                sent.append(line)
                return
            pid = processes.pid(_RECORDER)
            samples.append((line["at_s"], resident_mb(pid), processor_s(pid)))

        began_s = time.monotonic()
        probe = {"width": WIDTH, "height": HEIGHT, "rate": RATE_HZ, "seconds": args.minutes * 60.0}
        run_probed(graph, "record_probe", probe, said)
        takes = sorted(out.glob("take_*"))
        if not sent or not takes:
            raise GraphError(
                "nothing was recorded: read the messages of the recorder above, and run it again"
            )
        counts, size = recorded(takes[0])
        return {
            "minutes": args.minutes,
            "wall_minutes": round((time.monotonic() - began_s) / 60.0, 2),
            "width": WIDTH,
            "height": HEIGHT,
            "rate_hz": RATE_HZ,
            **conclude(sent[0], samples, counts, size, args.minutes * 60.0),
        }


def recorded(take: Path) -> tuple[dict[str, int], int]:
    """Topic -> messages of a bag, and its bytes."""
    from safe_o2o_ros.data.bags import Bag

    with Bag(take) as bag:
        counts = {topic.name: topic.count for topic in bag.topics.values()}
    return counts, sum(f.stat().st_size for f in take.iterdir())


def conclude(
    sent: dict[str, int],
    samples: list[tuple[float, float, float]],
    counts: dict[str, int],
    size: int,
    seconds: float,
) -> dict[str, Any]:
    """`sent`: what the probe says; `samples`: (time s, resident MB, processor s) of the recorder."""
    times, memory, processor = (list(column) for column in zip(*samples, strict=True))
    slope = trend(times, memory)
    per_hour = slope["mb_per_hour"]
    interval = slope["interval"]
    busy = (processor[-1] - processor[0]) / (times[-1] - times[0]) if len(times) > 1 else float("nan")
    return {
        "frames_sent": sent["sent"],
        "frames_recorded": counts.get(_CAMERA, 0),
        "frames_dropped": sent["sent"] - counts.get(_CAMERA, 0),
        "others_dropped": {name: sent["sent"] - counts.get(name, 0) for name in _OTHERS},
        "sent_late": sent["late"],
        "memory_first_mb": slope["first_mb"],
        "memory_last_mb": slope["last_mb"],
        "memory_mb_per_min": None if per_hour is None else round(per_hour / 60.0, 4),
        "memory_mb_per_min_interval": None if interval is None else [round(v / 60.0, 4) for v in interval],
        "bytes": size,
        "bytes_per_hour": round(size / seconds * 3600.0),
        "bytes_per_frame": round(size / max(1, counts.get(_CAMERA, 0))),
        "processor_share": round(busy, 3),
        "samples": [{"at_s": round(t, 2), "rss_mb": m} for t, m, _ in samples],
    }


def processor_s(pid: int) -> float:
    """Processor time a process has used, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def show(result: dict[str, Any]) -> None:
    """Print what was found."""
    from rich.console import Console

    slope = "too short to tell"
    if result["memory_mb_per_min"] is not None:
        low, high = result["memory_mb_per_min_interval"]
        slope = f"{result['memory_mb_per_min']:+.3f} MB/min (95 %: {low:+.3f} .. {high:+.3f})"
    others = ", ".join(f"{name} {count}" for name, count in result["others_dropped"].items())
    console = Console()
    for line in (
        f"{result['width']}x{result['height']}, {result['rate_hz']:g} Hz, {result['minutes']:g} min, JPEG",
        f"frames: {result['frames_sent']} sent, {result['frames_recorded']} in the bag, "
        f"{result['frames_dropped']} dropped; dropped of {others}; sent late: {result['sent_late']}",
        f"memory: {result['memory_first_mb']:.1f} -> {result['memory_last_mb']:.1f} MB, {slope}",
        f"disk: {result['bytes_per_hour'] / 1e9:.2f} GB/h, {result['bytes_per_frame'] / 1e3:.1f} kB a frame",
        f"processor: {100.0 * result['processor_share']:.0f} % of a core",
    ):
        console.print(line, highlight=False, soft_wrap=True)
