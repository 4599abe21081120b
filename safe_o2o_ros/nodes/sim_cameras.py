"""The simulated cameras on the wire: frames with their CameraInfo, and what faults make of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import to_camera_info
from safe_o2o_ros.nodes.sim_frames import Frames
from safe_o2o_ros.nodes.sim_world import SimWorld
from safe_o2o_ros.perception.camera_model import ideal
from safe_o2o_ros.sim.faults import CameraFaults, DelayLine, Faults, Shot

_DELIVERY_S = 0.005
"""Resolution of late delivery, seconds."""


class SimCameras:
    """One publisher pair per camera. Frames that faults hold back leave on a timer."""

    def __init__(
        self, node: Node, world: SimWorld, frames: Frames, faults: Callable[[], Faults], lockstep: bool
    ) -> None:
        """`faults`: what is wrong at the moment; `lockstep` makes the frames reliable."""
        self._frames, self._faults = frames, faults
        self._mounts = world.mounts
        self._damage = CameraFaults(world.options.seed)
        # Deep in lockstep: who records there may be slower than the one that is waited for.
        profile = qos.images(lockstep, 50 if lockstep else 1)
        names = world.options.cameras
        self.images = {n: node.create_publisher(Image, f"{n}/image_raw", profile) for n in names}
        self._infos = {n: node.create_publisher(CameraInfo, f"{n}/camera_info", profile) for n in names}
        self._late = {name: DelayLine[Shot]() for name in names}
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_DELIVERY_S, self._deliver, clock=steady)
        self._timer.cancel()

    def send(self, camera: str, shot: Shot) -> None:
        """Publish a frame, or what is left of it, now or later."""
        faults = self._faults()
        left = self._damage.apply(camera, shot, faults)
        delay_s = faults.camera_latency if faults.hits(camera) else 0.0
        if left is None:
            return
        if delay_s <= 0.0 and not self._late[camera]:
            self._publish(camera, left)
            return
        self._late[camera].push(left, time.monotonic())
        if self._timer.is_canceled():
            self._timer.reset()

    def _deliver(self) -> None:
        now_s, faults = time.monotonic(), self._faults()
        for camera, line in self._late.items():
            for _, shot in line.due(now_s, faults.camera_latency if faults.hits(camera) else 0.0):
                self._publish(camera, shot)
        if not any(self._late.values()):
            self._timer.cancel()

    def _publish(self, camera: str, shot: Shot) -> None:
        frame_id = self._frames.camera(camera)
        height, width = shot.pixels.shape[:2]
        model = ideal(height, width, self._mounts[camera].fovy_deg)
        info = to_camera_info(model, height, width, shot.stamp_ns, frame_id)
        self._infos[camera].publish(info)
        self.images[camera].publish(conversions.to_image(shot.pixels, shot.stamp_ns, frame_id))
