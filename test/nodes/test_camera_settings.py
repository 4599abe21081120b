"""Parameters of camera_node that contradict each other, the bundle or the disk end in one sentence."""

import os
import signal
from unittest import mock

import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.nodes.camera_node import CameraNode
from safe_o2o_ros.nodes.runner import run

FRONT = "cameras:=[front]"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    return path


@pytest.fixture
def refuse(bundle, capfd):
    """The sentence with which the node ends, in this process."""

    def end(*parameters):
        given = [part for p in parameters for part in ("-p", p.format(bundle=bundle))]
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            with mock.patch.dict(os.environ):
                code = run(CameraNode, ["camera_node", "--ros-args", *given])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        errors = capfd.readouterr().err.splitlines()
        assert code == 2 and len(errors) == 1
        return errors[0]

    return end


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ((), "serves no camera"),
        ((FRONT,), "'front.topic' is empty"),
        ((FRONT, "back.topic:=a"), "no parameter 'back.topic'"),
        (("cameras:=[front, front]", "front.topic:=a"), "distinct names"),
        (("cameras:=[a/b]",), "distinct names"),
        (("cameras:=[left]", "bundle:={bundle}", "left.topic:=a"), "its cameras are front, back"),
        ((FRONT, "bundle:={bundle}", "task:=Juggling"), "trained for PointGoal1, not Juggling"),
        ((FRONT, "bundle:=/nowhere", "front.topic:=a"), "no model bundle at '/nowhere'"),
        ((FRONT, "front.topic:=front/image_raw"), "/front/image_raw, which this node publishes itself"),
        ((FRONT, "front.topic:=a b"), "a name is not valid in ROS"),
        ((FRONT, "front.topic:=a", "front.camera_info_topic:=a b"), "a name is not valid in ROS"),
        ((FRONT, "front.source:=radio"), "must be one of topic, device, file"),
        ((FRONT, "front.source:=file", "front.file:=/nowhere.mp4"), "'/nowhere.mp4' does not exist"),
        ((FRONT, "front.source:=file", "front.file:={bundle}"), "holds no PNG or JPEG pictures"),
        ((FRONT, "front.source:=device", "front.capture_size:=[640]"), "must have 0 or 2"),
        ((FRONT, "front.topic:=a", "front.roi:=[0, 0, 0, 4]"), "width and height must be positive"),
        ((FRONT, "front.topic:=a", "front.crop:=view"), "choose 'centre'"),
        ((FRONT, "front.topic:=a", "front.calibration:=/nowhere.yaml"), "'/nowhere.yaml' cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(parameters, words, refuse):
    assert words in refuse(*parameters)
