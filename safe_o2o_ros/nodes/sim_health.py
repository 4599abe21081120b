"""How the simulator is, in `diagnostics`: does it keep up, what is wrong on purpose, what came in bad."""

from __future__ import annotations

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_base import SimBase
from safe_o2o_ros.nodes.sim_pace import Pace
from safe_o2o_ros.nodes.sim_world import SimWorld
from safe_o2o_ros.sim.faults import Faults

_REPORT_S = 1.0


class SimHealth:
    """Publishes one status a second, and logs when the simulator starts or ends to lag."""

    def __init__(
        self, node: Node, world: SimWorld, base: SimBase, pace: Pace, faults: Callable[[], Faults]
    ) -> None:
        self._node, self._world, self._base = node, world, base
        self._pace, self._faults = pace, faults
        self._was_slow = False
        self._publisher = node.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        node.create_timer(_REPORT_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _report(self) -> None:
        pace, faults = self._pace, self._faults()
        self._warn(pace)
        texts = []
        if pace.slow:
            texts.append(f"runs at {pace.rtf:.2f} of real time")
        if active := faults.active():
            texts.append(f"faults on: {', '.join(active)}")
        values = {
            "rtf": f"{pace.rtf:.3f}",
            "late_ticks": pace.late,
            "skipped_ticks": pace.skipped,
            "worst_lateness_ms": f"{pace.worst_ns / 1e6:.1f}",
            "bad_commands": self._base.bad_commands,
            "episode": self._world.episode,
            **{f"fault_{name}": getattr(faults, name) for name in active},
        }
        level = DiagnosticStatus.WARN if texts else DiagnosticStatus.OK
        stamp_ns = self._node.get_clock().now().nanoseconds
        robot = self._world.adapter.name
        text = "; ".join(texts) or "ok"
        message = conversions.to_diagnostics("sim_node", robot, level, text, values, stamp_ns)
        self._publisher.publish(message)

    def _warn(self, pace: Pace) -> None:
        log = self._node.get_logger()
        if pace.slow and not self._was_slow:
            log.warning(
                f"the simulator runs at {pace.rtf:.2f} of real time: use fewer cameras, end other programs "
                "or take a faster machine"
            )
        if self._was_slow and not pace.slow:
            log.info("the simulator keeps up with real time again")
        self._was_slow = pace.slow
