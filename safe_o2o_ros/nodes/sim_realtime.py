"""Driving by the wall clock: the base obeys the last command and stops by itself when none comes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.sim_base import SimBase
from safe_o2o_ros.nodes.sim_health import SimHealth
from safe_o2o_ros.nodes.sim_output import SimOutput
from safe_o2o_ros.nodes.sim_pace import Pace
from safe_o2o_ros.nodes.sim_world import SimWorld
from safe_o2o_ros.safety.limits import STANDING
from safe_o2o_ros.sim.faults import Faults

_CLOCK_S = 0.02
"""Period of /clock, seconds: finer than the control period, for the timers of others."""


class Realtime:
    """One control period per tick: first the period that ends now is driven, then its frame is sent.

    Ticks keep to start + n * period. After a stall the missed ones are skipped: simulated time then falls
    behind, and nothing bursts.
    """

    def __init__(
        self,
        node: Node,
        world: SimWorld,
        output: SimOutput,
        base: SimBase,
        faults: Callable[[], Faults],
        *,
        episodes: int,
        stamped: bool,
        publish_clock: bool,
    ) -> None:
        """`episodes`: 0 = for ever; `stamped`: cmd_vel is TwistStamped; `publish_clock`: stamps are simulated
        time, which /clock tells, else they are the node's time."""
        self._node, self._world, self._output, self._base = node, world, output, base
        self._faults, self._episodes = faults, episodes
        self._period_ns = round(world.period_s * 1e9)
        # Simulated time starts at one period: ROS reads zero as "no clock yet".
        self._sim_ns = self._period_ns if publish_clock else None
        self._over = False
        """The newest frame is the one after the episode's last action."""
        self.finished = False
        """All episodes are driven."""
        kind = TwistStamped if stamped else Twist
        node.create_subscription(kind, "cmd_vel", self._on_command, qos.pipeline(lockstep=False))
        self._start_episode()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # Read before the timer is made, so that no tick is early by it.
        self._pace = Pace(self._period_ns, self._steady_ns())
        self._ticked_ns = self._steady_ns()
        node.create_timer(world.period_s, self._on_tick, clock=self._steady)
        if publish_clock:
            node.create_timer(_CLOCK_S, self._on_clock, clock=self._steady)
        self._health = SimHealth(node, world, base, self._pace, faults)

    @property
    def standing(self) -> bool:
        """The base is asked for nothing, and has come to rest."""
        state, top = self._world.state(), self._world.adapter.top_speed
        slow = math.hypot(*state.velocity) <= STANDING * top[0] and abs(state.yaw_rate) <= STANDING * top[1]
        return self._base.idle and slow

    def work(self) -> None:
        """Everything happens on timers."""

    def _on_command(self, message: Twist | TwistStamped) -> None:
        twist = message.twist if isinstance(message, TwistStamped) else message
        self._base.take(twist, time.monotonic())

    def _start_episode(self) -> None:
        self._world.start_episode()
        self._base.reset()
        self._output.event("start", timeout_s=0.0)
        self._output.frame(self._now_ns())

    def _on_tick(self) -> None:
        self._ticked_ns = self._steady_ns()
        self._pace.tick(self._ticked_ns)
        if self._sim_ns is not None:
            self._sim_ns += self._period_ns
        if self._over:
            self._over = False
            self._start_episode()
            return
        faults = self._faults()
        action = self._base.drive(time.monotonic(), faults.action_latency, faults.base_held)
        outcome = self._world.step(action)
        self._output.outcome(outcome)
        if outcome.ending:
            self._output.event(outcome.ending, timeout_s=0.0)
            # The next one starts a period later: what the last action led to must be seen, too.
            self._over = True
            self.finished = bool(self._episodes) and self._world.episode + 1 >= self._episodes
        self._output.frame(self._now_ns())

    def _on_clock(self) -> None:
        """Between two ticks simulated time goes on with the wall's, up to just before the next tick."""
        assert self._sim_ns is not None
        since_ns = self._steady_ns() - self._ticked_ns
        self._output.clock(self._sim_ns + min(since_ns, self._period_ns - 1))

    def _now_ns(self) -> int:
        if self._sim_ns is not None:
            return self._sim_ns
        return int(self._node.get_clock().now().nanoseconds)

    def _steady_ns(self) -> int:
        return int(self._steady.now().nanoseconds)
