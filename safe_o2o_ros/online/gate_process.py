"""The release gate as a process of its own: `python -m safe_o2o_ros.online.gate_process CONFIG.json`.

It prints one line, the verdict. CONFIG: {"candidate", "running"} and, each optional or null, {"held_out",
"trusted_key", "out", "bounds"}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import SafeO2OError, UsageError
from safe_o2o_ros.online.gate import Bounds, judge
from safe_o2o_ros.signature import TrustedKey


def main(argv: list[str]) -> int:
    """Exit code 0 with a verdict on stdout, 2 with a sentence on stderr."""
    try:
        if len(argv) != 1:
            raise UsageError("give one file: the gate's configuration as JSON")
        config = _read(Path(argv[0]))
        paths = {name: _path(config, name) for name in ("held_out", "out", "trusted_key")}
        trusted = None if paths["trusted_key"] is None else TrustedKey(paths["trusted_key"])
        verdict = judge(
            Path(config["candidate"]),
            Path(config["running"]),
            paths["held_out"],
            paths["out"],
            Bounds(**config.get("bounds", {})),
            trusted,
        )
    except SafeO2OError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(verdict.to_json(), flush=True)
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config["candidate"], config["running"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not a configuration of the gate ({error}): name candidate and running"
        ) from error
    return dict(config)


def _path(config: dict[str, Any], name: str) -> Path | None:
    return Path(config[name]) if config.get(name) else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
