"""What people say to the filter: driving commands of either type, and the e-stop."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from std_msgs.msg import Bool

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.inbox import E_STOP, OPERATOR
from safe_o2o_ros.types import FloatArray

_TYPES = {False: "geometry_msgs/msg/Twist", True: "geometry_msgs/msg/TwistStamped"}


class OperatorInput:
    """Listens to `cmd_vel_teleop`, and to `e_stop` where it is used.

    ROS connects only partners of one type and says nothing of others, so the type that is on offer is taken.
    """

    def __init__(
        self,
        node: Node,
        adapter: RobotAdapter,
        *,
        stamped: bool,
        on_command: Callable[[FloatArray, int | None], None],
        on_e_stop: Callable[[bool], None] | None,
    ) -> None:
        """`on_command` gets a raw action (A,) and its stamp, ns, None where it carries none; `on_e_stop`:
        None where there is no e-stop."""
        self._node, self._adapter, self._on_command = node, adapter, on_command
        self._listen(stamped)
        if on_e_stop is not None:
            node.create_subscription(
                Bool, E_STOP, lambda message: on_e_stop(bool(message.data)), qos.pipeline(False)
            )

    def _listen(self, stamped: bool) -> None:
        self._stamped = stamped
        kind, read = (TwistStamped, self._on_stamped) if stamped else (Twist, self._on_plain)
        self._subscription = self._node.create_subscription(kind, OPERATOR, read, qos.pipeline(False))

    def _on_plain(self, message: Twist) -> None:
        self._on_command(conversions.from_twist(message, self._adapter), None)

    def _on_stamped(self, message: TwistStamped) -> None:
        # Some drivers leave the stamp at zero: that is no stamp.
        stamp_ns = conversions.from_time(message.header.stamp) or None
        self._on_command(conversions.from_twist(message.twist, self._adapter), stamp_ns)

    def check_partners(self) -> str:
        """Take the type that is on offer. Returns what is wrong in a sentence, or ""."""
        topic = self._subscription.topic_name
        offers = self._node.get_publishers_info_by_topic(topic)
        others = [p.node_name for p in offers if p.topic_type == _TYPES[not self._stamped]]
        strange = [p.node_name for p in offers if p.topic_type not in _TYPES.values()]
        if others and len(others) + len(strange) == len(offers):
            self._node.get_logger().info(
                f"{others[0]} sends {_TYPES[not self._stamped]} on {topic}: taking it"
            )
            self._node.destroy_subscription(self._subscription)
            self._listen(not self._stamped)
        elif others or strange:
            return (
                f"{(others + strange)[0]} is not heard on {topic}, where this node takes "
                f"{_TYPES[self._stamped]} from another: let all operators send one type"
            )
        return ""
