"""What sim_node publishes: the same topics, types and units as a robot with cameras."""

from __future__ import annotations

import time
from collections.abc import Callable

from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool, Float32, String

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_cameras import SimCameras
from safe_o2o_ros.nodes.sim_frames import Frames, Motion, odometry
from safe_o2o_ros.nodes.sim_transforms import SimTransforms
from safe_o2o_ros.nodes.sim_world import Outcome, SimWorld
from safe_o2o_ros.sim.faults import Faults, Shot
from safe_o2o_ros.sim.odometry import body_twist


class SimOutput:
    """Cameras, odometry, transforms, reward, cost, contact, episode events and, if wanted, the clock."""

    def __init__(
        self,
        node: Node,
        world: SimWorld,
        frames: Frames,
        faults: Callable[[], Faults],
        lockstep: bool,
        clock: bool,
    ) -> None:
        """`lockstep`: frames and odometry reliable; `clock`: publish /clock; `faults`: what is wrong now."""
        self._world, self._frames, self._faults = world, frames, faults
        self._clock = node.create_publisher(Clock, "/clock", qos.series(False)) if clock else None
        self.episode = node.create_publisher(String, "episode", qos.facts())
        self._cameras = SimCameras(node, world, frames, faults, lockstep)
        self.cameras = self._cameras.images
        """Publisher of the frames of every camera."""
        self._odom = node.create_publisher(Odometry, "odom", qos.series(lockstep))
        self._reward = node.create_publisher(Float32, "reward", qos.series(False))
        self._cost = node.create_publisher(Float32, "cost", qos.series(False))
        self.outcomes = {"reward": self._reward, "cost": self._cost}
        """Publishers of what every period brings."""
        self._node = node
        self._bumper: Publisher | None = None
        self._motion: Motion | None = None
        self._transforms = SimTransforms(node, frames, world.mounts)

    def event(self, text: str, timeout_s: float = 10.0) -> bool:
        """Publish an episode event; True once every listener has it."""
        self.episode.publish(String(data=text))
        return bool(self.episode.wait_for_all_acked(Duration(seconds=timeout_s)))

    def flush(self, timeout_s: float) -> None:
        """Wait until frames and outcomes have arrived, or for the timeout."""
        deadline = time.monotonic() + timeout_s
        for publisher in (*self.outcomes.values(), *self.cameras.values()):
            publisher.wait_for_all_acked(Duration(seconds=max(0.0, deadline - time.monotonic())))

    def outcome(self, outcome: Outcome) -> None:
        """Publish what the last period brought."""
        self._reward.publish(Float32(data=outcome.reward))
        self._cost.publish(Float32(data=outcome.cost))
        if outcome.contact is None:
            return
        if self._bumper is None:  # only tasks that know contact have one
            self._bumper = self._node.create_publisher(Bool, "bumper", qos.series(False))
        self._bumper.publish(Bool(data=bool(outcome.contact)))

    def clock(self, time_ns: int) -> None:
        """Publish the simulated time, if this node is the one that does."""
        if self._clock is not None:
            self._clock.publish(Clock(clock=conversions.to_time(time_ns)))

    def frame(self, stamp_ns: int) -> None:
        """Publish the clock, the odometry and the newest frames, all with one stamp."""
        self.clock(stamp_ns)
        motion = self._moved()
        self._odom.publish(odometry(motion, self._frames, stamp_ns))
        self._transforms.send(motion, stamp_ns)
        for name, pixels in self._world.images.items():
            self._cameras.send(name, Shot(stamp_ns, pixels))

    def _moved(self) -> Motion:
        """The robot's motion as the odometry has it."""
        if self._motion is None or not self._faults().odom_freeze:
            state = self._world.state()
            twist = body_twist(state)
            self._motion = Motion(
                x=float(state.position[0]),
                y=float(state.position[1]),
                z=self._world.base_height_m,
                yaw=float(state.yaw),
                forward=twist["linear.x"],
                left=twist["linear.y"],
                yaw_rate=twist["angular.z"],
            )
        return self._motion
