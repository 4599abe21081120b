"""`safe-o2o bench render`: camera images a second, of one core and of several processes side by side."""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from safe_o2o_ros.cli.pool import start_worker
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.sim.checks import IMAGE_SIZE
from safe_o2o_ros.sim.make import make_env
from safe_o2o_ros.sim.render import Renderer

CAMERAS = ("front", "back")
FIRST_SEED = 10_000
SCENES = 8
"""Episodes whose images are timed: what stands in view decides how long an image takes."""
_DRIVEN = 10
"""Control periods driven before an episode's images are timed."""
SHADOW_SIZE = 4096
SAMPLES = 4
"""MuJoCo's own defaults of `shadowsize` and `offsamples`, with which the benchmark renders."""
_BARRIER_S = 120.0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All measurements of `args.task`, each of about `args.seconds`; raises UsageError."""
    if args.workers < 1:
        raise UsageError("--workers must be at least 1")
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the processes, of which each has one core
    env = make_env(args.task, 0, CAMERAS, None)
    ours, plain = _images(env, args.seconds), _images(env, args.seconds, as_the_benchmark=True)
    env.reset(seed=FIRST_SEED)
    quality = env.scene.model.vis.quality
    result = {
        "task": args.task,
        "size": IMAGE_SIZE,
        "settings": {
            "shadowsize": int(quality.shadowsize),
            "offsamples": int(quality.offsamples),
            "MUJOCO_GL": os.environ.get("MUJOCO_GL"),
            "LP_NUM_THREADS": os.environ.get("LP_NUM_THREADS"),
        },
        "load_average": round(os.getloadavg()[0], 2),
        "image": ours,
        "image_at_mujocos_default_quality": plain,
        "speed_up": round(ours["images_per_cpu_s"] / plain["images_per_cpu_s"], 2),
        "step": _steps(env, args.seconds),
    }
    env.close()
    return result | {"processes": _processes(args.task, args.workers, args.seconds)}


def _images(env: Any, seconds: float, as_the_benchmark: bool = False) -> dict[str, float]:
    """Single images of both cameras in SCENES episodes, nothing else; `as_the_benchmark`: its settings.

    Every view is timed for as long, and counts once: else the quick ones, timed more often, would weigh more.
    """
    rng = np.random.default_rng(0)
    renderer = Renderer(IMAGE_SIZE)
    wall_s: list[float] = []
    cpu_s: list[float] = []
    images = 0
    for seed in range(FIRST_SEED, FIRST_SEED + SCENES):
        env.reset(seed=seed)
        for _ in range(_DRIVEN):
            env.step(_random(env, rng))
        scene = env.scene
        quality = scene.model.vis.quality
        usual = quality.shadowsize, quality.offsamples
        if as_the_benchmark:
            quality.shadowsize, quality.offsamples = SHADOW_SIZE, SAMPLES
        renderer.bind(scene.model)
        for camera in CAMERAS:
            renderer.image(scene.data, camera, cull=not as_the_benchmark)  # compiles shaders
            began = time.process_time()
            image = functools.partial(renderer.image, scene.data, camera, cull=not as_the_benchmark)
            times = _repeat(image, seconds / SCENES / len(CAMERAS))
            cpu_s.append((time.process_time() - began) / len(times))
            wall_s.append(float(np.mean(times)))
            images += len(times)
        quality.shadowsize, quality.offsamples = usual
    renderer.close()
    return _rates(len(wall_s), sum(wall_s), sum(cpu_s)) | {
        "images": images,
        "cpu_ms": round(float(np.mean(cpu_s)) * 1e3, 3),
        "cpu_ms_slowest_view": round(max(cpu_s) * 1e3, 3),
    }


def _steps(env: Any, seconds: float) -> dict[str, float]:
    """Whole control periods with random actions: physics, reward, cost and the images of both cameras."""
    rng = np.random.default_rng(1)
    seed = FIRST_SEED
    env.reset(seed=seed)
    wall, cpu, done, steps = time.perf_counter(), time.process_time(), False, 0
    while time.perf_counter() - wall < seconds:
        if done:
            seed += 1
            env.reset(seed=seed)
        _, _, terminated, truncated, _ = env.step(_random(env, rng))
        done, steps = terminated or truncated, steps + 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return _rates(steps * len(CAMERAS), wall, cpu) | {"periods_per_s": round(steps / wall, 1)}


_barrier: Any = None


def _processes(task: str, workers: int, seconds: float) -> dict[str, float]:
    """`_steps` in several processes at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(barrier,)) as pool:
        rates = list(pool.map(_together, [task] * workers, [seconds] * workers))
    return {
        "processes": workers,
        "images_per_s": round(sum(r["images_per_s"] for r in rates), 1),
        "periods_per_s": round(sum(r["periods_per_s"] for r in rates), 1),
    }


def _start(barrier: Any) -> None:
    global _barrier
    _barrier = barrier
    start_worker()


def _together(task: str, seconds: float) -> dict[str, float]:
    env = make_env(task, 0, CAMERAS, None)
    env.reset(seed=FIRST_SEED)
    try:
        _barrier.wait(_BARRIER_S)
    except threading.BrokenBarrierError as error:
        raise UsageError("the processes did not all start in time: give fewer --workers") from error
    rates = _steps(env, seconds)
    env.close()
    return rates


def _repeat(call: Callable[[], object], seconds: float) -> list[float]:
    """Durations of calls made for `seconds`, at least one."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _rates(images: int, wall: float, cpu: float) -> dict[str, float]:
    """Per second, and per second of processor time: what a core of one's own would give."""
    return {
        "images": images,
        "images_per_s": round(images / wall, 1),
        "images_per_cpu_s": round(images / cpu, 1),
    }


def _random(env: Any, rng: np.random.Generator) -> Any:
    return rng.uniform(-1.0, 1.0, env.adapter.action_dim).astype(np.float32)


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    settings = ", ".join(f"{k}={v}" for k, v in result["settings"].items())
    table = Table(title=f"{result['task']}, {result['size']} x {result['size']} images ({settings})")
    for column in ("what", "images/s", "images per CPU second", "CPU ms", "slowest view"):
        table.add_column(column, justify="left" if column == "what" else "right")
    workers = result["processes"]["processes"]
    rows = (
        ("single image, one core", result["image"]),
        ("the same at MuJoCo's default quality", result["image_at_mujocos_default_quality"]),
        ("whole control period, both cameras, one core", result["step"]),
        (f"the same in {workers} processes, together", result["processes"]),
    )
    for name, row in rows:
        cells = (
            row.get(key) for key in ("images_per_s", "images_per_cpu_s", "cpu_ms", "cpu_ms_slowest_view")
        )
        table.add_row(name, *("" if cell is None else f"{cell:g}" for cell in cells))
    Console().print(table)
