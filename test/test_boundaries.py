"""Imports run one way, and heavy or optional packages are imported only where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "safe_o2o_ros"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))

ROS_PACKAGES = {"rclpy", "builtin_interfaces", "launch", "launch_ros", "tf2_ros", "cv_bridge"}
TRAINING = ("world_model/", "learning/", "cli/")
ALLOWED_IN: dict[str, tuple[str, ...]] = {
    "torch": TRAINING,
    "onnx": TRAINING,
    "onnxscript": TRAINING,
    "tensorboard": TRAINING,
    "mujoco": ("sim/",),
    "gymnasium": ("sim/", "cli/"),
    "onnxruntime": ("inference.py",),
    "pyrealsense2": ("perception/realsense.py",),
    "ros": ("nodes/",),
}
"""External package -> places inside the package that may import it ("ros": rclpy and all messages)."""

STAGES = {"perception", "policy", "safety", "data", "sim", "world_model", "learning", "online"}
ENDS = {"nodes", "cli", "evaluation", "monitor"}
FORBIDDEN: dict[str, set[str]] = {
    "": STAGES | ENDS | {"report"},
    "perception": (STAGES | ENDS | {"report"}) - {"perception"},
    "policy": (STAGES | ENDS | {"report"}) - {"policy"},
    "safety": (STAGES | ENDS | {"report"}) - {"safety"},
    "sim": (STAGES | ENDS | {"report"}) - {"sim"},
    "data": (STAGES | ENDS | {"report"}) - {"data", "perception"},
    "world_model": {"learning", "data", "sim", "report", "online"} | ENDS,
    "learning": {"sim", "report", "online"} | ENDS,
    "online": {"sim", "world_model", "learning", "report"} | ENDS,
    "monitor": (STAGES | ENDS | {"report"}) - {"monitor"},
    "report": {"learning", "world_model"} | ENDS,
    "evaluation": {"learning", "world_model", "nodes", "cli"},
    "nodes": {"learning", "world_model", "cli", "evaluation"},
    "cli": {"nodes"},
}
"""Subpackage, or composing module at the top ("": the other modules there) -> what it may not import."""


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import in a file, also those inside functions."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(named, str):
                yield node.lineno, named


def external_violations(path: Path) -> list[str]:
    place = path.relative_to(ROOT / PACKAGE).as_posix()
    found = []
    for line, name in imported_names(path):
        top = name.split(".")[0]
        kind = "ros" if top in ROS_PACKAGES or top.endswith(("_msgs", "_srvs")) else top
        if kind in ALLOWED_IN and not place.startswith(ALLOWED_IN[kind]):
            found.append(f"{place}:{line} imports {name}; only {', '.join(ALLOWED_IN[kind])} may")
    return found


def direction_violations(path: Path) -> list[str]:
    inside = path.relative_to(ROOT / PACKAGE)
    owner = inside.parts[0].removesuffix(".py")
    forbidden = FORBIDDEN[owner] if len(inside.parts) > 1 else FORBIDDEN.get(owner, FORBIDDEN[""])
    found = []
    for line, name in imported_names(path):
        parts = name.split(".")
        if parts[0] == PACKAGE and len(parts) > 1 and parts[1] in forbidden:
            found.append(f"{inside.as_posix()}:{line} imports {name}")
    return found


def test_every_subpackage_has_a_rule() -> None:
    present = {p.name for p in (ROOT / PACKAGE).iterdir() if p.joinpath("__init__.py").is_file()}
    assert present == set(FORBIDDEN) - {"", "evaluation"}


def test_external_packages_are_imported_only_where_they_belong() -> None:
    assert [v for path in MODULES for v in external_violations(path)] == []


def test_the_online_part_needs_neither_ros_nor_torch() -> None:
    """Not even by what it imports: it runs where only a deployment is installed."""
    modules = [f"{PACKAGE}.online.{path.stem}" for path in sorted((ROOT / PACKAGE / "online").glob("*.py"))]
    heavy = ["torch", "rclpy", "std_msgs", "mujoco"]
    code = f"import sys, {', '.join(modules)}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_subpackages_import_one_way() -> None:
    assert [v for path in MODULES for v in direction_violations(path)] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", "torch.nn"),
        ("def f() -> None:\n    from sensor_msgs.msg import Image", "sensor_msgs.msg.Image"),
        ("from .. import sim", "safe_o2o_ros.sim"),
        ("from ..nodes.qos import IMAGE", "safe_o2o_ros.nodes.qos.IMAGE"),
        ("import importlib\nimportlib.import_module('mujoco')", "mujoco"),
    ],
)
def test_the_reader_sees_every_form_of_import(source: str, expected: str, tmp_path: Path) -> None:
    module = tmp_path / PACKAGE / "policy" / "example.py"
    module.parent.mkdir(parents=True)
    module.write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[__name__], "ROOT", tmp_path)
        assert expected in [name for _, name in imported_names(module)]
        violations = external_violations(module) + direction_violations(module)
    assert len(violations) == 1


@pytest.mark.parametrize("module", [PACKAGE, f"{PACKAGE}.resources", f"{PACKAGE}.sim", f"{PACKAGE}.cli.main"])
def test_importing_the_package_loads_nothing_heavy(module: str) -> None:
    heavy = ["torch", "mujoco", "rclpy", "cv2", "matplotlib", "onnxruntime"]
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
