"""Which executed action belongs to which frame set, and how long a step waits for it."""

from __future__ import annotations

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import ENCODER, load_bundle
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.session import EncoderSession
from safe_o2o_ros.types import FrameSet

ZERO = np.zeros(2, np.float32)
LEFT, RIGHT = np.array([0.0, 1.0], np.float32), np.array([0.0, -1.0], np.float32)
IMAGE = np.full((64, 64, 6), 50, np.uint8)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> RecurrentEncoder:
    directory = tmp_path_factory.mktemp("session") / "bundle"
    write_tiny_bundle(directory)
    return RecurrentEncoder(load_bundle(directory, (ENCODER,)))


def expected(encoder: RecurrentEncoder, *actions: np.ndarray) -> np.ndarray:
    """The feature after a first step and one step per action."""
    state, latent = encoder.step(encoder.initial(), FrameSet(1, IMAGE), ZERO)
    for action in actions:
        state, latent = encoder.step(state, FrameSet(1, IMAGE), action)
    return latent.feature


def feature(session: EncoderSession, now_s: float) -> np.ndarray:
    latent = session.step(now_s)
    assert latent is not None
    return latent.feature


def test_a_first_frame_waits_for_nothing(encoder: RecurrentEncoder) -> None:
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    assert session.step(0.0) is None and session.waiting_s(0.0) is None
    session.frames(FrameSet(100, IMAGE), 0.0)
    assert np.array_equal(feature(session, 0.0), expected(encoder))
    assert session.step(0.0) is None  # used up


def test_lockstep_waits_for_the_command_of_the_previous_frame_and_takes_the_first(
    encoder: RecurrentEncoder,
) -> None:
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    session.frames(FrameSet(100, IMAGE), 0.0)
    session.step(0.0)
    session.frames(FrameSet(200, IMAGE), 1.0)
    session.executed(50, RIGHT)  # of another frame
    assert session.step(1e9) is None and session.waiting_s(1e9) is None
    session.executed(100, LEFT)
    session.executed(100, RIGHT)  # the simulator has already stepped on the first
    assert np.array_equal(feature(session, 1.0), expected(encoder, LEFT))
    assert session.faults == 0


def test_real_time_takes_the_last_command_in_force(encoder: RecurrentEncoder) -> None:
    session = EncoderSession(encoder, ZERO, lockstep=False, wait_s=0.04)
    session.frames(FrameSet(100, IMAGE), 0.0)
    session.step(0.0)
    session.executed(100, LEFT)
    session.executed(100, RIGHT)
    session.frames(FrameSet(200, IMAGE), 0.08)
    assert np.array_equal(feature(session, 0.08), expected(encoder, RIGHT))


def test_real_time_waits_so_long_and_then_counts_a_fault(encoder: RecurrentEncoder) -> None:
    session = EncoderSession(encoder, ZERO, lockstep=False, wait_s=0.0625)
    session.frames(FrameSet(100, IMAGE), 0.0)
    session.step(0.0)
    session.frames(FrameSet(200, IMAGE), 1.0)
    assert session.step(1.03125) is None and session.waiting_s(1.03125) == 0.03125
    assert np.array_equal(feature(session, 1.0625), expected(encoder, ZERO))
    assert session.faults == 1


def test_a_restart_forgets_the_episode(encoder: RecurrentEncoder) -> None:
    session = EncoderSession(encoder, ZERO, lockstep=True, wait_s=0.04)
    session.frames(FrameSet(100, IMAGE), 0.0)
    session.step(0.0)
    session.executed(100, LEFT)
    session.frames(FrameSet(200, IMAGE), 1.0)
    session.restart()
    assert session.step(2.0) is None
    session.frames(FrameSet(300, IMAGE), 2.0)
    assert np.array_equal(feature(session, 2.0), expected(encoder))
