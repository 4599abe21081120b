"""An operator for measurements: the same command over and over, until its process is killed."""

from __future__ import annotations

from geometry_msgs.msg import Twist

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("linear", 0.0, "Forward speed to ask for, m/s.", -10.0, 10.0),
    Spec("angular", 0.0, "Turn rate to ask for, rad/s.", -10.0, 10.0),
    Spec("rate", 20.0, "Messages per second.", 1.0, 100.0),
)


class OperatorProbe(ThinNode):
    """Publishes `cmd_vel_teleop`, as a teleop node does while a key is held."""

    def __init__(self) -> None:
        super().__init__("operator_probe", SPECS)
        self._command = self.create_publisher(Twist, "cmd_vel_teleop", qos.pipeline(lockstep=False))
        self.create_timer(1.0 / self.parameters["rate"], self._on_tick)

    def _on_tick(self) -> None:
        message = Twist()
        message.linear.x = float(self.parameters["linear"])
        message.angular.z = float(self.parameters["angular"])
        self._command.publish(message)


def main() -> int:
    """Entry point of the process."""
    return run(OperatorProbe)


if __name__ == "__main__":
    raise SystemExit(main())
