"""A node that prints every `safety/state` as "reason version", for tests that cannot hear the graph."""

from diagnostic_msgs.msg import DiagnosticArray

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.runner import ThinNode, run


class StatePrinter(ThinNode):
    """On the robot's side of a cable."""

    def __init__(self):
        super().__init__("state_printer", ())
        self.create_subscription(DiagnosticArray, "safety/state", self._on_state, qos.series(False))

    def _on_state(self, message):
        decision, _ = conversions.from_state(message)
        print(decision.reason.value, decision.version, flush=True)


if __name__ == "__main__":
    raise SystemExit(run(StatePrinter))
