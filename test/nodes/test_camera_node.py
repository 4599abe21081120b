"""The camera node's process alone: this test is its camera drivers and its encoder."""

import os
import signal
import subprocess
import sys
from array import array
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from support.probe import DEADLINE_S, probing
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import from_camera_info, from_image, to_camera_info
from safe_o2o_ros.perception.camera_model import CameraModel
from safe_o2o_ros.perception.software_camera import SoftwareCamera, numbered

VGA = CameraModel(480, 640, 240.0, 240.0, 320.0, 240.0)
"""90 degrees vertically."""


@contextmanager
def camera_node(probe, *parameters):
    """The node with these parameters, and what it publishes for camera front."""
    given = [part for parameter in parameters for part in ("-p", parameter)]
    process = subprocess.Popen(
        [sys.executable, "-m", "safe_o2o_ros.nodes.camera_node", "--ros-args", *given],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENCV_LOG_LEVEL": "SILENT"},
        start_new_session=True,
    )
    try:
        yield Outside(probe, process)
    finally:
        process.kill()
        process.communicate()


class Outside:
    """What others see of the node."""

    def __init__(self, probe, process):
        self.probe, self.process = probe, process
        best_effort = qos.images(reliable=False)
        self.images = probe.listen(Image, "front/image_raw", best_effort)
        self.infos = probe.listen(CameraInfo, "front/camera_info", best_effort)
        self.diagnostics = probe.listen(DiagnosticArray, "diagnostics", qos.plots())

    def statuses(self, camera="front"):
        return [s for m in self.diagnostics for s in m.status if s.name == f"camera_node: {camera}"]

    def until_it_says(self, words, camera="front", send=lambda: None):
        """The status with these words, from now on; `send` is called meanwhile."""
        seen = len(self.statuses(camera))

        def said():
            send()
            return any(words in s.message for s in self.statuses(camera)[seen:])

        self.probe.until(said, f"'{words}' in the diagnostics")
        return next(s for s in self.statuses(camera)[seen:] if words in s.message)

    def until_image(self, send=lambda: None):
        """The first image from now on; `send` is called meanwhile."""
        seen = len(self.images)

        def came():
            send()
            return len(self.images) > seen

        self.probe.until(came, "an image")
        return self.images[-1]

    def end(self):
        """Ctrl-C: returns exit code and stderr."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors


class Driver:
    """A camera driver with a clock of its own."""

    def __init__(self, probe, kind, topic, reliable=False):
        self._publisher = probe.node.create_publisher(kind, topic, qos.images(reliable))
        self._infos = probe.node.create_publisher(CameraInfo, "driver/camera_info", qos.images(False))
        self.stamp_ns = 1_000_000_000

    def send(self, message, model=VGA):
        """Publish `message` and a calibration with the next stamp."""
        self.stamp_ns += 33_000_000
        message.header.stamp = conversions.to_time(self.stamp_ns)
        message.header.frame_id = "driver_optical_frame"
        self._infos.publish(to_camera_info(model, 480, 640, self.stamp_ns, "driver_optical_frame"))
        self._publisher.publish(message)


def stripes():
    """640x480, red left of column 320, blue right of it."""
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, :320, 0] = 255
    pixels[:, 320:, 2] = 255
    return pixels


def raw():
    return conversions.to_image(stripes(), 0, "")


def small():
    return conversions.to_image(stripes()[::10, ::10], 0, "")


def test_a_topic_becomes_small_images_with_the_drivers_stamp_frame_and_scaled_calibration():
    with probing() as probe:
        driver = Driver(probe, Image, "driver/image", reliable=True)
        with camera_node(
            probe, "cameras:=[front]", "front.topic:=driver/image", "height:=48", "width:=48"
        ) as node:

            def send():
                driver.send(raw())

            node.probe.until(
                lambda: (send(), any(any(i.k) for i in node.infos))[1], "a calibrated camera_info"
            )
            image = node.until_image(send)
            assert (image.height, image.width, image.encoding) == (48, 48, "rgb8")
            assert image.header.frame_id == "driver_optical_frame"
            assert conversions.from_time(image.header.stamp) > 1_000_000_000
            pixels = from_image(image)
            assert pixels[24, 20].tolist() == [255, 0, 0] and pixels[24, 28].tolist() == [0, 0, 255]
            model = from_camera_info(node.infos[-1])
            # The middle 480 of 640 columns, at a tenth.
            assert (model.fx, model.cx, model.cy) == pytest.approx((24.0, 24.0, 24.0))
            assert model.fovy_deg == pytest.approx(90.0)
            status = node.until_it_says("ok", send=send)
            assert float({v.key: v.value for v in status.values}["rate_hz"]) > 0.0
            code, errors = node.end()
            assert code == 0 and "Traceback" not in errors


def test_a_driver_that_restarts_with_compressed_images_is_followed():
    with probing() as probe, camera_node(probe, "cameras:=[front]", "front.topic:=driver/image") as node:
        node.until_it_says("nothing is published on 'driver/image'")
        driver = Driver(probe, CompressedImage, "driver/image")
        jpeg = cv2.imencode(".jpg", stripes()[..., ::-1])[1].tobytes()

        def send(content=jpeg):
            driver.send(CompressedImage(format="rgb8; jpeg compressed bgr8", data=array("B", content)))

        pixels = from_image(node.until_image(send)).astype(int)
        assert np.abs(pixels[32, 10] - [255, 0, 0]).max() < 8
        # Damaged pictures are named, and are no frames.
        status = node.until_it_says("stalled", send=lambda: send(jpeg[:1000]))
        assert status.level == b"\x02" and "truncated" in status.message
        node.until_image(send)
        assert node.process.poll() is None


def test_garbage_silence_and_a_repeated_stamp_are_named_and_the_camera_goes_on():
    with probing() as probe:
        driver = Driver(probe, Image, "driver/image", reliable=True)
        with camera_node(
            probe, "cameras:=[front]", "front.topic:=driver/image", "front.rate:=1000.0"
        ) as node:
            node.until_image(lambda: driver.send(small()))
            node.until_it_says("frames/s, expected 1000.0", send=lambda: driver.send(small()))
            broken = Image(height=2, width=2, step=8, encoding="32FC1", data=array("B", bytes(16)))
            node.until_it_says("32FC1", send=lambda: driver.send(broken))
            frozen = driver.stamp_ns

            def repeat():
                driver.stamp_ns = frozen
                driver.send(small())

            repeat()
            status = node.until_it_says("stalled", send=repeat)
            values = {v.key: v.value for v in status.values}
            assert int(values["dropped_repeated_stamp"]) > 0 and int(values["dropped_refused"]) > 0
            node.until_image(lambda: driver.send(small()))


def test_a_topic_that_carries_no_images_is_named():
    with probing() as probe:
        probe.node.create_publisher(String, "driver/image", 1)
        with camera_node(probe, "cameras:=[front]", "front.topic:=driver/image") as node:
            assert "std_msgs/msg/String" in node.until_it_says("not as").message


def test_a_video_and_a_missing_device_are_served_by_one_process(tmp_path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    for _ in range(4):
        writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))
    writer.release()
    write_tiny_bundle(tmp_path / "tiny")
    with (
        probing() as probe,
        camera_node(
            probe,
            f"bundle:={tmp_path / 'tiny'}",
            "cameras:=[front, back]",
            "front.source:=file",
            f"front.file:={path}",
            "front.fovy:=60.0",
            "back.source:=device",
            "back.device:=/dev/video97",
        ) as node,
    ):
        probe.until(lambda: len(node.images) > 8, "more frames than the video has")
        assert (node.images[-1].height, node.images[-1].width) == (64, 64)
        assert node.images[-1].header.frame_id == "front_optical_frame"
        assert np.abs(from_image(node.images[-1]).astype(int) - [255, 0, 0]).max() < 4
        probe.until(lambda: node.infos, "a camera_info")
        assert from_camera_info(node.infos[-1]).fovy_deg == pytest.approx(60.0)
        assert node.until_it_says("disconnected", "back").level == b"\x02"
        node.until_it_says("ok")
        code, errors = node.end()
        assert code == 0 and "Traceback" not in errors


def write_bag(path, count, period_ms=20):
    """A bag of one raw camera; pictures tell their number. Returns the stamps, ns."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_JAZZY)
    kinds = {name: types.types[name] for name in ("sensor_msgs/msg/Image", "std_msgs/msg/Header")}
    clock = types.types["builtin_interfaces/msg/Time"]
    stamps = [1_600_000_000 * 10**9 + k * period_ms * 10**6 for k in range(count)]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topic = writer.add_connection("/camera/image", "sensor_msgs/msg/Image", typestore=types)
        for k, stamp_ns in enumerate(stamps):
            stamp = clock(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
            pixels = np.full((48, 64, 3), k, np.uint8)
            message = kinds["sensor_msgs/msg/Image"](
                header=kinds["std_msgs/msg/Header"](stamp=stamp, frame_id="recorded_optical_frame"),
                height=48, width=64, encoding="rgb8", is_bigendian=0, step=192, data=pixels.reshape(-1),
            )  # fmt: skip
            written = types.serialize_cdr(message, "sensor_msgs/msg/Image")
            writer.write(topic, stamp_ns + 5_000_000, written)
    return stamps


@pytest.mark.parametrize("source", ["bag", "realsense"])
@pytest.mark.parametrize("playback", ["real_time", "fast"])
def test_a_recording_is_published_whole_in_order_with_its_stamps(source, playback, tmp_path):
    count = 60
    if source == "bag":
        path = tmp_path / "bag"
        stamps = write_bag(path, count)
    else:
        path = tmp_path / "drive.db3"
        stamps = SoftwareCamera(64, 48).record(path, count, numbered(64, 48))
    parameters = [
        "cameras:=[front]", f"front.source:={source}", f"front.file:={path}", "front.loop:=false",
        "width:=64", f"front.playback:={playback}", "front.stamps:=recorded", "front.crop:=none",
        "height:=48",
    ]  # fmt: skip
    with probing() as probe:
        images = []
        probe.node.create_subscription(Image, "front/image_raw", images.append, qos.recorded_images(200))
        with camera_node(probe, *parameters) as node:
            probe.until(lambda: len(images) >= count, "every picture")
            status = node.until_it_says("ended")
    values = {v.key: v.value for v in status.values}
    assert int(values["frames"]) == count, status
    assert [int(from_image(image)[0, 0, 0]) for image in images] == list(range(count))
    found = [conversions.from_time(image.header.stamp) for image in images]
    assert max(abs(a - b) for a, b in zip(found, stamps, strict=True)) <= 1000  # ns; librealsense keeps ms
    assert not {key: n for key, n in values.items() if key.startswith("dropped_") and int(n)}


@pytest.mark.parametrize(
    ("source", "content", "words"),
    [
        ("bag", None, "there is no recording"),
        ("bag", b"rubbish", "is no"),
        ("realsense", None, "does not exist"),
        ("realsense", b"rubbish", "is no recording"),
    ],
)
def test_a_recording_that_is_none_ends_the_node_with_a_sentence(source, content, words, tmp_path):
    path = tmp_path / "drive.db3"
    if content is not None:
        path.write_bytes(content)
    parameters = ["cameras:=[front]", f"front.source:={source}", f"front.file:={path}"]
    given = [part for parameter in parameters for part in ("-p", parameter)]
    done = subprocess.run(
        [sys.executable, "-m", "safe_o2o_ros.nodes.camera_node", "--ros-args", *given],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and words in done.stderr
