"""The keyboard teleop: its keys by hand, its process through a real pseudo-terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from functools import partial

import pytest
from geometry_msgs.msg import Twist, TwistStamped
from std_srvs.srv import Trigger
from support.probe import DEADLINE_S, probing

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.teleop_keys import KeyDrive, KeyReader

COMMAND = [sys.executable, "-m", "safe_o2o_ros.nodes.teleop_keyboard_node"]


def test_arrows_letters_and_capitals_are_the_same_keys():
    assert KeyReader().feed("wW\x1b[A\x1bOA") == ["w", "w", "w", "w"]
    assert KeyReader().feed("\x1b[B\x1b[C\x1b[D") == ["s", "d", "a"]


def test_an_arrow_that_comes_in_pieces_is_one_key():
    reader = KeyReader()
    assert reader.feed("\x1b") == []
    assert reader.feed("[") == []
    assert reader.feed("Aq") == ["w", "q"]


def drive():
    return KeyDrive(speed_m_s=0.2, turn_rad_s=1.0, hold_s=0.6)


def test_a_key_counts_until_its_hold_is_over():
    keys = drive()
    assert keys.command(0.0) is None
    keys.press("w", 1.0)
    assert keys.command(1.6) == (0.2, 0.0)
    assert keys.command(1.7) is None


def test_turning_keeps_what_was_driven_and_driving_ends_the_turn():
    keys = drive()
    keys.press("a", 0.0)
    assert keys.command(0.0) == (0.0, 1.0)
    keys.press("s", 0.1)
    assert keys.command(0.1) == (-0.2, 0.0)
    keys.press("d", 0.5)
    keys.press("d", 1.0)
    assert keys.command(1.5) == (-0.2, -1.0)
    keys.press("d", 2.0)  # released in between: what was driven is over
    assert keys.command(2.0) == (0.0, -1.0)


@pytest.mark.parametrize("key", [" ", "x", "\x1b"])
def test_any_other_key_asks_for_zero(key):
    keys = drive()
    keys.press("w", 0.0)
    keys.press(key, 0.1)
    assert keys.command(0.1) == (0.0, 0.0)


def test_plus_and_minus_change_the_speeds_within_bounds_and_drive_nothing():
    keys = drive()
    keys.press("+", 0.0)
    assert keys.command(0.0) is None
    assert (keys.speed_m_s, keys.turn_rad_s) == pytest.approx((0.22, 1.1))
    for _ in range(100):
        keys.press("-", 0.0)
    assert keys.speed_m_s == pytest.approx(0.02)


class Keyboard:
    """The node with a pseudo-terminal for its keyboard and screen."""

    def __init__(self, *parameters):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        given = [part for parameter in parameters for part in ("-p", parameter)]
        self.process = subprocess.Popen(
            [*COMMAND, *(["--ros-args", *given] if given else [])],
            stdin=self.slave,
            stdout=self.slave,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def press(self, text):
        os.write(self.master, text.encode())

    def screen(self):
        """What was written since the last call."""
        ready = select.select([self.master], [], [], 0.0)[0]
        return os.read(self.master, 100_000).decode() if ready else ""

    def end(self):
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was not given back"
        return self.process.returncode, errors


@pytest.fixture
def keyboard(request):
    keyboard = Keyboard(*getattr(request, "param", ()))
    yield keyboard
    keyboard.process.kill()
    keyboard.process.communicate()
    os.close(keyboard.master)
    os.close(keyboard.slave)


def hear(probe, kind):
    """Commands; returns when the node has opened its terminal and found this listener."""
    commands = probe.listen(kind, "cmd_vel_teleop", qos.series(False))
    probe.until(lambda: probe.node.count_publishers("cmd_vel_teleop") > 0, "the teleop node")
    return commands


def test_a_held_key_drives_a_released_one_ends_in_one_zero_and_silence(keyboard):
    with probing() as probe:
        commands = hear(probe, Twist)

        def driving():
            keyboard.press("\x1b[A")
            return len(commands) >= 3

        probe.until(driving, "commands")
        assert (commands[0].linear.x, commands[0].angular.z) == (0.2, 0.0)
        probe.until(lambda: commands[-1].linear.x == 0.0, "zero after the key was released")
        count = len(commands)
        keyboard.press("a")
        probe.until(lambda: commands[-1].angular.z == 1.0, "a turn")
        # Between the two wishes there was one zero and nothing else.
        assert [c.linear.x for c in commands[count - 1 : count + 1]] == [0.0, 0.0]
        assert commands[count].angular.z == 1.0
        keyboard.press("q")
        assert keyboard.end() == (0, "")
        probe.until(lambda: commands[-1].angular.z == 0.0, "the last zero")


@pytest.mark.parametrize("keyboard", [("stamped:=true", "speed:=0.5")], indirect=True)
def test_stamped_commands_carry_time_and_frame_and_ctrl_c_ends_with_zero(keyboard):
    with probing() as probe:
        commands = hear(probe, TwistStamped)

        def driving():
            keyboard.press("s")
            return bool(commands)

        probe.until(driving, "a command")
        assert (commands[0].twist.linear.x, commands[0].header.frame_id) == (-0.5, "base_link")
        assert commands[0].header.stamp.sec > 10**9
        keyboard.process.send_signal(signal.SIGINT)
        assert keyboard.end() == (0, "")
        probe.until(lambda: commands[-1].twist.linear.x == 0.0, "the last zero")


def test_without_a_terminal_it_refuses_in_one_sentence():
    run = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr == (
        "error: teleop reads keys, but its input is no terminal: run it in a terminal of its own\n"
    )


@pytest.mark.parametrize("keyboard", [("recorder:=fake_recorder",)], indirect=True)
def test_recording_keys_call_the_recorder_and_drive_nothing(keyboard):
    with probing() as probe:
        called = []

        def answer(word, request, response):
            called.append(word)
            response.success, response.message = True, f"heard {word}"
            return response

        words = {"r": "start", "f": "stop", "g": "goal", "c": "cost", "x": "discard"}
        for word in words.values():
            probe.node.create_service(Trigger, f"fake_recorder/{word}", partial(answer, word))
        commands = hear(probe, Twist)
        for key, word in words.items():
            # Repeated until it is heard, since the keyboard has to find the recorder: it may come twice.
            probe.until(lambda key=key, word=word: word in called or keyboard.press(key), word)
        assert list(dict.fromkeys(called)) == list(words.values())  # no key called what is not its own
        shown = []
        probe.until(
            lambda: shown.append(keyboard.screen()) or "heard discard" in "".join(shown), "the answer"
        )
        assert [c for c in commands if c.linear.x or c.angular.z] == []
        keyboard.press("q")
        assert keyboard.end() == (0, "")


def test_without_a_recorder_its_keys_stop_the_robot_as_any_other_key(keyboard):
    with probing() as probe:
        commands = hear(probe, Twist)
        keyboard.press("w")
        probe.until(lambda: commands and commands[-1].linear.x > 0.0, "driving")
        keyboard.press("g")
        probe.until(lambda: commands[-1].linear.x == 0.0, "the stop")
        keyboard.press("q")
        assert keyboard.end()[0] == 0
