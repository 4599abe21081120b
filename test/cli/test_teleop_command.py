"""`safe-o2o teleop` becomes the keyboard node in its terminal."""

import os
import pty
import subprocess
import sys

from geometry_msgs.msg import TwistStamped
from support.probe import probing

from safe_o2o_ros.nodes import qos

MAIN = "import sys; from safe_o2o_ros.cli.main import main; sys.exit(main())"


def test_keys_typed_in_this_terminal_drive_the_robot_of_the_namespace_until_q():
    keyboard, terminal = pty.openpty()
    arguments = [sys.executable, "-c", MAIN, "teleop", "--namespace", "r1", "--stamped"]
    with (
        probing() as probe,
        subprocess.Popen(arguments, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE) as process,
    ):
        try:
            commands = probe.listen(TwistStamped, "r1/cmd_vel_teleop", qos.series(False))
            topic = "/r1/cmd_vel_teleop"
            probe.until(lambda: probe.node.count_publishers(topic) > 0, "the keyboard node")
            # Repeated, as a held key is: the first may come before this subscription is matched.
            probe.until(
                lambda: os.write(keyboard, b"w") and any(c.twist.linear.x > 0.0 for c in commands),
                "a command",
            )
            os.write(keyboard, b"q")
            probe.until(lambda: process.poll() is not None, "the end of the node")
            probe.until(lambda: commands[-1].twist.linear.x == 0.0, "the last command")
        finally:
            process.kill()
            os.close(keyboard)
            os.close(terminal)
        assert process.returncode == 0, process.stderr.read()


def test_without_a_terminal_it_is_refused_in_one_sentence():
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "teleop"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
