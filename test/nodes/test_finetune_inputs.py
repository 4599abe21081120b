"""A recorder that fell behind joins as if it had kept up: real messages over DDS, heard too late."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from std_msgs.msg import Float32
from support.driving import about
from support.probe import probing
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.finetune_inputs import FinetuneInputs
from safe_o2o_ros.online.joining import JoinConfig, TransitionJoiner
from safe_o2o_ros.online.pieces import PieceBuilder

PERIODS, REWARDS = 3, 4


@pytest.fixture
def manifest(tmp_path):
    write_tiny_bundle(tmp_path / "tiny", seed=5)
    return load_bundle(tmp_path / "tiny", ()).manifest


def test_rewards_that_came_before_a_frame_count_before_it_however_late_both_are_heard(manifest):
    period_ns = round(manifest.period_s * 1e9)
    with probing("late") as late, probing("robot") as robot:
        joiner = TransitionJoiner(JoinConfig(manifest.period_s), PieceBuilder(about(), 20))
        inputs = FinetuneInputs(
            late.node, joiner, manifest, lockstep=False, image_qos="reliable", pair_tolerance_s=-1.0
        )
        node = robot.node
        cameras = {
            name: node.create_publisher(Image, f"{name}/image_raw", qos.images(True, 10))
            for name in manifest.image.cameras
        }
        executed = node.create_publisher(TwistStamped, "executed_cmd", qos.series(False))
        reward = node.create_publisher(Float32, "reward", qos.series(False))
        everything = [*cameras.values(), executed, reward]
        for publisher in everything:
            robot.until(lambda p=publisher: p.get_subscription_count() == 1, publisher.topic)

        def arrived():
            return all(p.wait_for_all_acked(Duration(seconds=10)) for p in everything)

        # The listener does not spin: everything waits in its queues, as behind a busy executor.
        for k in range(PERIODS + 1):
            stamp_ns = 10**9 + k * period_ns
            for name, publisher in cameras.items():
                pixels = np.full((manifest.image.height, manifest.image.width, 3), k, np.uint8)
                publisher.publish(conversions.to_image(pixels, stamp_ns, name))
            assert arrived()
            if k == PERIODS:
                break
            action = np.full(manifest.adapter.action_dim, k / 10, np.float32)
            twist = conversions.to_twist_stamped(action, stamp_ns, manifest.adapter)
            executed.publish(twist)
            for n in range(REWARDS):
                reward.publish(Float32(data=float(10**k * (n + 1))))
            assert arrived()
        late.until(lambda: joiner.offered == PERIODS, "the frames")
        joiner.close()
    (piece,) = joiner.take()
    assert piece.rewards.tolist() == [10.0, 100.0, 1000.0]
    assert piece.actions[:, 0].tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert inputs.heard == PERIODS * (1 + REWARDS) + (PERIODS + 1) * len(cameras)
    assert joiner.notes["unjoined"] == 0
