"""The encoder's process alone: this test is its cameras."""

import json
import os
import subprocess
import sys
from array import array

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, Image
from support.probe import probing
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.manifest import MANIFEST_NAME
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.image_messages import to_camera_info
from safe_o2o_ros.perception.camera_model import ideal

MS = 1_000_000
VIEW = {"fovy_deg": 90.0, "position": [0.1, 0.0, 0.3], "xyaxes": [0.0, -1.0, 0.0, 0.0, 0.0, 1.0]}


class Cameras:
    """Publishes what the encoder reads, records what it writes."""

    def __init__(self, probe):
        self.probe = probe
        profile = qos.images(reliable=True)
        self.images, self.infos = {}, {}
        for name in ("front", "back"):
            self.images[name] = probe.node.create_publisher(Image, f"{name}/image_raw", profile)
            self.infos[name] = probe.node.create_publisher(CameraInfo, f"{name}/camera_info", profile)
        self.latents = probe.listen(Image, "latent", qos.series(False))
        self.diagnostics = probe.listen(DiagnosticArray, "diagnostics", qos.plots())
        self.stamp_ms = 1_000

    def send(self, name, stamp_ms, size=(64, 64)):
        """Publish one grey frame and wait until it was taken."""
        image = conversions.to_image(np.full((*size, 3), 100, np.uint8), stamp_ms * MS, f"{name}_frame")
        self.images[name].publish(image)
        self.images[name].wait_for_all_acked()

    def stamps_ms(self):
        return [conversions.from_time(m.header.stamp) // MS for m in self.latents]

    def until_latent(self, size=(64, 64), skew_ms=0):
        """Send pairs, a period apart, until one more latent comes."""
        seen = len(self.latents)

        def came():
            self.stamp_ms += 80
            self.send("front", self.stamp_ms, size)
            self.send("back", self.stamp_ms + skew_ms, size)
            return len(self.latents) > seen

        self.probe.until(came, "a latent")

    def until_it_says(self, words, meanwhile=lambda: None):
        """The values of the status with these words, from now on."""
        seen = len(self.diagnostics)

        def found():
            meanwhile()
            return any(words in m.status[0].message for m in self.diagnostics[seen:])

        self.probe.until(found, f"'{words}' in the diagnostics")
        status = next(m.status[0] for m in self.diagnostics[seen:] if words in m.status[0].message)
        return status.level, {v.key: v.value for v in status.values}


@pytest.fixture(scope="module")
def cameras(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    manifest = json.loads((path / MANIFEST_NAME).read_text())
    (path / MANIFEST_NAME).write_text(json.dumps(manifest | {"views": {"front": VIEW}}))
    command = [sys.executable, "-m", "safe_o2o_ros.nodes.encoder_node", "--ros-args", "-p", f"bundle:={path}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        with probing() as probe:
            cameras = Cameras(probe)
            publishers = [*cameras.images.values(), cameras.infos["front"]]
            probe.until(lambda: all(p.get_subscription_count() for p in publishers), "the encoder")
            cameras.process = process
            yield cameras
    finally:
        process.kill()
        process.communicate()


def test_fast_cameras_with_a_skew_give_one_latent_per_control_period(cameras):
    cameras.until_latent()
    first, sent = cameras.stamp_ms + 1000, []
    seen = len(cameras.latents)

    def ten_came():
        # 30 Hz, back 6 ms before front; the control period is 80 ms.
        sent.append(first + round(len(sent) * 100 / 3))
        cameras.send("back", sent[-1])
        cameras.send("front", sent[-1] + 6)
        cameras.stamp_ms = sent[-1] + 6
        return len(cameras.latents) >= seen + 10

    cameras.probe.until(ten_came, "ten latents")
    stamps = [s for s in cameras.stamps_ms() if s >= first]
    gaps = np.diff(stamps)
    # Only after a frame that was lost on the way (a gap over 100 ms) may the next one follow more closely.
    assert (gaps[:1] >= 60).all() and ((gaps[1:] >= 60) | (gaps[:-1] > 100)).all()
    assert gaps.mean() >= 70
    assert set(stamps) <= set(sent)  # the older stamp of each pair


def test_garbage_and_a_silent_camera_are_named_and_driving_goes_on(cameras):
    cameras.until_latent()
    broken = Image(height=2, width=2, step=16, encoding="64FC1", data=array("B", bytes(32)))

    def front_and_garbage():
        cameras.stamp_ms += 80
        cameras.send("front", cameras.stamp_ms)
        cameras.images["back"].publish(broken)

    level, values = cameras.until_it_says("no good frames of camera back", front_and_garbage)
    assert level == b"\x02"
    assert int(values["refused_back"]) > 0 and int(values["dropped_front"]) > 0
    assert "64FC1" in " ".join(m.status[0].message for m in cameras.diagnostics)
    cameras.until_latent()
    assert cameras.process.poll() is None


def test_frames_of_another_size_and_within_half_a_period_are_used(cameras):
    cameras.until_latent()
    cameras.until_latent(size=(96, 128), skew_ms=30)


def test_a_lens_that_differs_from_training_is_named_with_both_numbers(cameras):
    def send(fovy_deg):
        cameras.infos["front"].publish(to_camera_info(ideal(64, 64, fovy_deg), 64, 64, 0, "front_frame"))
        cameras.stamp_ms += 80
        for name in ("front", "back"):
            cameras.send(name, cameras.stamp_ms)

    level, values = cameras.until_it_says("sees 45.0 degrees vertically", lambda: send(45.0))
    assert level == b"\x01" and "trained with 90.0" in values["view_front"]
    # Uncalibrated is not judged, and what was mended is well again.
    assert cameras.until_it_says("ok", lambda: send(90.0))[1]["view_front"] == "ok"
    assert values["view_back"] == "ok"
