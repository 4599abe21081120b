"""Markers for RViz and a summary of the graph's health. Only listens: its end changes no motion."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.clock import Clock, ClockType
from rclpy.publisher import Publisher
from visualization_msgs.msg import MarkerArray

from safe_o2o_ros.monitor.health import GraphHealth, Verdict
from safe_o2o_ros.monitor.overlay import FilterState, overlay
from safe_o2o_ros.monitor.palette import CHANGE, STOP, reason_colour
from safe_o2o_ros.monitor.shapes import Shape, drawable
from safe_o2o_ros.monitor.trail import Trail
from safe_o2o_ros.nodes import marker_messages, qos
from safe_o2o_ros.nodes.monitor_graph import GraphWatch
from safe_o2o_ros.nodes.monitor_inputs import ODOM, Inputs
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.robot import ADAPTERS
from safe_o2o_ros.types import Level

SPECS = (
    Spec("adapter", "point", "Robot assumed until safety/state names one.", choices=tuple(ADAPTERS)),
    Spec("base_frame_id", "base_link", "Frame of the safety markers."),
    Spec("odom_frame_id", "odom", "Frame of the path."),
    Spec("marker_frequency", 10.0, "Rate of the safety markers, Hz.", 0.5, 60.0),
    Spec("path_frequency", 5.0, "Rate of the path, Hz.", 0.1, 20.0),
    Spec("path_length", 500, "Poses the path holds before it forgets the oldest.", 2, 20_000),
    Spec("base_radius", 0.2, "Radius of the ring drawn around the base, m.", 0.01, 10.0, dynamic=True),
    Spec("silence_timeout", 1.5, "Age at which a topic counts as silent, seconds.", 0.6, 60.0, dynamic=True),
)
MARKERS, PATH, PATH_MARKERS = "safety_markers", "path", "path_markers"
_DIAGNOSTICS_S = 1.0
_SETTLE_S = 8.0
"""Nodes take this long to load their networks and find each other; nothing is called missing before."""


class MonitorNode(ThinNode):
    """Turns what it hears into shapes and verdicts; computes them only for those who look."""

    def __init__(self) -> None:
        super().__init__("monitor_node", SPECS)
        p = self.parameters
        self._health = GraphHealth(p["silence_timeout"])
        self._trail = Trail(p["path_length"])
        self._inputs = Inputs(self, self._health, self._trail, p["adapter"])
        self._graph = GraphWatch(self, self._health)
        self._markers = self.create_publisher(MarkerArray, MARKERS, qos.plots())
        self._path = self.create_publisher(Path, PATH, qos.plots())
        self._path_markers = self.create_publisher(MarkerArray, PATH_MARKERS, qos.plots())
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        self._watched: set[str] = set()
        self._dropped = 0
        self._poses: list[PoseStamped] = []
        self._posed = 0
        self._started_s = time.monotonic()
        self._silent, self._settled = "", False
        # Steady: a picture of a robot whose /clock stands still must stay alive to say so.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / p["marker_frequency"], self._show_base, clock=steady)
        self.create_timer(1.0 / p["path_frequency"], self._show_path, clock=steady)
        self.create_timer(_DIAGNOSTICS_S, self._report, clock=steady)

    def _show_base(self) -> None:
        looked_at = self._markers.get_subscription_count() > 0
        self._inputs.want_candidates(looked_at)
        p = self.parameters
        shapes: list[Shape] = []
        if looked_at:
            shapes = overlay(self._inputs.snapshot(p["silence_timeout"], p["base_radius"]))
        self._publish(self._markers, shapes, p["base_frame_id"], max(0.5, 3.0 / p["marker_frequency"]))

    def _show_path(self) -> None:
        frame, rate = self.parameters["odom_frame_id"], self.parameters["path_frequency"]
        shapes = self._trail.shapes() if self._path_markers.get_subscription_count() else []
        self._publish(self._path_markers, shapes, frame, max(0.5, 3.0 / rate))
        if not self._path.get_subscription_count():
            return
        # Poses are messages already; only the new ones are made.
        fresh = self._trail.added - self._posed
        self._posed = self._trail.added
        new = [marker_messages.to_pose_stamped(pose, frame) for pose in self._trail.newest(fresh)]
        self._poses = [*self._poses, *new][-len(self._trail) :] if len(self._trail) else []
        message = Path(poses=self._poses)
        message.header.frame_id = frame
        if self._poses:
            message.header.stamp = self._poses[-1].header.stamp
        self._path.publish(message)

    def _publish(self, publisher: Publisher, shapes: list[Shape], frame: str, lifetime_s: float) -> None:
        """Send shapes to those who look; who begins to look is first rid of what an earlier run left."""
        topic = publisher.topic_name
        if not publisher.get_subscription_count():
            self._watched.discard(topic)
            return
        kept, dropped = drawable(shapes)
        self._dropped += dropped
        fresh = topic not in self._watched
        self._watched.add(topic)
        if kept or fresh:
            publisher.publish(marker_messages.to_markers(kept, frame, lifetime_s, fresh))

    def _report(self) -> None:
        """Say once a second how the graph is, and in the log when that changes."""
        now_s = time.monotonic()
        self._health.silence_s = self.parameters["silence_timeout"]
        state = self._inputs.state(self.parameters["silence_timeout"])
        graph = self._graph.judge(state)
        name, robot = self.get_name(), self._inputs.robot
        verdicts = {
            "graph": graph,
            "filter": self._filter_verdict(state),
            "nodes": self._inputs.reports.judge(now_s),
            "markers": self._marker_verdict(),
        }
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            marker_messages.to_status(f"{name}: {task}", robot, verdict) for task, verdict in verdicts.items()
        ]
        self._diagnostics.publish(message)
        self._settled |= not graph.silent or now_s - self._started_s > _SETTLE_S
        if self._settled and graph.silent != self._silent:
            self._silent = graph.silent
            # Two calls: rclpy refuses another severity from the same line.
            if graph.silent:
                self.get_logger().warning(graph.message)
            else:
                self.get_logger().info(graph.message)

    def _filter_verdict(self, state: FilterState) -> Verdict:
        if not state.reason:
            return Verdict(Level.ERROR, "the safety filter says nothing", {})
        values = {"reason": state.reason, "mode": state.mode, "source": state.source, "bundle": state.bundle}
        if state.bundle and self._inputs.active and state.bundle != self._inputs.active:
            held = f"the filter holds bundle {state.bundle}, the encoder runs {self._inputs.active}"
            return Verdict(Level.ERROR, held, values)
        levels = {STOP: Level.ERROR, CHANGE: Level.WARN}
        level = levels.get(reason_colour(state.reason), Level.OK)
        late = f": {state.late_input}" if state.late_input else ""
        if state.wiring:
            return Verdict(max(level, Level.WARN), f"{state.reason}{late}; {state.wiring}", values)
        return Verdict(level, f"{state.reason}{late}", values)

    def _marker_verdict(self) -> Verdict:
        unusable = self._inputs.unusable + self._dropped + self._trail.dropped
        has_odometry = self._health.known(ODOM)
        values = {"not_drawn": str(unusable), "odometry": "yes" if has_odometry else "none"}
        if unusable:
            return Verdict(Level.WARN, f"{unusable} values could not be drawn", values)
        if not has_odometry and time.monotonic() - self._started_s > _SETTLE_S:
            return Verdict(Level.WARN, f"no {ODOM}: no path, and {MARKERS} only in the base's frame", values)
        return Verdict(Level.OK, "all drawn", values)


def main() -> int:
    """Entry point of the process."""
    return run(MonitorNode)


if __name__ == "__main__":
    raise SystemExit(main())
