"""Writes docs/parameters.md from the parameters that the nodes declare."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from safe_o2o_ros.nodes.parameters import Spec

INTRODUCTION = """\
# Parameters

Made from what the nodes declare by `make format`; a test holds it up to date. `ros2 param describe` shows
the same texts.

Give values in a parameters file (`params_file:=my.yaml`, a copy of
[config/deploy.yaml](../config/deploy.yaml)); launch arguments and the base file win over it. Every value
is checked at start: an unknown name, a wrong type or a value out of range ends the node with one sentence.
Those marked *live* may be changed while the node runs, with the same checks
(`ros2 param set /monitor_node base_radius 0.3`); the others are read-only. A double must be written with a
point (`20.0`), and all entries of a list alike. `[]` is an empty list.
"""
TABLE = "| parameter | default | allowed | meaning |\n| --- | --- | --- | --- |"


def node_specs() -> Iterator[tuple[str, str, tuple[Spec, ...]]]:
    """Name, first sentence and parameters of every node of this package, by name."""
    for path in sorted(Path(__file__).parent.glob("*_node.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        yield path.stem, (module.__doc__ or "").strip().splitlines()[0], module.SPECS


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for name, text, specs in node_specs():
        rows = "\n".join(_row(spec) for spec in specs)
        parts.append(f"\n## {name}\n\n{text}\n\n{TABLE}\n{rows}\n")
    return "".join(parts)


def _row(spec: Spec) -> str:
    name = f"`{spec.name.replace('{cameras}', '<camera>')}`" + (" *live*" if spec.dynamic else "")
    default = spec.clean(spec.default)
    shown = f'"{default}"' if isinstance(default, str) else str(default).lower().replace("'", '"')
    meaning = spec.description.replace("<", "\\<")
    cells = (name, f"`{shown}`", spec.range_text(), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write the page to the file that the first argument names."""
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
