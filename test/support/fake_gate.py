"""A gate that does what a file in the candidate says: `refuse`, `crash`, `hang`; else it lets it pass."""

import json
import sys
import time
from pathlib import Path

from safe_o2o_ros.bundle import NETWORKS, write_bundle
from safe_o2o_ros.manifest import read_manifest
from safe_o2o_ros.online.verdict import Refusal, Verdict


def main() -> int:
    """As safe_o2o_ros.online.gate_process."""
    config = json.loads(Path(sys.argv[1]).read_text())
    candidate, out = Path(config["candidate"]), Path(config["out"])
    manifest = read_manifest(candidate)
    wish = (candidate / "wish").read_text() if (candidate / "wish").exists() else "pass"
    if wish == "crash":
        print("out of luck", file=sys.stderr)
        return 3
    if wish == "hang":
        (candidate / "hanging").touch()
        time.sleep(600.0)
    if wish == "refuse":
        print(Verdict(manifest.version, False, Refusal.PERMISSIVE, "it certifies everything").to_json())
        return 0
    write_bundle(out, manifest, {name: (candidate / name).read_bytes() for name in NETWORKS})
    print("a line that is no verdict")
    print(Verdict(manifest.version, True, None, f"better than {config['running']}", {"gain": 1.0}).to_json())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
