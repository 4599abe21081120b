"""The monitor's process: this test is the rest of the graph."""

import math
import signal
from array import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Float32, String
from support.probe import probing, running
from visualization_msgs.msg import Marker, MarkerArray

from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec
from safe_o2o_ros.monitor.palette import CHANGE, PASS, STOP
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.monitor_node import MARKERS, PATH, PATH_MARKERS
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import Decision, Latent, Mode, Reason

GRAPH = Graph(
    nodes=(
        NodeSpec(
            "monitor_node",
            PACKAGE,
            "monitor_node",
            {"path_frequency": 10.0, "silence_timeout": 0.6, "path_length": 50},
        ),
    ),
    namespace="",
    params_file=None,
    log_level="info",
    environment={},
)
AHEAD = np.array([0.05, 0.0], np.float32)


class World:
    """A driving robot: everything it says is said again at 50 Hz."""

    def __init__(self, probe):
        self.probe = probe
        publish = probe.node.create_publisher
        pipeline, series = qos.pipeline(False), qos.series(False)
        self.image = probe.node.create_subscription(Image, "front/image_raw", lambda m: None, series)
        self.outputs = {
            "front/camera_info": publish(CameraInfo, "front/camera_info", qos.images(False)),
            "latent": publish(Image, "latent", pipeline),
            "cmd_vel_nominal": publish(TwistStamped, "cmd_vel_nominal", pipeline),
            "executed_cmd": publish(TwistStamped, "executed_cmd", pipeline),
            "safety/state": publish(DiagnosticArray, "safety/state", series),
            "safety/value": publish(Float32, "safety/value", qos.plots()),
            "safety/candidates": publish(Image, "safety/candidates", pipeline),
            "odom": publish(Odometry, "odom", series),
        }
        self.episode = publish(String, "episode", qos.facts())
        self.until, self.stopped = probe.until, False
        self.behave()
        probe.node.create_timer(0.02, self.tick)
        self.markers = probe.listen(MarkerArray, MARKERS, qos.plots())
        self.path_markers = probe.listen(MarkerArray, PATH_MARKERS, qos.plots())
        self.paths = probe.listen(Path, PATH, qos.plots())
        self.reports = probe.listen(DiagnosticArray, "diagnostics", qos.plots())

    def state(self, decision):
        message = conversions.to_state(decision, Mode.FILTER, "point")
        message.status[0].values.append(KeyValue(key="wiring", value=self.wiring))
        return message

    def behave(self):
        """Drive as usual."""
        self.reason, self.late, self.value, self.nominal = Reason.PASS, "", 0.75, AHEAD
        self.x, self.step, self.silent, self.wiring = 0.0, 0.0, set(), ""
        self.table = np.array([[0.05, 0.0, 0.1], [0.05, 1.0, 0.9]], np.float32)

    def tick(self):
        """Move a step and say everything once, but for the silent topics."""
        self.x += self.step
        decision = Decision(1, AHEAD, False, self.reason, self.late, self.value, 0.5, 2, "tiny-1")
        odom = Odometry(child_frame_id="base_link")
        odom.header.frame_id = "odom"
        odom.pose.pose.position.x = self.x
        odom.pose.pose.orientation.w = 1.0
        said = {
            "front/camera_info": CameraInfo(),
            "latent": conversions.to_latent_image(Latent(1, "tiny-1", np.zeros(4, np.float32), 0.0)),
            "cmd_vel_nominal": conversions.to_twist_stamped(self.nominal, 1, POINT),
            "executed_cmd": conversions.to_twist_stamped(AHEAD, 1, POINT),
            "safety/state": self.state(decision),
            "safety/value": Float32(data=self.value),
            "safety/candidates": candidates(self.table),
            "odom": odom,
        }
        for topic, message in said.items():
            if topic not in self.silent:
                self.outputs[topic].publish(message)

    def shapes(self, received=None):
        """The newest markers by namespace."""
        arrays = self.markers if received is None else received
        return {m.ns: m for m in arrays[-1].markers if m.action == Marker.ADD} if arrays else {}

    def end(self, number):
        """End the monitor; exit code and what it wrote. The next test starts another."""
        self.stopped = True
        self.markers.clear()
        self.reports.clear()
        return self.nodes.end("monitor_node", number)

    def usual(self):
        """The picture of a robot that drives as usual."""
        shapes = self.shapes()
        whole = {"candidates", "nominal", "executed", "value", "threshold"} <= set(shapes)
        return whole and shapes["words"].text.startswith("PASS") and len(shapes["candidate_ends"].points) == 2

    def undrawable(self):
        """How many values the monitor says it could not draw."""
        values = {v.key: v.value for v in self.status("markers").values}
        return int(values.get("not_drawn", -1))

    def status(self, task):
        """The newest diagnostic of a task of the monitor."""
        names = f"monitor_node: {task}"
        found = [s for a in self.reports for s in a.status if s.name == names]
        return found[-1] if found else DiagnosticStatus(level=DiagnosticStatus.STALE)


