"""One frame of a run's video, or its plot, as a PNG.

    python docs/images/frame.py RUN EPISODE TICK OUT.png

RUN is the folder `safe-o2o sim` wrote; EPISODE counts from 0; TICK is a control period, or "plot".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.plot import write_plot
from safe_o2o_ros.report.scene import scene_view
from safe_o2o_ros.report.video import EpisodeFrames


def main(run: str, episode: str, tick: str, out: str) -> None:
    """Draw it."""
    log = EpisodeLog.load(Path(run) / "episodes" / f"episode_{int(episode):04d}.npz")
    record = json.loads((Path(run) / "result.json").read_text(encoding="utf-8"))
    view = scene_view(record["task"], log.nominal.shape[1])
    if tick == "plot":
        write_plot(Path(out), f"{record['task']} · bundle {record['bundle']}", [log], view)
    else:
        title = f"{record['task']} · bundle {record['bundle']} · seed {log.seed}"
        Image.fromarray(EpisodeFrames(title, log, view).frame(int(tick))).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
