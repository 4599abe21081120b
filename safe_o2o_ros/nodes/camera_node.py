"""Any camera in, images of the bundle's size and their CameraInfo out."""

from __future__ import annotations

import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.camera_specs import SPECS, CameraSettings, read_bundle
from safe_o2o_ros.nodes.camera_stream import CameraStream
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.perception.playback import PlaybackClock

__all__ = ["SPECS", "main"]

_REPORT_S = 1.0


class CameraNode(ThinNode):
    """Serves one or several cameras, each with a source, a shape and a diagnosis of its own."""

    def __init__(self) -> None:
        super().__init__("camera_node", SPECS)
        p = self.parameters
        manifest = read_bundle(p)
        settings = [CameraSettings(p, name, manifest) for name in p["cameras"]]
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        # Wakes the executor from the threads that read devices; the work itself is done in `work`.
        wake = self.create_guard_condition(lambda: None)
        now_s = time.monotonic()
        self._reported_s = now_s
        self._streams: list[CameraStream] = []
        clocks: dict[Path, PlaybackClock] = {}
        try:
            for camera in settings:
                source = camera.open(self, wake.trigger, clocks)
                self._streams.append(CameraStream(self, camera, source, now_s))
        except BaseException:
            self.last_words()
            raise

    def work(self) -> None:
        """Publish what is new; report once a second."""
        now_s = time.monotonic()
        for stream in self._streams:
            stream.work(now_s)
        if now_s - self._reported_s >= _REPORT_S:
            self._reported_s = now_s
            self._report(now_s)

    def _report(self, now_s: float) -> None:
        p = self.parameters
        stamp_ns = int(self.get_clock().now().nanoseconds)
        for stream in self._streams:
            level, text, values = stream.report(now_s, p["stall_timeout"], p["rate_warning"])
            name = f"camera_node: {stream.name}"
            self._diagnostics.publish(
                conversions.to_diagnostics(name, stream.name, bytes([level]), text, values, stamp_ns)
            )

    def last_words(self) -> None:
        """Stop the threads: they may not wake a node that is gone."""
        for stream in self._streams:
            stream.close()


def main() -> int:
    """Entry point of the process."""
    return run(CameraNode)


if __name__ == "__main__":
    raise SystemExit(main())
