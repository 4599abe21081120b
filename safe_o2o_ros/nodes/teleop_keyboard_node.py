"""Keys in, `cmd_vel_teleop` out: an operator without a joystick and without other packages."""

from __future__ import annotations

import time

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.recorder_keys import RECORDER_HELP, RecorderKeys
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.nodes.teleop_keys import KeyDrive, KeyReader
from safe_o2o_ros.nodes.terminal import Terminal

SPECS = (
    Spec("speed", 0.2, "Speed of the driving keys, m/s.", 0.01, 5.0),
    Spec("turn", 1.0, "Turn rate of the turning keys, rad/s.", 0.01, 10.0),
    Spec("hold", 0.6, "A key counts this long after its last repeat, seconds.", 0.1, 2.0),
    Spec("publish_frequency", 10.0, "Commands per second while a key is held, Hz.", 5.0, 50.0),
    Spec("stamped", False, "Publish TwistStamped, else Twist."),
    Spec("base_frame_id", "base_link", "Frame of stamped commands."),
    Spec("recorder", "recorder_node", "Node that the recording keys call."),
)
HELP = f"""\
Drive through the safety filter: acceleration and speed limits hold, everything else is up to you.

          w / up                  w s   straight on, straight back
  a / left      d / right         a d   turn; while driving, drive on in an arc
          s / down                space or any other key: stop
                                  + -   faster, slower
                                  q     quit
  {RECORDER_HELP}

The robot stops when no key is held; the policy goes on where one runs and the filter is enabled.
"""
_READ_S = 0.02


class TeleopKeyboardNode(ThinNode):
    """Publishes while a key is held, then one zero, then nothing: silence is how an operator lets go."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__("teleop_keyboard_node", SPECS)
        p = self.parameters
        terminal.open()
        self._terminal = terminal
        self._keys = KeyReader()
        self._drive = KeyDrive(p["speed"], p["turn"], p["hold"])
        self._recorder, self._shown = RecorderKeys(self, p["recorder"]), ""
        self._sent: tuple[float, float] | None = None
        self._stamped, self._frame_id = p["stamped"], p["base_frame_id"]
        kind = TwistStamped if self._stamped else Twist
        self._publisher = self.create_publisher(kind, "cmd_vel_teleop", qos.pipeline(lockstep=False))
        self.idle_s = _READ_S
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / p["publish_frequency"], self._publish, clock=steady)
        terminal.write(f"{HELP}\n")

    def work(self) -> None:
        """Read the keys; a new wish is published at once."""
        typed = self._terminal.read()
        if typed is None:
            self.finished = True
            return
        for key in self._keys.feed(typed):
            if key == "q":
                self.finished = True
                return
            if not self._recorder.press(key):
                self._drive.press(key, time.monotonic())
        if typed or self._shown != self._recorder.said:
            command = self._drive.command(time.monotonic())
            if command != self._sent:
                self._publish()
            self._show(command)

    def _publish(self) -> None:
        command = self._drive.command(time.monotonic())
        if command is None:
            self._let_go()
        else:
            self._send(command)
            self._sent = command

    def _let_go(self) -> None:
        if self._sent is not None:
            self._send((0.0, 0.0))
            self._sent = None
            self._show(None)

    def _send(self, command: tuple[float, float]) -> None:
        message = TwistStamped() if self._stamped else Twist()
        twist = message.twist if self._stamped else message
        twist.linear.x, twist.angular.z = float(command[0]), float(command[1])
        if self._stamped:
            message.header.stamp = self.get_clock().now().to_msg()
            message.header.frame_id = self._frame_id
        self._publisher.publish(message)

    def _show(self, command: tuple[float, float] | None) -> None:
        wish = "no key held" if command is None else f"{command[0]:+.2f} m/s  {command[1]:+.2f} rad/s"
        full = f"speed {self._drive.speed_m_s:.2f} m/s, turn {self._drive.turn_rad_s:.2f} rad/s"
        self._shown = self._recorder.said
        self._terminal.write(f"\r{full}   {wish:<24} {self._shown[:60]:<60}")

    def last_words(self) -> None:
        """Nobody drives any more."""
        self._let_go()
        self._publisher.wait_for_all_acked(Duration(seconds=0.5))
        self._terminal.write("\n")


def main() -> int:
    """Entry point of the process."""
    terminal = Terminal()
    try:
        return run(lambda: TeleopKeyboardNode(terminal))
    finally:
        terminal.close()


if __name__ == "__main__":
    raise SystemExit(main())
