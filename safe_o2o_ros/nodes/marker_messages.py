"""Shapes, trails and verdicts to messages for RViz and diagnostics. Pure: no node, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from safe_o2o_ros.monitor.health import Verdict
from safe_o2o_ros.monitor.shapes import Kind, Shape
from safe_o2o_ros.monitor.trail import Pose
from safe_o2o_ros.nodes.conversions import to_time

_TYPES = {
    Kind.LINE_STRIP: Marker.LINE_STRIP,
    Kind.LINE_LIST: Marker.LINE_LIST,
    Kind.TRIANGLES: Marker.TRIANGLE_LIST,
    Kind.DOTS: Marker.SPHERE_LIST,
    Kind.BOX: Marker.CUBE,
    Kind.TEXT: Marker.TEXT_VIEW_FACING,
}
_PLACED = (Kind.BOX, Kind.TEXT)
"""Kinds with a pose and no list of points."""
_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)


def to_markers(shapes: Iterable[Shape], frame_id: str, lifetime_s: float, fresh: bool = False) -> MarkerArray:
    """Markers that vanish after `lifetime_s`; `fresh` first deletes what an earlier run left on the screen.

    The stamp is zero, which a viewer reads as "with the newest transform": a stamp a little ahead of TF
    would be an error there.
    """
    array = MarkerArray()
    if fresh:
        array.markers.append(Marker(header=Header(frame_id=frame_id), action=Marker.DELETEALL))
    array.markers.extend(_to_marker(shape, frame_id, lifetime_s) for shape in shapes)
    return array


def _to_marker(shape: Shape, frame_id: str, lifetime_s: float) -> Marker:
    marker = Marker(ns=shape.name, id=0, type=_TYPES[shape.kind], action=Marker.ADD)
    marker.header.frame_id = frame_id
    marker.frame_locked = True
    whole_s = int(lifetime_s)
    marker.lifetime = Duration(sec=whole_s, nanosec=int((lifetime_s - whole_s) * 1e9))
    marker.scale.x, marker.scale.y, marker.scale.z = (float(x) for x in shape.scale)
    colours = [_colour(*row) for row in shape.colours.tolist()]
    marker.color = colours[0]
    marker.text = shape.text
    points = [Point(x=x, y=y, z=z) for x, y, z in shape.points.tolist()]
    if shape.kind in _PLACED:
        marker.pose.position = points[0]
    else:
        marker.points = points
        if len(colours) > 1:
            marker.colors = colours
    return marker


@lru_cache(maxsize=4096)
def _colour(r: float, g: float, b: float, a: float) -> ColorRGBA:
    # Shared, since every point of an arc has the same one; nobody changes it before it is sent.
    return ColorRGBA(r=r, g=g, b=b, a=a)


def to_pose_stamped(pose: Pose, frame_id: str) -> PoseStamped:
    """One pose of a path."""
    message = PoseStamped()
    message.header = Header(stamp=to_time(pose.stamp_ns), frame_id=frame_id)
    message.pose.position.x, message.pose.position.y = float(pose.x), float(pose.y)
    half = 0.5 * float(pose.yaw)
    message.pose.orientation = Quaternion(x=0.0, y=0.0, z=math.sin(half), w=math.cos(half))
    return message


def to_status(name: str, hardware: str, verdict: Verdict) -> DiagnosticStatus:
    """A verdict under a name of the form "node: task"."""
    values = [KeyValue(key=key, value=value) for key, value in verdict.values.items()]
    return DiagnosticStatus(
        level=_LEVELS[verdict.level], name=name, message=verdict.message, hardware_id=hardware, values=values
    )
