"""The encoder's cameras against the views its bundle was trained on, by CameraInfo and fixed transforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from safe_o2o_ros.errors import FrameError
from safe_o2o_ros.manifest import View
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.image_messages import from_camera_info
from safe_o2o_ros.perception.views import Pose, fovy_problem, mount_problem, pose_in, transform_pose

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

_TRANSFORMS = 100


class ViewCheck:
    """Warns once for every difference, and keeps what is wrong for the diagnostics.

    Cameras without a view in the bundle, or without a calibration, are not judged.
    """

    def __init__(self, node: Node, views: Mapping[str, View], base_frame: str) -> None:
        """`base_frame`: the frame views are given in."""
        self._node = node
        self._views = views
        self._base = base_frame
        self._parents: dict[str, tuple[str, Pose]] = {}
        self._said: set[str] = set()
        self._known: dict[str, tuple[Any, ...]] = {}
        self.problems: dict[str, str] = {}
        """Camera name -> sentence."""
        if not views:
            return
        profile = qos.images(reliable=False)
        for name in views:
            node.create_subscription(
                CameraInfo, f"{name}/camera_info", lambda m, name=name: self._on_info(name, m), profile
            )
        if TFMessage is None:
            node.get_logger().info("tf2_msgs is not installed here: the cameras' mounts are not checked")
            return
        fixed = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_TRANSFORMS,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        node.create_subscription(TFMessage, "/tf_static", self._on_transforms, fixed)

    def _on_transforms(self, message: Any) -> None:
        for each in message.transforms:
            t, r = each.transform.translation, each.transform.rotation
            pose = transform_pose((t.x, t.y, t.z), (r.x, r.y, r.z, r.w))
            if pose is not None:
                self._parents[each.child_frame_id.lstrip("/")] = (each.header.frame_id.lstrip("/"), pose)
        self._known.clear()

    def _on_info(self, camera: str, message: CameraInfo) -> None:
        # Calibrations come with every frame and hardly ever change.
        key = (message.header.frame_id, message.height, message.width, tuple(message.k))
        if self._known.get(camera) == key:
            return
        self._known[camera] = key
        problem = self._judge(camera, message)
        self.problems.pop(camera, None)
        if problem:
            self.problems[camera] = problem
            if problem not in self._said:
                self._said.add(problem)
                self._node.get_logger().warning(problem)

    def _judge(self, camera: str, message: CameraInfo) -> str:
        view = self._views[camera]
        try:
            model = from_camera_info(message)
        except FrameError as error:
            return f"camera {camera}: {error}"
        problem = fovy_problem(camera, view, model.fovy_deg) if model else ""
        pose = pose_in(self._base, message.header.frame_id.lstrip("/"), self._parents)
        return problem or ("" if pose is None else mount_problem(camera, view, pose))
