"""video.mp4: what the cameras saw, where the robot went, what was asked for and done; in real time."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from safe_o2o_ros.errors import MissingExtraError, StoreError
from safe_o2o_ros.report import canvas, style
from safe_o2o_ros.report.canvas import Picture
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.panels import CAMERA_PX, Commands, Timeline, ValueBar, caption
from safe_o2o_ros.report.scene import SceneView
from safe_o2o_ros.report.top_view import TOP_PX, TopView

_EDGE = 28
_HEADER = 64
_GAP = 16
_MAX_CAMERAS = 2
_TITLE_PX = 770
"""Room for the title beside the numbers."""
_RIGHT = _EDGE + TOP_PX + 24
WIDTH = _RIGHT + 2 * CAMERA_PX + _GAP + _EDGE
_TIMELINE_LEFT = _EDGE + 100
_TIMELINE_TOP = _HEADER + TOP_PX + 20
HEIGHT = _TIMELINE_TOP + Timeline.HEIGHT + 16
"""Both even, as H.264 wants."""
_HOLD_S = 0.8
"""How long the last frame of an episode stays."""


class EpisodeFrames:
    """Frames of one episode."""

    def __init__(self, title: str, log: EpisodeLog, view: SceneView) -> None:
        """`title`: left end of the header."""
        self._log = log
        self._top, self._bar, self._commands = TopView(log, view), ValueBar(log), Commands(log, view)
        self._timeline = Timeline(log, WIDTH - _EDGE - _TIMELINE_LEFT)
        self._caption = "from above"
        if self._timeline.valued:
            self._caption += "; trail coloured by safety value"
        self._cameras = list(log.images)[:_MAX_CAMERAS]
        self._reward, self._cost = np.cumsum(log.reward), np.cumsum(log.cost)
        self._lower = _HEADER + CAMERA_PX + _GAP
        self._commands_left = WIDTH - _EDGE - Commands.SIZE
        self._background = self._static(title)

    def frame(self, tick: int) -> Picture:
        """RGB (HEIGHT, WIDTH, 3) of one tick."""
        picture = self._background.copy()
        self._header(picture, tick)
        self._top.draw(picture, tick, _EDGE, _HEADER)
        caption(picture, self._caption, _EDGE + 8, _HEADER + 8)
        for index, name in enumerate(self._cameras):
            left = _RIGHT + index * (CAMERA_PX + _GAP)
            image = canvas.enlarged(self._log.images[name][tick], CAMERA_PX)
            picture[_HEADER : _HEADER + CAMERA_PX, left : left + CAMERA_PX] = image
            caption(picture, f"{name} camera", left + 8, _HEADER + 8)
        self._answer(picture, tick)
        self._bar.draw(picture, tick, _RIGHT, self._lower + 66)
        self._commands.draw(picture, tick, self._commands_left, self._lower)
        self._timeline.draw(picture, tick, _TIMELINE_LEFT, _TIMELINE_TOP)
        return picture

    def _static(self, title: str) -> Picture:
        picture = np.full((HEIGHT, WIDTH, 3), style.WHITE, np.uint8)
        fitting = (s for s in range(20, 9, -1) if canvas.text_width(title, s, True) <= _TITLE_PX)
        canvas.text(picture, title, (_EDGE, _HEADER // 2), next(fitting, 9), style.INK, bold=True)
        self._commands.background(picture, self._commands_left, self._lower)
        self._timeline.background(picture, _TIMELINE_LEFT, _TIMELINE_TOP)
        return picture

    def _header(self, picture: Picture, tick: int) -> None:
        y, right = _HEADER // 2, WIDTH - _EDGE
        stats = (
            ("cost", f"{self._cost[tick]:.0f}", style.COST if self._cost[tick] > 0 else style.INK, 60),
            ("reward", f"{self._reward[tick]:.2f}", style.REWARD, 84),
            ("time", f"{self._log.time_s[tick]:.1f} s", style.INK, 84),
        )
        for label, number, colour, width in stats:
            canvas.text(picture, number, (right, y), 20, colour, True, "right")
            right -= width
            canvas.text(picture, label, (right, y + 1), 15, style.MUTED, align="right")
            right -= canvas.text_width(label, 15) + 28

    def _answer(self, picture: Picture, tick: int) -> None:
        """The filter's answer: a coloured box with its reason in words."""
        reason = self._log.reason[tick]
        band = style.band_of(reason)
        words = f"{band.label}: {reason.replace('_', ' ')}" if band is style.BRAKE else band.label
        canvas.box(picture, _RIGHT, self._lower, ValueBar.WIDTH, 50, band.colour, 8)
        dark = 0.299 * band.colour[0] + 0.587 * band.colour[1] + 0.114 * band.colour[2] < 150
        ink = style.WHITE if dark else style.INK
        canvas.text(picture, words, (_RIGHT + 18, self._lower + 25), 20, ink, bold=True)
        if self._log.changed[tick]:
            end = _RIGHT + ValueBar.WIDTH - 18
            canvas.text(picture, "command overridden", (end, self._lower + 25), 14, ink, align="right")


def frames(name: str, episodes: Sequence[EpisodeLog], view: SceneView) -> Iterator[Picture]:
    """Frames of all episodes, one after the other; `name`: task and bundle."""
    for index, log in enumerate(episodes):
        which = f" · episode {index + 1} of {len(episodes)}" if len(episodes) > 1 else ""
        title = f"{name}{which} · seed {log.seed}"
        drawn = EpisodeFrames(title, log, view)
        picture = None
        for tick in range(len(log.reward)):
            picture = drawn.frame(tick)
            yield picture
        if picture is not None:
            yield from [picture] * math.ceil(_HOLD_S / log.period_s)


def write_video(path: Path, name: str, episodes: Sequence[EpisodeLog], view: SceneView) -> None:
    """Encode `frames` as H.264 at the speed things happened.

    Raises MissingExtraError where no ffmpeg is found, StoreError where it fails.
    """
    command = [_ffmpeg(), "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", f"{1.0 / episodes[0].period_s:.6g}", "-i", "-"]
    # superfast: the encoder must not outweigh the driving. The index at the front is for browsers.
    command += ["-c:v", "libx264", "-preset", "superfast", "-crf", "24", "-threads", "1"]
    # OpenCV's conversion is BT.601; untagged, players would guess BT.709 at this size.
    command += ["-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"]
    command += ["-movflags", "+faststart", "-f", "mp4", str(path)]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages)
        assert process.stdin is not None
        try:
            for picture in frames(name, episodes, view):
                process.stdin.write(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).data)
            process.stdin.close()
        except BrokenPipeError:
            process.stdin = None  # ffmpeg ended early; what it said is raised below
        finally:
            code = _end(process)
        if code != 0:
            messages.seek(0)
            said = messages.read().decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise StoreError(f"ffmpeg could not write {path} ({said[-1]}): try without the video")


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.stdin is not None and not process.stdin.closed:
        process.kill()  # drawing failed: there is no whole video to wait for
    return process.wait()


def _ffmpeg() -> str:
    """The encoder's program: imageio-ffmpeg's, else the system's."""
    try:
        import imageio_ffmpeg

        program: Any = imageio_ffmpeg.get_ffmpeg_exe()
    except (ModuleNotFoundError, RuntimeError):
        program = shutil.which("ffmpeg")
    if program is None:
        raise MissingExtraError(
            "no video was made since ffmpeg is not installed: run `pip install imageio-ffmpeg`, "
            "or `sudo apt-get install ffmpeg`, and make the report again"
        )
    return str(program)
