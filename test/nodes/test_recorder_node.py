"""recorder_node as a process among real publishers: what was said is what is in the bags."""

import resource
import signal
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, Float32, String
from std_srvs.srv import Trigger
from support.probe import probing, running

from safe_o2o_ros.data.bags import origin
from safe_o2o_ros.data.mcap_salvage import McapSalvage
from safe_o2o_ros.graph import Graph, NodeSpec
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import from_image, to_compressed_image
from safe_o2o_ros.robot import POINT

STORE = get_typestore(Stores.ROS2_JAZZY)
CAMERAS = ("front", "back")


class Recording:
    """A recorder, and a robot that says numbered things."""

    def __init__(self, probe, out, parameters):
        self.probe, self.out, node = probe, out, probe.node
        given = {"out": str(out), "cameras": list(CAMERAS), "min_free_gigabytes": 0.0, "adapter": "point"}
        spec = NodeSpec("recorder_node", "safe_o2o_ros", "recorder_node", given | parameters)
        self.graph = Graph((spec,), "", None, "warn", {})
        self.cameras = {
            c: node.create_publisher(Image, f"{c}/image_raw", qos.images(True, 30)) for c in CAMERAS
        }
        series = qos.series(False)
        self.executed = node.create_publisher(TwistStamped, "executed_cmd", series)
        self.teleop = node.create_publisher(Twist, "cmd_vel_teleop", series)
        self.numbers = {n: node.create_publisher(Float32, n, series) for n in ("reward", "cost")}
        self.truths = {n: node.create_publisher(Bool, n, series) for n in ("bumper", "e_stop")}
        self.episode = node.create_publisher(String, "episode", qos.facts())
        self.statuses = []
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_status, qos.plots())
        self.k = 0

    def _on_status(self, message):
        for status in message.status:
            if status.name == "recorder_node":
                values = {v.key: v.value for v in status.values}
                self.statuses.append((status.level[0], status.message, values))

    def meet(self):
        """Every publisher is heard."""
        publishers = [*self.cameras.values(), self.executed, *self.numbers.values(), *self.truths.values()]
        publishers += [self.teleop, self.episode]
        self.probe.until(lambda: all(p.get_subscription_count() for p in publishers), "the recorder")
        self.until_it_says(lambda level, text, values: level == 0, "all is well")

    def until_it_says(self, condition, what):
        seen = len(self.statuses)
        self.probe.until(lambda: any(condition(*s) for s in self.statuses[seen:]), what)
        return next(s for s in self.statuses[seen:] if condition(*s))

    def ask(self, word):
        answer = self.probe.call(Trigger, f"recorder_node/{word}", Trigger.Request())
        return answer.success, answer.message

    def say(self):
        """One period: a picture of each camera and a command, all with their number."""
        now_ns = time.time_ns()
        pixels = np.full((16, 24, 3), self.k % 256, np.uint8)
        for camera, publisher in self.cameras.items():
            publisher.publish(conversions.to_image(pixels, now_ns, f"{camera} {self.k}"))
        action = np.array([0.25, self.k / 1024.0], np.float32)
        self.executed.publish(conversions.to_twist_stamped(action, now_ns, POINT, str(self.k)))
        self.k += 1

    def say_until(self, condition, what):
        """Speak until `condition` holds."""

        def spoken():
            self.say()
            return condition()

        self.probe.until(spoken, what)

    def say_until_written(self, more):
        """Speak until so many more messages were written, as the recorder says."""
        wanted = int(self.statuses[-1][2]["written"]) + more
        self.say_until(lambda: int(self.statuses[-1][2]["written"]) >= wanted, f"{more} messages on disk")

    def file(self, topic):
        """Values of a topic in the file of the first take, as it is now."""
        return words(salvaged(self.out / "take_0001").get(topic, []))

    def takes(self):
        return sorted(p.name for p in self.out.glob("take_*"))


@pytest.fixture
def recorder(tmp_path):
    stack = []

    def start(**parameters):
        probe = probing()
        recording = Recording(probe.__enter__(), tmp_path / "out", parameters)
        nodes = running(recording.graph)
        recording.nodes = nodes.__enter__()
        stack.extend([probe, nodes])
        recording.meet()
        return recording

    yield start
    for context in reversed(stack):
        context.__exit__(None, None, None)


