"""When takes begin and end."""

import struct

import pytest

from safe_o2o_ros.data.session import LastFrames, Session, Step

OPEN, NOTHING = Step(open=True), Step()


def ended(word, then=False):
    return Step(finish=word, open=then)


def test_without_events_a_take_lasts_from_start_to_stop():
    session = Session(follow=True)
    assert (session.start(), session.start()) == (OPEN, NOTHING)
    assert (session.stop(), session.stop()) == (ended("timeout"), NOTHING)
    assert session.start() == OPEN


def test_every_episode_of_the_graph_is_a_take_while_recording_is_on():
    session = Session(follow=True)
    assert session.event("start") == NOTHING
    assert session.start() == OPEN
    assert session.event("success") == ended("success")
    assert not session.running
    assert session.event("start") == OPEN
    assert session.event("start") == ended("abort", then=True)
    assert session.stop() == ended("timeout")
    assert session.event("failure") == session.event("start") == NOTHING


def test_recording_that_is_switched_on_between_episodes_begins_with_the_next():
    session = Session(follow=True)
    session.event("timeout")
    assert session.start() == NOTHING
    assert session.armed and not session.running
    assert session.event("start") == OPEN


def test_the_word_with_which_the_running_episode_began_does_not_cut_its_take():
    session = Session(follow=True)
    assert session.start() == OPEN
    assert session.event("start", old=True) == NOTHING and session.running
    assert session.event("start") == ended("abort", then=True)
    # An old end says that nothing runs: recording waits for the next episode.
    assert session.event("timeout", old=True) == ended("timeout")
    assert session.armed and session.event("start") == OPEN


def test_a_goal_ends_the_take_and_the_rest_of_the_episode_is_not_recorded():
    session = Session(follow=True)
    session.event("start")
    session.start()
    assert session.goal() == ended("success")
    assert session.event("timeout") == NOTHING
    assert session.event("start") == OPEN
    alone = Session(follow=True)
    alone.start()
    assert alone.goal() == ended("success") and not alone.armed
    assert alone.goal() == NOTHING


def test_discard_and_failure_switch_recording_off():
    session = Session(follow=True)
    session.start()
    assert session.discard() == Step(discard=True)
    assert (session.armed, session.running) == (False, False)
    session.start()
    session.failed()
    assert session.event("start") == NOTHING and session.stop() == NOTHING


@pytest.mark.parametrize("follow", [True, False])
def test_words_that_mean_nothing_or_are_not_followed_change_nothing(follow):
    session = Session(follow)
    session.start()
    assert session.event("halfway") == NOTHING
    assert (session.event("timeout") == NOTHING) is not follow
    assert session.running is not follow


def image(stamp_ns):
    return b"\0\1\0\0" + struct.pack("<iI", stamp_ns // 10**9, stamp_ns % 10**9)


def test_a_take_ends_not_before_the_last_frame_of_every_camera():
    now = 1_700_000_000 * 10**9
    last = LastFrames("success", {"/front", "/back"}, now)
    assert not last.wants("/odom", now + 1, image(now + 1))
    assert last.wants("/front", now + 5, image(now + 9)) and not last.complete
    assert not last.wants("/front", now + 6, image(now + 99))
    # A camera on another clock: receipt counts.
    assert last.wants("/back", now + 7, image(5 * 10**9)) and last.complete
    assert last.mark_ns == now + 9
