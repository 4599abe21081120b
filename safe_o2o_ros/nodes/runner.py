"""The life of a node's process: start, loop, last words, exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TypeVar

import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier, remove_ros_args

from safe_o2o_ros.errors import SafeO2OError, UsageError
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.transport import choose_transport
from safe_o2o_ros.processes import PARENT_VARIABLE

_LAST_WORDS_S = 2.0


class ThinNode(Node):
    """Callbacks store; `work`, called after each of them and at least every `idle_s` seconds, thinks."""

    idle_s = 0.1
    finished = False
    """Set by the node when it is done; the process then ends with code 0."""

    def __init__(self, name: str, specs: Sequence[Spec]) -> None:
        """Make the node; raises UsageError on unknown or invalid parameters."""
        super().__init__(name)
        self.parameters = Parameters(self, specs)

    def work(self) -> None:
        """One thought; must be quick."""

    def closing(self) -> bool:
        """Called repeatedly, with the node still spinning, before its end; True = nothing left to do."""
        return True

    def last_words(self) -> None:
        """Called once, last, before the node is destroyed."""


AnyNode = TypeVar("AnyNode", bound=ThinNode)


class _Stop:
    """SIGINT, SIGTERM, or the launcher is gone: without it nobody would ever end this process."""

    def __init__(self) -> None:
        self._signalled = False
        self._launcher = os.environ.get(PARENT_VARIABLE)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True

    @property
    def requested(self) -> bool:
        """The process is to end."""
        return self._signalled or (self._launcher is not None and str(os.getppid()) != self._launcher)


def run(make: Callable[[], AnyNode], argv: Sequence[str] | None = None) -> int:
    """Run one node until it finishes or a signal comes. Returns 0, or 2 after printing one sentence."""
    # Own handlers: with rclpy's the context dies first, and the last command is never sent.
    stop = _Stop()
    arguments = list(sys.argv if argv is None else argv)
    try:
        _init(arguments)
        try:
            _live(make, stop)
        finally:
            rclpy.try_shutdown()
    except SafeO2OError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


def _init(arguments: list[str]) -> None:
    try:
        left = remove_ros_args(arguments)[1:]
        if left:
            raise UsageError(f"unknown argument '{left[0]}': nodes take only ROS arguments, after --ros-args")
        choose_transport(os.environ, get_rmw_implementation_identifier())
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except (RuntimeError, ValueError) as error:
        # rclpy's own argument errors derive from RuntimeError or ValueError; their first line says it all.
        raise UsageError(f"the ROS arguments cannot be used: {str(error).splitlines()[0]}") from error


def _live(make: Callable[[], AnyNode], stop: _Stop) -> None:
    try:
        node = make()
    except (InvalidNamespaceException, InvalidTopicNameException) as error:
        raise UsageError(f"a name is not valid in ROS: {str(error).splitlines()[0]}") from error
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not (stop.requested or node.finished):
            executor.spin_once(timeout_sec=node.idle_s)
            node.work()
        deadline = time.monotonic() + _LAST_WORDS_S
        while not node.closing() and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=node.idle_s)
        node.last_words()
    finally:
        executor.shutdown(timeout_sec=0.0)
        node.destroy_node()
