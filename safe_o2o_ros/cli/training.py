"""What the commands that train share: settings, device, progress."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from safe_o2o_ros.errors import UsageError

Report = Callable[[str, int, int, dict[str, float]], None]
"""report(phase, done, total, scalars)."""

_LINE_EVERY = 200
"""Updates between log lines where there is no terminal for bars."""


def overrides_of(items: list[str]) -> dict[str, str]:
    """--set KEY=VALUE as a mapping."""
    overrides = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not separator:
            raise UsageError(f"--set takes KEY=VALUE, got '{item}'")
        overrides[key] = value
    return overrides


def device_of(name: str, cuda: bool) -> str:
    """The torch device of --device; `cuda`: one is there."""
    if name == "auto":
        return "cuda" if cuda else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"unknown device '{name}': use auto, cpu or cuda")
    if name != "cpu" and not cuda:
        raise UsageError("no CUDA device is available: use --device cpu")
    return name


@contextlib.contextmanager
def bars(console: Console) -> Iterator[Report]:
    """A progress bar for each phase; plain lines where the output is not a terminal."""
    columns = (
        TextColumn("{task.description:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[scalars]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown_bars:
        tasks: dict[str, TaskID] = {}

        def report(phase: str, done: int, total: int, scalars: dict[str, float]) -> None:
            if phase not in tasks:
                tasks[phase] = shown_bars.add_task(phase, total=total, scalars="")
            shown = "  ".join(f"{k} {v:.3g}" for k, v in list(scalars.items())[:7])
            shown_bars.update(tasks[phase], completed=done, scalars=shown)
            if not console.is_terminal and (done % _LINE_EVERY == 0 or done == total):
                console.print(f"{phase} {done}/{total}  {shown}", soft_wrap=True)

        yield report
