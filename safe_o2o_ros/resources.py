"""Where shipped files (launch, config, models, rviz) are, however the package was installed."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from pathlib import Path

from safe_o2o_ros.errors import ResourceError

PACKAGE = "safe_o2o_ros"


def share_path(*parts: str) -> Path:
    """Absolute path of a shipped file or folder, e.g. `share_path("models", "point_goal1")`.

    The first place that has it wins: a sourced ROS 2 workspace, the environment's share folder
    (pip install), the source checkout.
    Raises ResourceError, naming the places searched, if none has it.
    """
    roots = list(_roots())
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    wanted = "/".join(parts) or "the share folder"
    searched = ", ".join(str(root) for root in roots) or "nowhere"
    raise ResourceError(
        f"{wanted} of {PACKAGE} is not installed (searched: {searched}); source the ROS 2 workspace that"
        " has it, `pip install` the package again, or run from its source checkout."
    )


def _roots() -> Iterator[Path]:
    # The ament index is a file below each prefix; reading it here needs no ROS package.
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        share = Path(prefix, "share")
        if share.joinpath("ament_index", "resource_index", "packages", PACKAGE).is_file():
            yield share / PACKAGE
    source = Path(__file__).resolve().parent.parent
    for base in (sys.prefix, site.getuserbase(), str(source)):
        share = Path(base, "share", PACKAGE)
        if share.is_dir():
            yield share
    if source.joinpath("package.xml").is_file():
        yield source
