"""One source for colcon (ament_python) and pip; name, version and licence stand in package.xml."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
SHARED = ("launch", "config", "models", "rviz")
BASE = [
    "numpy>=1.26,<3",
    "pyyaml>=6,<7",
    # The build without windows: nothing here opens one, and the other build needs X11 libraries that
    # robots and containers lack. On a ROS machine the distribution's python3-opencv serves instead.
    "opencv-python-headless>=4.8,<6",
    "rich>=13",
    # The report's plots and video; imported only while a report is written.
    "matplotlib>=3.7,<4",
    "imageio-ffmpeg>=0.4.9,<1",
]
EXTRAS = {
    # One of these two, never both: they install the same module.
    "cpu": ["onnxruntime>=1.17,<2"],
    "gpu": ["onnxruntime-gpu>=1.17,<2"],
    # ROS 2 Jazzy as wheels, for machines without ROS (x86-64 Linux, CPython 3.10 to 3.13).
    "ros": [
        "ros-jazzy-rclpy[fastrtps]>=7.1,<8",
        "ros-jazzy-diagnostic-msgs>=5.3,<6",
        "ros-jazzy-geometry-msgs>=5.3,<6",
        "ros-jazzy-nav-msgs>=5.3,<6",
        "ros-jazzy-rosgraph-msgs>=2.0,<3",
        "ros-jazzy-sensor-msgs>=5.3,<6",
        "ros-jazzy-std-srvs>=5.3,<6",
        "ros-jazzy-visualization-msgs>=5.3,<6",
    ],
    "sim": ["mujoco>=3.2,<5", "gymnasium>=1.0,<2"],
    # Which build of torch a machine takes (CPU or CUDA) is the user's choice: see TORCH in the Makefile.
    "train": ["torch>=2.4,<3", "onnx>=1.16,<2", "onnxscript>=0.1,<1", "tensorboard>=2.16,<3"],
    # Ed25519 signatures of bundles; imported only where a key is configured.
    "sign": ["cryptography>=41,<51"],
    # rosbag2 files without ROS: `safe-o2o import`, `export`. Its interface changes between minor versions.
    "bags": ["rosbags>=0.11.9,<0.12"],
    # `safe-o2o export --format minari`.
    "minari": ["minari[hdf5]>=0.5.3,<0.6; python_version >= '3.11'"],
    "realsense": ["pyrealsense2>=2.55,<3"],
    # Exact avoid sets for `safe-o2o bench reachability`; brings JAX.
    "exact": ["hj-reachability>=0.7,<1"],
    "dev": [
        "cryptography>=41,<51",
        "hypothesis>=6.100,<7",
        "mypy>=1.11,<3",
        "pytest>=8,<10",
        "pytest-timeout>=2.3,<3",
        "pytest-xdist>=3.5,<4",
        "ros-domain-coordinator>=0.12,<1",
        "ruff>=0.8,<1",
        "setuptools>=70.1",
        "types-PyYAML>=6,<7",
    ],
}


def shared_files() -> list[tuple[str, list[str]]]:
    """The files of SHARED as data_files entries, with their folders kept under share/<package>."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for top in SHARED:
        for path in sorted((ROOT / top).rglob("*")):
            relative = path.relative_to(ROOT)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            if path.is_file() and not hidden:
                folders[f"share/{NAME}/{relative.parent.as_posix()}"].append(relative.as_posix())
    return list(folders.items())


def package_files() -> list[str]:
    """Non-Python files that live inside the package, such as simulator assets.

    Listed here since older setuptools (59, Ubuntu 22.04) reads no recursive pattern.
    """
    package = ROOT / NAME
    files = (p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sorted(p.relative_to(package).as_posix() for p in files if p.suffix not in (".py", ".pyc"))


def node_names() -> list[str]:
    """The executables among the modules of nodes/."""
    return sorted(path.stem for path in (ROOT / NAME / "nodes").glob("*_node.py"))


META = ElementTree.parse(ROOT / "package.xml").getroot()
NAME = META.findtext("name", "")

setup(
    name=NAME,
    version=META.findtext("version", ""),
    description=META.findtext("description", ""),
    maintainer=META.findtext("maintainer", ""),
    maintainer_email=META.find("maintainer").attrib["email"],
    license=META.findtext("license", ""),
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"], exclude=["test", "test.*"]),
    package_data={NAME: package_files()},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared_files(),
    ],
    install_requires=BASE,
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        "console_scripts": [
            f"safe-o2o = {NAME}.cli.main:main",
            *(f"{node} = {NAME}.nodes.{node}:main" for node in node_names()),
        ]
    },
)
