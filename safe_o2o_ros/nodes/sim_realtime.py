"""Driving by the wall clock: the base obeys the last command and stops by itself when none comes."""

from __future__ import annotations

import time

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_output import SimOutput
from safe_o2o_ros.nodes.sim_world import SimWorld
from safe_o2o_ros.safety.limits import SpeedEstimate, brake_action
from safe_o2o_ros.types import FloatArray


class Realtime:
    """One control period per tick: first the period that ends now is driven, then its frame is sent."""

    def __init__(
        self, node: Node, world: SimWorld, output: SimOutput, episodes: int, timeout_s: float, stamped: bool
    ) -> None:
        """`episodes`: 0 = for ever; `timeout_s`: age at which the base ignores a command and brakes."""
        self._node = node
        self._world = world
        self._output = output
        self._episodes = episodes
        self._timeout_s = timeout_s
        self._estimate = SpeedEstimate(world.adapter)
        self._command: FloatArray | None = None
        self._received_s = 0.0
        self.finished = False
        """All episodes are driven."""
        kind = TwistStamped if stamped else Twist
        node.create_subscription(kind, "cmd_vel", self._on_command, qos.pipeline(lockstep=False))
        self._start_episode()
        node.create_timer(world.period_s, self._on_tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def work(self) -> None:
        """Everything happens on the timer."""

    def _on_command(self, message: Twist | TwistStamped) -> None:
        twist = message.twist if isinstance(message, TwistStamped) else message
        self._command = conversions.from_twist(twist, self._world.adapter)
        self._received_s = time.monotonic()

    def _start_episode(self) -> None:
        self._world.start_episode()
        self._estimate.reset()
        self._command = None
        self._output.event("start", timeout_s=0.0)
        self._output.frame(self._now_ns())

    def _on_tick(self) -> None:
        action = self._action_in_force()
        self._estimate.advance(action, self._world.period_s)
        outcome = self._world.step(action)
        self._output.outcome(outcome)
        if not outcome.done:
            self._output.frame(self._now_ns())
            return
        self._output.event("timeout", timeout_s=0.0)
        if self._episodes and self._world.episode + 1 >= self._episodes:
            self.finished = True
        else:
            self._start_episode()

    def _action_in_force(self) -> FloatArray:
        command = self._command
        fresh = time.monotonic() - self._received_s <= self._timeout_s
        if command is not None and fresh and np.isfinite(command).all():
            return command
        return brake_action(self._world.adapter, self._estimate.speed, self._world.period_s)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