def read(take):
    """Topic -> messages of a bag, in the order of their times."""
    found = {}
    with Reader(take) as reader:
        for connection, _, data in reader.messages():
            found.setdefault(connection.topic, []).append(STORE.deserialize_cdr(data, connection.msgtype))
    return found


def salvaged(take):
    """Topic -> messages of a file that need not be whole."""
    found = {}
    for channel, _, data in McapSalvage(next(take.glob("*.mcap"))).messages():
        found.setdefault(channel.topic, []).append(STORE.deserialize_cdr(data, channel.kind))
    return found


def numbers(messages):
    return [int(m.header.frame_id.split()[-1]) for m in messages]


def words(messages):
    return [m.data for m in messages]


def test_everything_said_between_start_and_stop_is_in_the_bag_once_and_in_order(recorder):
    r = recorder()
    r.say()  # before the start: not recorded
    assert r.ask("start") == (True, "recording")
    assert r.ask("start") == (True, "records already")
    first = r.k
    r.say_until_written(150)
    r.teleop.publish(Twist())
    r.numbers["reward"].publish(Float32(data=0.5))
    r.probe.until(lambda: r.file("/reward"), "the reward in the file")
    assert r.ask("stop") == (True, "stopped")
    values = r.until_it_says(lambda *s: s[2]["takes"] == "1", "the take")[2]
    assert int(values["offered"]) == int(values["written"]) and values["waiting"] == "0"
    bag = read(r.out / "take_0001")
    for topic in ("/front/image_raw/compressed", "/back/image_raw/compressed", "/executed_cmd"):
        found = numbers(bag[topic])
        # A message that was on its way while the recorder started may be in it.
        assert found[0] in (first - 1, first) and found == list(range(found[0], r.k))
    assert len(bag["/cmd_vel_teleop"]) == 1 and words(bag["/reward"]) == [0.5]
    assert words(bag["/record/episode"]) == ["start", "timeout"]
    assert "/record/reward" not in bag and not any(words(bag["/record/cost"]))
    assert int(values["frames"]) == sum(len(m) for t, m in bag.items() if "image" in t)


def test_pictures_are_the_cameras_own_whatever_way_they_come_and_are_stored(recorder):
    r = recorder(images="png")
    assert r.ask("start")[0]
    r.say_until_written(30)
    r.ask("stop")
    r.until_it_says(lambda *s: s[2]["takes"] == "1", "the take")
    for message in read(r.out / "take_0001")["/front/image_raw/compressed"]:
        (number,) = numbers([message])
        pixels = from_image(CompressedImage(format=message.format, data=message.data.tobytes()))
        assert (pixels == number % 256).all() and pixels.shape == (16, 24, 3)


def test_raw_pictures_and_pictures_that_come_compressed_are_kept_to_the_byte(recorder):
    r = recorder(images="raw")
    r.probe.node.destroy_publisher(r.cameras["back"])
    back = r.probe.node.create_publisher(CompressedImage, "back/image_raw", qos.images(True, 30))
    packed = to_compressed_image(np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8))
    r.cameras = {"front": r.cameras["front"]}
    r.probe.until(lambda: back.get_subscription_count(), "the recorder to follow the camera's type")
    r.until_it_says(lambda *s: s[0] == 0, "that all is well")
    assert r.ask("start")[0]
    back.publish(packed)
    r.say_until_written(30)
    r.ask("stop")
    r.until_it_says(lambda *s: s[2]["takes"] == "1", "the take")
    bag = read(r.out / "take_0001")
    assert bag["/back/image_raw/compressed"][0].data.tobytes() == bytes(packed.data)
    raw = bag["/front/image_raw"]
    assert all((m.data == numbers([m])[0] % 256).all() and m.encoding == "rgb8" for m in raw)


