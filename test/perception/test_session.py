"""Which executed action goes with which frame set."""

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import ENCODER, load_bundle
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.session import EncoderSession
from safe_o2o_ros.robot import POINT
from safe_o2o_ros.types import FrameSet

A = np.array([0.05, 0.3], np.float32)
B = np.array([-0.02, -1.0], np.float32)
ZERO = POINT.zero()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    write_tiny_bundle(path)
    return RecurrentEncoder(load_bundle(path, (ENCODER,)))


def frames(stamp_ns):
    image = np.random.default_rng(stamp_ns).integers(0, 256, (64, 64, 6), np.uint8)
    return FrameSet(stamp_ns, image)


def expected(encoder, *actions):
    """The last latent when frame sets 1, 2, ... are joined by these actions."""
    state, latent = encoder.step(encoder.initial(), frames(1), ZERO)
    for i, action in enumerate(actions):
        state, latent = encoder.step(state, frames(2 + i), action)
    return latent


def same(latent, other):
    return latent.stamp_ns == other.stamp_ns and np.array_equal(latent.feature, other.feature)


def test_the_first_frame_set_needs_no_command(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    session.frames(frames(1), 0.0)
    assert same(session.step(0.0), expected(encoder))
    assert session.step(0.0) is None


def test_lockstep_waits_without_bound_and_takes_the_first_command_of_the_previous_frame(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    session.frames(frames(1), 0.0)
    session.step(0.0)
    session.frames(frames(2), 0.1)
    assert session.waiting_s(1e6) is None
    assert session.step(1e6) is None
    session.executed(1, A)
    session.executed(1, B)
    assert same(session.step(1e6), expected(encoder, A))
    assert session.faults == 0


def test_real_time_takes_the_command_in_force_last(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=False, wait_s=0.04)
    session.frames(frames(1), 0.0)
    session.step(0.0)
    session.executed(1, A)
    session.executed(1, B)
    session.frames(frames(2), 0.08)
    assert same(session.step(0.08), expected(encoder, B))


def test_real_time_waits_its_bound_then_goes_on_with_the_last_action_and_counts_a_fault(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=False, wait_s=0.04)
    session.frames(frames(1), 0.0)
    session.step(0.0)
    session.executed(1, A)
    session.frames(frames(2), 0.08)
    session.step(0.08)
    session.frames(frames(3), 0.16)
    assert session.step(0.16) is None
    assert session.waiting_s(0.17) == pytest.approx(0.03)
    assert same(session.step(0.2), expected(encoder, A, A))
    assert session.faults == 1


def test_a_newer_frame_set_replaces_one_that_waits(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=False, wait_s=0.04)
    session.frames(frames(1), 0.0)
    session.step(0.0)
    session.frames(frames(2), 0.08)
    session.frames(frames(3), 0.10)
    session.executed(1, A)
    assert session.step(0.10).stamp_ns == 3


def test_a_restart_forgets_state_commands_and_frames(encoder):
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    session.frames(frames(1), 0.0)
    session.step(0.0)
    session.executed(1, A)
    session.frames(frames(2), 0.1)
    session.restart()
    assert session.step(0.1) is None
    session.frames(frames(1), 0.2)
    assert same(session.step(0.2), expected(encoder))
