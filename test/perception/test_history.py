"""From the last steps another encoder reaches the state it would have had."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import ENCODER, load_bundle
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.history import Follower, History
from safe_o2o_ros.perception.session import EncoderSession
from safe_o2o_ros.types import FrameSet


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    made = []
    for seed in (1, 2):
        write_tiny_bundle(folder / str(seed), seed=seed, version=f"tiny-{seed}")
        made.append(RecurrentEncoder(load_bundle(folder / str(seed), (ENCODER,))))
    return made


def frames(number):
    rng = np.random.default_rng(number)
    return FrameSet(number, rng.integers(0, 256, (64, 64, 6), np.uint8))


def action(number):
    return np.random.default_rng(1000 + number).uniform(-1.0, 1.0, 2).astype(np.float32)


def session(encoder, history):
    return EncoderSession(encoder, encoder.bundle.manifest.adapter.zero(), False, 0.0, history)


def drive(session, number):
    session.executed(number - 1, action(number))
    session.frames(frames(number), 0.0)
    return session.step(0.0)


@given(st.lists(st.sampled_from(["step", "restart", "follow", "look"]), max_size=30), st.integers(1, 3))
def test_a_follower_has_the_state_of_an_encoder_that_was_there_all_along(encoders, events, most):
    """With every step of the episode kept, whenever it follows and however many steps at once."""
    history = History(100)
    first, always = session(encoders[0], history), session(encoders[1], None)
    follower, number = Follower(encoders[1]), 0
    for event in [*events, "look"]:
        if event == "step":
            number += 1
            drive(first, number)
            drive(always, number)
        elif event == "restart":
            first.restart()
            always.restart()
        elif event == "follow":
            follower.follow(history, most)
        else:
            while not follower.follow(history, most):
                pass
            first.change(follower.encoder, follower.state)
            assert np.array_equal(first.state.recurrent, always.state.recurrent)
            assert first.state.is_first == always.state.is_first
            first.change(encoders[0], first.state)  # back, so that history goes on being written


def test_only_the_newest_steps_are_kept_and_a_gap_starts_anew(encoders):
    history = History(3)
    running, follower = session(encoders[0], history), Follower(encoders[1])
    drive(running, 1)
    assert follower.follow(history, 5)
    for number in range(2, 8):
        drive(running, number)
    assert [s.number for s in history.after(-1)] == [4, 5, 6]
    assert not follower.follow(history, 2)
    assert follower.follow(history, 2)
    expected = encoders[1].initial()
    for number in (5, 6, 7):
        expected, _ = encoders[1].step(expected, frames(number), action(number))
    assert np.array_equal(follower.state.recurrent, expected.recurrent)


def test_a_warm_up_leaves_no_trace(encoders):
    history = History(3)
    drive(session(encoders[0], history), 1)
    warm, cold = Follower(encoders[1]), Follower(encoders[1])
    warm.warm_up()
    warm.follow(history, 5)
    cold.follow(history, 5)
    assert np.array_equal(warm.state.recurrent, cold.state.recurrent)