def test_after_kill_9_everything_written_is_there_and_the_bag_is_whole_again(recorder):
    r = recorder(autostart=True)
    r.until_it_says(lambda *s: s[2]["take"], "the take")
    for take in ("take_0001", "take_0002"):
        r.say_until_written(120)
        promised = int(r.statuses[-1][2]["written"])
        r.nodes.end("recorder_node", signal.SIGKILL)
        before = salvaged(r.out / take)
        assert not (r.out / take / "metadata.yaml").exists()
        if take == "take_0001":
            # What a write that was under way leaves.
            with next((r.out / take).glob("*.mcap")).open("ab") as file:
                file.write(b"\x05\xff\0\0\0\0\0\0\0half a message")
        r.nodes.start("recorder_node")
        r.meet()
        after = read(r.out / take)
        assert {t: len(m) for t, m in after.items()} == {t: len(m) for t, m in before.items()}
        assert sum(len(m) for m in after.values()) >= promised
        for topic in ("/front/image_raw/compressed", "/back/image_raw/compressed", "/executed_cmd"):
            found = numbers(after[topic])
            assert found == list(range(found[0], found[0] + len(found)))
        assert words(after["/record/episode"]) == ["start"]
        r.until_it_says(lambda *s, take=take: s[2]["take"] > take, "the next take")


def test_a_message_that_is_in_the_file_survives_a_kill_at_once(recorder):
    r = recorder()
    r.ask("start")
    r.say_until_written(20)
    for number in range(5):
        r.numbers["reward"].publish(Float32(data=float(number)))
        r.probe.until(
            lambda number=number: r.file("/reward")[-1:] == [number],
            "the message in the file",
        )
    r.nodes.end("recorder_node", signal.SIGKILL)
    r.nodes.start("recorder_node")
    r.meet()
    assert words(read(r.out / "take_0001")["/reward"]) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_discard_deletes_the_running_take_and_else_the_last_one(recorder):
    r = recorder()
    for _ in range(2):
        r.ask("start")
        r.say_until_written(20)
        r.ask("stop")
    r.until_it_says(lambda *s: s[2]["takes"] == "2", "two takes")
    r.ask("start")
    r.say_until_written(20)
    assert r.takes() == ["take_0001", "take_0002", "take_0003"]
    assert r.ask("discard")[0]
    r.until_it_says(lambda *s: s[2]["discarded"] == "1" and not s[2]["take"], "the running one to go")
    assert r.takes() == ["take_0001", "take_0002"]
    r.ask("discard")
    r.until_it_says(lambda *s: s[2]["discarded"] == "2", "the last one to go")
    assert (r.takes(), r.statuses[-1][2]["takes"]) == (["take_0001"], "1")
    assert len(read(r.out / "take_0001")) > 3


def test_bumper_e_stop_key_and_topic_all_cost_and_the_goal_rewards(recorder):
    r = recorder(cost_hold=0.2)
    assert r.ask("goal") == (False, "not recording: press start first")
    assert not r.ask("cost")[0]
    r.ask("start")
    r.say_until_written(10)
    for name, publisher in r.truths.items():
        publisher.publish(Bool(data=True))
        until_said(r, name, [True])
        publisher.publish(Bool(data=False))
        until_said(r, name, [True, False])
        until_label(r, False)
    r.numbers["cost"].publish(Float32(data=0.5))
    until_said(r, "cost", [0.5])
    assert r.ask("cost") == (True, "cost")
    until_label(r, True)
    until_label(r, False)
    r.say_until_written(10)
    assert r.ask("goal") == (True, "goal reached")
    r.until_it_says(lambda *s: s[2]["takes"] == "1", "the take")
    bag = read(r.out / "take_0001")
    labels = words(bag["/record/cost"])
    changes = [b for a, b in zip([None, *labels], labels, strict=False) if a is not b]
    # Bumper, e-stop, the topic's moment, the key.
    assert changes == [False, *[True, False] * 4]
    assert words(bag["/record/reward"]) == [1.0]
    assert words(bag["/record/episode"]) == ["start", "success"]


def until_said(r, name, data):
    r.probe.until(lambda: r.file(f"/{name}") == data, f"{name} {data} in the file")


def until_label(r, on):
    r.probe.until(lambda: bool(r.file("/record/cost")[-1]) is on, f"the label {on}")