def candidates(table):
    rows, columns = table.shape
    message = Image(height=rows, width=columns, encoding="32FC1", step=4 * columns)
    message.data = array("B", table.astype("<f4").tobytes())
    return message


def colour(marker):
    c = marker.color
    return pytest.approx((c.r, c.g, c.b), abs=1e-6)


@pytest.fixture(scope="module")
def shared(ros_domain):
    with probing() as probe, running(GRAPH) as nodes:
        world = World(probe)
        world.nodes = nodes
        yield world


@pytest.fixture
def world(shared):
    """The monitor watches a robot that drives as usual."""
    shared.behave()
    if shared.stopped:
        shared.nodes.start("monitor_node")
        shared.stopped = False
    shared.until(lambda: shared.usual(), "the usual picture")
    return shared


def test_the_picture_shows_commands_candidates_value_and_words_in_base_link(world):
    # An array that deletes what was there comes first; a second one has the shapes only.
    assert world.markers[0].markers[0].action == Marker.DELETEALL
    assert all(m.action == Marker.ADD for m in world.markers[-1].markers)
    shapes = world.shapes()
    assert {m.header.frame_id for m in shapes.values()} == {"base_link"}
    assert colour(shapes["executed"]) == PASS[:3]
    # 1.5 m/s for 1.5 s, from rest with a lag: somewhere on the way.
    assert 0.5 < shapes["nominal"].points[-1].x < 2.25
    assert "PASS" in shapes["words"].text
    # 10 pieces of an arc for each of two candidates.
    assert len(shapes["candidates"].points) == 2 * 10 * 2
    assert 0.0 < shapes["words"].lifetime.sec + 1e-9 * shapes["words"].lifetime.nanosec <= 1.0
    world.reason, world.late = Reason.STALE, "latent"
    world.until(lambda: "STALE: latent" in world.shapes()["words"].text, "the stop")
    assert colour(world.shapes()["base"]) == STOP[:3]


def test_nan_never_reaches_a_marker_and_is_counted(world):
    world.until(lambda: world.undrawable() >= 0, "the count")
    before = world.undrawable()
    broken = np.array([[math.nan, 0.0, 0.5], [0.05, 0.0, 0.1]], np.float32)
    world.nominal, world.value, world.x, world.table = broken[0, :2], math.nan, math.nan, broken

    def drawn():
        shapes = world.shapes()
        without = not {"nominal", "value"} & set(shapes)
        return without and len(shapes["candidate_ends"].points) == 1

    world.until(drawn, "a picture of the rest")
    for marker in world.markers[-1].markers:
        numbers = [v for p in marker.points for v in (p.x, p.y, p.z)]
        assert np.isfinite([*numbers, marker.pose.position.x, marker.scale.x, marker.color.r]).all()
    world.until(lambda: world.undrawable() > before, "the count of what is missing")
    assert world.status("markers").level == DiagnosticStatus.WARN
    world.until(lambda: world.paths, "a path")
    assert all(math.isfinite(p.pose.position.x) for p in world.paths[-1].poses)


