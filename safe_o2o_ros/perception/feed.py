"""The encoder's frames: paired, one set per control period, with an account of what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.manifest import ImageSpec
from safe_o2o_ros.perception.frames import FramePairing
from safe_o2o_ros.perception.pacing import PeriodGrid
from safe_o2o_ros.types import FrameSet, ImageArray, Level

_SILENT_S = 0.5
"""A camera without frames for so long is named; a frame waits no longer for its partners."""


class FrameFeed:
    """`add` every frame; it gives back the sets the encoder is to step on."""

    def __init__(
        self, spec: ImageSpec, period_s: float, lockstep: bool, tolerance_s: float, now_s: float
    ) -> None:
        """Lockstep takes every set, and waits for partners without bound.

        `tolerance_s`: largest difference of stamps in a set; negative = half a period, or 0 in lockstep.
        `now_s`: steady clock, seconds.
        """
        self._expected_hz = 1.0 / period_s
        self._lockstep = lockstep
        if tolerance_s < 0.0:
            tolerance_s = 0.0 if lockstep else period_s / 2.0
        wait = {} if lockstep else {"longest_wait_s": _SILENT_S}
        self._pairing = FramePairing(spec.cameras, spec.height, spec.width, tolerance_s, **wait)
        self._grid = None if lockstep else PeriodGrid(period_s)
        self._heard_s = dict.fromkeys(spec.cameras, now_s)
        self._refused: Counter[str] = Counter()
        self._refusal = ""
        self._sets = 0
        self._reported_s = now_s

    def restart(self) -> None:
        """An episode starts: its first set is taken at once."""
        if self._grid is not None:
            self._grid.restart()

    def add(self, camera: str, stamp_ns: int, image: ImageArray, now_s: float) -> FrameSet | None:
        """Take a (h, w, 3) uint8 RGB frame; returns the set to step on, if it completes one.

        Raises FrameError.
        """
        self._heard_s[camera] = now_s
        frames = self._pairing.add(camera, stamp_ns, image, now_s)
        if frames is None or (self._grid is not None and not self._grid.take(frames.stamp_ns)):
            return None
        self._sets += 1
        return frames

    def refuse(self, camera: str, error: FrameError) -> None:
        """Note a frame that cannot be used."""
        self._refused[camera] += 1
        self._refusal = f"camera {camera}: {error}"

    def report(
        self, now_s: float, rate_warning: float, views: Mapping[str, str]
    ) -> tuple[Level, str, dict[str, Any]]:
        """Level, sentence and numbers since the last report. `views`: what is wrong with cameras' views."""
        rate = self._sets / max(now_s - self._reported_s, 1e-3)
        silent = {name: now_s - at for name, at in self._heard_s.items()}
        level, text = self._judge(rate, silent, rate_warning)
        if level is Level.OK and views:
            level, text = Level.WARN, "; ".join(views.values())
        pairing = self._pairing
        values: dict[str, Any] = {"rate_hz": f"{rate:.1f}", "expected_hz": f"{self._expected_hz:.1f}"}
        for name, silence in silent.items():
            values |= {
                f"silent_{name}_s": f"{silence:.1f}",
                f"dropped_{name}": pairing.dropped[name],
                f"repeated_{name}": pairing.repeated[name],
                f"clock_jumps_{name}": pairing.clock_jumps[name],
                f"refused_{name}": self._refused[name],
                f"view_{name}": views.get(name, "ok"),
            }
        values["between_periods"] = 0 if self._grid is None else self._grid.skipped
        self._sets, self._reported_s, self._refusal = 0, now_s, ""
        return level, text, values

    def _judge(self, rate: float, silent: Mapping[str, float], rate_warning: float) -> tuple[Level, str]:
        if self._lockstep:
            return (Level.WARN, self._refusal) if self._refusal else (Level.OK, "ok")
        for name, silence in silent.items():
            if silence > _SILENT_S:
                why = f": {self._refusal}" if self._refusal else ""
                return Level.ERROR, f"no good frames of camera {name} for {silence:.1f} s{why}"
        if self._refusal:
            return Level.WARN, self._refusal
        if rate < rate_warning * self._expected_hz:
            return Level.WARN, f"{rate:.1f} frame sets/s, expected {self._expected_hz:.1f}"
        return Level.OK, "ok"