def test_episodes_of_the_graph_are_takes_with_the_frame_after_their_end(recorder):
    r = recorder(reward_from="topic")
    r.episode.publish(String(data="start"))
    r.ask("start")
    r.say_until_written(20)
    for number in (0.5, -2.0):
        r.numbers["reward"].publish(Float32(data=number))
    until_said(r, "reward", [0.5, -2.0])
    r.episode.publish(String(data="failure"))
    r.probe.until(lambda: r.file("/episode")[-1:] == ["failure"], "the end")
    last = r.k
    r.say()  # what the last action led to
    r.say()  # and what came after
    r.until_it_says(lambda *s: s[2]["takes"] == "1", "the take")
    bag = read(r.out / "take_0001")
    for camera in CAMERAS:
        assert numbers(bag[f"/{camera}/image_raw/compressed"])[-1] == last
    assert words(bag["/record/episode"]) == ["start", "failure"]
    assert words(bag["/record/reward"]) == words(bag["/reward"]) == [0.5, -2.0]
    r.episode.publish(String(data="start"))
    r.until_it_says(lambda *s: s[2]["take"] == "take_0002", "the next episode's take")


def test_a_full_disk_ends_the_take_with_an_error_and_another_begins_when_there_is_room(recorder):
    r = recorder()
    r.ask("start")
    r.say_until_written(50)
    process = r.nodes.process("recorder_node")
    size = next((r.out / "take_0001").glob("*.mcap")).stat().st_size
    limit = (size, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
    r.say_until(lambda: r.statuses[-1][0] == 2, "the error")
    _, text, values = r.statuses[-1]
    assert "recording to" in text and "free space and start again" in text
    assert process.poll() is None
    assert int(values["offered"]) == sum(
        int(values[k])
        for k in ("written", "waiting", "dropped_disk", "dropped_queue_full", "dropped_unreadable")
    )
    kept = {t: len(m) for t, m in salvaged(r.out / "take_0001").items()}
    assert min(kept.values()) >= 1
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert r.ask("start") == (True, "recording")
    r.say_until_written(20)
    r.until_it_says(lambda *s: s[0] == 0, "that all is well again")
    r.ask("stop")
    r.until_it_says(lambda *s: not s[2]["take"], "the end")
    code, errors = r.nodes.end("recorder_node", signal.SIGINT)
    assert code == 0, errors
    assert numbers(read(r.out / "take_0002")["/executed_cmd"])[-1] == r.k - 1


def test_too_little_room_refuses_the_start_in_a_sentence(recorder):
    r = recorder(min_free_gigabytes=1e6)
    success, text = r.ask("start")
    assert not success and text == "not started: less than 1e+06 GB are free: free space"
    assert r.takes() == []


def test_without_pictures_nothing_starts_and_the_camera_is_named(tmp_path):
    with probing() as probe:
        recording = Recording(probe, tmp_path / "out", {})
        for publisher in recording.cameras.values():
            probe.node.destroy_publisher(publisher)
        with running(recording.graph) as nodes:
            success, text = recording.ask("start")
            assert not success and "nothing is published on 'front/image_raw'" in text
            code, _ = nodes.end("recorder_node", signal.SIGTERM)
            assert code == 0


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"out": ""}, "no place to record to"),
        ({"cameras": [""]}, "name cameras"),
        ({"adapter": "nobody"}, "no adapter 'nobody'"),
        ({"cost_from": ["bumper", "luck"]}, "must be one of bumper, e_stop, operator, topic, not 'luck'"),
    ],
)
def test_a_wrong_start_ends_with_one_sentence(tmp_path, parameters, sentence):
    with probing() as probe:
        recording = Recording(probe, tmp_path / "out", parameters)
        with running(recording.graph) as nodes:
            process = nodes.process("recorder_node")
            _, errors = process.communicate(timeout=40.0)
            assert process.returncode == 2
            (line,) = [text for text in errors.splitlines() if text.startswith("error: ")]
            assert sentence in line


def test_an_ended_recorder_finishes_its_take_and_the_bag_tells_the_import_all_it_needs(recorder):
    r = recorder()
    r.ask("start")
    r.say_until_written(60)
    code, errors = r.nodes.end("recorder_node", signal.SIGINT)
    assert code == 0, errors
    known = origin(r.out / "take_0001")
    assert known["adapter"]["name"] == "point"
    assert known["camera_topics"] == {c: f"/{c}/image_raw/compressed" for c in CAMERAS}
    assert words(read(r.out / "take_0001")["/record/episode"]) == ["start", "timeout"]
