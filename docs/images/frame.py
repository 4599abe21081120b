"""One frame of a run's video, or the plot of its first episode, as a PNG.

    python docs/images/frame.py RUN FRAME OUT.png

RUN is the folder `safe-o2o sim` wrote; FRAME counts control periods over all its episodes, or is "plot".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2

from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.plot import write_plot
from safe_o2o_ros.report.scene import scene_view


def main(run: str, frame: str, out: str) -> None:
    """Draw it."""
    if frame != "plot":
        video = cv2.VideoCapture(str(Path(run) / "video.mp4"))
        video.set(cv2.CAP_PROP_POS_FRAMES, int(frame))
        read, picture = video.read()
        if not read:
            raise SystemExit(f"{run}/video.mp4 has no frame {frame}")
        cv2.imwrite(out, picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        return
    log = EpisodeLog.load(Path(run) / "episodes" / "episode_0000.npz")
    record = json.loads((Path(run) / "result.json").read_text(encoding="utf-8"))
    view = scene_view(record["task"], log.nominal.shape[1], record["variant"])
    write_plot(Path(out), f"{record['task']} · bundle {record['bundle']}", [log], view)


if __name__ == "__main__":
    main(*sys.argv[1:])
