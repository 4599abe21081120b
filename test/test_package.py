"""The package as it is installed: metadata, entry points, shipped files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from support.probe import DEADLINE_S, probing

import safe_o2o_ros
from safe_o2o_ros.errors import ResourceError
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.resources import share_path

ROOT = Path(__file__).resolve().parent.parent
NAME = "safe_o2o_ros"
SHARED = ("launch", "config", "models", "rviz")
COLCON = ROOT / ".venv" / "colcon" / "bin"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged, so that the checkout gets no build products."""
    copy = tmp_path_factory.mktemp("source") / "src" / NAME
    copy.mkdir(parents=True)
    for name in ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (NAME, "resource", *SHARED):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built with pip."""
    copy = shutil.copytree(source, tmp_path_factory.mktemp("wheel") / NAME)
    out = copy.parent / "wheels"
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(copy))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(source: Path) -> Path:
    """The install folder of a workspace built with colcon."""
    workspace = source.parent.parent
    colcon("build", "--packages-select", NAME, cwd=workspace)
    return workspace / "install"


def colcon(*arguments: str, cwd: Path) -> str:
    program = COLCON / "colcon"
    assert program.exists(), f"colcon is not in {COLCON.parent}: run `make .venv/colcon/.setup`"
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sourced(installed: Path, *command: str) -> list[str]:
    """A command run as a user does after `source install/setup.bash`."""
    return ["sh", "-c", f'. "{installed}/setup.sh" && exec "$@"', "sh", *command]


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def entry_points(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("/entry_points.txt"))
        parser = ConfigParser()
        parser.read_string(archive.read(name).decode())
    return dict(parser["console_scripts"])


def test_package_xml_is_what_colcon_takes_for_ament_python() -> None:
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    assert root.attrib["format"] == "3"
    assert root.findtext("name") == NAME
    assert root.findtext("version") == safe_o2o_ros.__version__
    assert root.findtext("license") == "Apache-2.0"
    assert root.findtext("export/build_type") == "ament_python"


def test_wheel_has_the_version_of_package_xml(wheel: Path) -> None:
    assert wheel.name == f"{NAME}-{safe_o2o_ros.__version__}-py3-none-any.whl"


def test_every_entry_point_leads_to_a_module(wheel: Path) -> None:
    scripts = entry_points(wheel)
    assert scripts["safe-o2o"] == f"{NAME}.cli.main:main"
    assert {"sim_node", "camera_node", "encoder_node", "policy_node", "safety_filter_node"} < set(scripts)
    missing = [t for t in scripts.values() if importlib.util.find_spec(t.partition(":")[0]) is None]
    assert missing == []


def test_wheel_holds_every_shipped_file_and_the_ament_marker(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = f"{NAME}-{safe_o2o_ros.__version__}.data/data/share"
    expected = {f"{data}/ament_index/resource_index/packages/{NAME}", f"{data}/{NAME}/package.xml"}
    for folder in SHARED:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{data}/{NAME}/{path.relative_to(ROOT).as_posix()}")
    assert expected <= names
    assert f"{NAME}/resources.py" in names
    assert not [n for n in names if n.startswith("test/")]


def test_a_pip_installation_finds_its_files_and_makes_its_commands(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    code = "from safe_o2o_ros.resources import share_path; print(share_path('package.xml'))"
    clean = {k: v for k, v in os.environ.items() if k not in ("AMENT_PREFIX_PATH", "PYTHONPATH")}
    done = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == environment / "share" / NAME / "package.xml"
    assert {"safe-o2o", "safety_filter_node"} <= {p.name for p in (environment / "bin").iterdir()}


def test_colcon_takes_the_package_for_an_ament_python_one(source: Path) -> None:
    assert colcon("list", cwd=source.parent.parent).split() == [NAME, f"src/{NAME}", "(ros.ament_python)"]


def test_colcon_puts_executables_and_shared_files_where_ros2_looks(installed: Path, wheel: Path) -> None:
    programs = {p.name for p in (installed / NAME / "lib" / NAME).iterdir()}
    assert programs == set(entry_points(wheel))
    share = installed / NAME / "share"
    assert (share / "ament_index" / "resource_index" / "packages" / NAME).is_file()
    shipped = {p.relative_to(ROOT) for folder in SHARED for p in (ROOT / folder).rglob("*") if p.is_file()}
    shipped = {p for p in shipped if "__pycache__" not in p.parts}
    assert shipped
    assert [p for p in shipped if not (share / NAME / p).is_file()] == []


def test_an_installed_node_runs_from_the_install_folder(installed: Path, tmp_path: Path) -> None:
    code = "from safe_o2o_ros.resources import share_path as s; print(s.__code__.co_filename, s('launch'))"
    shown = subprocess.run(
        sourced(installed, str(COLCON / "python"), "-c", code),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(path).is_relative_to(installed) for path in shown.stdout.split()] == [True, True]
    node = installed / NAME / "lib" / NAME / "safety_filter_node"
    arguments = ("--ros-args", "-p", "mode:=limits_only", "-r", "__ns:=/installed")
    with (
        probing() as probe,
        subprocess.Popen(
            sourced(installed, str(node), *arguments), cwd=tmp_path, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            states = probe.listen(DiagnosticArray, "installed/safety/state", qos.series(False))
            probe.until(lambda: bool(states) or process.poll() is not None, "the installed filter's state")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    assert states


def test_a_checkout_finds_its_own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert share_path("package.xml") == ROOT / "package.xml"


def test_a_sourced_workspace_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other, workspace = tmp_path / "other", tmp_path / "workspace"
    for prefix in (other, workspace):
        (prefix / "share" / NAME / "config").mkdir(parents=True)
    index = workspace / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / NAME).touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{other}{os.pathsep}{workspace}")
    assert share_path("config") == workspace / "share" / NAME / "config"


def test_a_missing_file_is_named_with_what_to_do() -> None:
    with pytest.raises(ResourceError, match=r"models/none of safe_o2o_ros is not installed.*pip install"):
        share_path("models", "none")