def test_the_path_has_the_colours_of_the_answers_is_bounded_and_ends_with_the_episode(world):
    def further(until_m, reason):
        world.reason, world.step = reason, 0.05
        world.until(lambda: world.x > until_m, "motion")
        world.step = 0.0

    further(1.0, Reason.PASS)
    further(2.0, Reason.SUBSTITUTE)

    def colours():
        path = world.shapes(world.path_markers).get("path")
        return {(round(c.r, 2), round(c.g, 2)) for c in path.colors} if path else set()

    wanted = {(round(c[0], 2), round(c[1], 2)) for c in (PASS, CHANGE)}
    world.until(lambda: wanted <= colours(), "a path of both colours")
    further(5.0, Reason.PASS)
    world.until(lambda: world.paths and len(world.paths[-1].poses) == 50, "a full path")
    world.until(lambda: world.paths[-1].poses[-1].pose.position.x > world.x - 0.1, "the newest pose")
    assert {m.header.frame_id for m in world.path_markers[-1].markers} == {"odom"}
    world.episode.publish(String(data="start"))
    world.until(lambda: len(world.paths[-1].poses) < 3, "a new path")


def test_the_silent_node_is_named_and_not_those_that_starve(world):
    # This probe publishes everything, so its name is what stands for the camera's, the encoder's, ...
    world.until(lambda: world.status("graph").level == DiagnosticStatus.OK, "a live graph")
    assert "front/camera_info" in str([v.key for v in world.status("graph").values])
    world.silent = {"latent", "cmd_vel_nominal"}
    world.until(lambda: world.status("graph").level == DiagnosticStatus.ERROR, "the alarm")
    assert world.status("graph").message.startswith("probe is silent: latent")
    world.silent = {"front/camera_info", "latent", "cmd_vel_nominal"}
    world.until(lambda: "front/camera_info is" in world.status("graph").message, "the camera's name")
    world.silent = set()
    world.until(lambda: world.status("graph").level == DiagnosticStatus.OK, "a live graph again")
    code, errors = world.end(signal.SIGTERM)
    assert code == 0
    assert "probe is silent: latent" in errors
    assert "topics live" in errors


def test_without_the_filters_word_the_picture_says_so(world):
    world.silent = {"safety/state"}
    world.until(lambda: world.shapes()["words"].text == "NO SAFETY STATE", "the missing state")
    world.until(lambda: world.status("filter").level == DiagnosticStatus.ERROR, "the error")


def test_a_fault_of_the_wiring_is_passed_on(world):
    world.wiring = "teleop publishes cmd_vel too"
    world.until(lambda: world.status("filter").message == f"pass; {world.wiring}", "the fault")
    assert world.status("filter").level == DiagnosticStatus.WARN


def test_another_bundle_than_the_encoders_is_an_error(world):
    active = world.probe.node.create_publisher(String, "bundle/active", qos.facts())
    active.publish(String(data='{"version": "tiny-2"}'))
    world.until(lambda: "the encoder runs tiny-2" in world.status("filter").message, "the mismatch")
    active.publish(String(data="no JSON"))
    world.until(lambda: world.status("filter").message == "pass", "a version that cannot be read is none")


def test_rubbish_on_its_topics_does_not_end_it(world):
    world.until(lambda: world.undrawable() >= 0, "the count")
    before = world.undrawable()
    world.silent = {"safety/state", "safety/candidates"}
    world.outputs["safety/state"].publish(DiagnosticArray())
    world.outputs["safety/candidates"].publish(Image(encoding="rgb8", width=7, height=3))
    world.until(lambda: world.undrawable() >= before + 2, "the count")
    world.silent = set()
    world.until(lambda: "PASS" in world.shapes()["words"].text, "the picture again")
    code, errors = world.end(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in errors
