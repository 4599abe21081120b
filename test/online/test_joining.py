"""What the graph says becomes transitions: the right ones, and none is lost without a name."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.driving import MS, PERIOD_NS, Drive, action, decision, frame_set

from safe_o2o_ros.online.joining import DROPS, ENDINGS, START
from safe_o2o_ros.online.pieces import Driver
from safe_o2o_ros.types import Proposal, Reason, Source


def joined(pieces, name):
    return np.concatenate([getattr(p, name) for p in pieces])


def column(pieces, name):
    return np.concatenate([p.extras[name] for p in pieces])


def test_a_drive_is_recorded_period_by_period_in_pieces_that_share_a_frame():
    drive = Drive(steps=5)
    for _ in range(13):
        drive.period(cost=2.0)
    drive.event("timeout")
    drive.frame()
    drive.close()
    pieces = drive.pieces
    assert [len(p) for p in pieces] == [5, 5, 3]
    assert np.array_equal(joined(pieces, "actions"), np.stack([action(k) for k in range(13)]))
    assert joined(pieces, "rewards").tolist() == list(range(13))
    assert joined(pieces, "costs").tolist() == [2.0] * 13
    assert [p.metadata["first"] for p in pieces] == [0, 5, 10]
    assert [p.metadata["piece"] for p in pieces] == [0, 1, 2]
    assert {p.metadata["episode"] for p in pieces} == {"e0"}
    assert [(p.terminated, p.truncated, p.metadata["end"]) for p in pieces] == [
        (False, False, ""), (False, False, ""), (False, True, "timeout"),
    ]  # fmt: skip
    for a, b in pairwise(pieces):
        for camera in ("front", "back"):
            assert np.array_equal(a.images[camera][-1], b.images[camera][0])
    assert [int(f[0, 0, 0]) for f in pieces[1].images["front"]] == [5, 6, 7, 8, 9, 10]
    assert [int(f[0, 0, 0]) for f in pieces[1].images["back"]] == [6, 7, 8, 9, 10, 11]
    assert column(pieces, "policy").tolist() == [Driver.POLICY] * 13
    assert np.array_equal(column(pieces, "nominal"), joined(pieces, "actions") + np.float32(0.001))
    assert (column(pieces, "safety_value") == 0.75).all()
    first = pieces[0].metadata
    assert (first["bundle"], first["task"], first["period_s"]) == ("v1", "PointGoal1", 0.08)
    assert first["adapter"]["name"] == "point"
    assert drive.dropped() == {}
    drive.check_account()


def test_the_order_in_which_an_executor_hands_messages_over_does_not_matter():
    drive = Drive()
    drive.period()
    drive.frame()
    # The next period's reward, and the end of the episode, are handed over before this period's frame.
    drive.answer()
    drive.joiner.reward(7.0, drive.at(79))
    drive.k += 1
    drive.joiner.reward(100.0, drive.at(79))
    drive.joiner.episode("success", drive.at(79.5))
    drive.frame()
    drive.answer()
    drive.k += 1
    drive.frame()
    drive.close()
    (piece,) = drive.pieces
    assert piece.rewards.tolist() == [0.0, 7.0, 100.0]
    assert (piece.terminated, piece.truncated) == (True, False)


@pytest.mark.parametrize(("event", "terminated"), [(e, e in ("success", "failure")) for e in ENDINGS])
def test_only_the_rules_of_the_task_terminate_an_episode(event, terminated):
    drive = Drive()
    drive.period()
    drive.event(event)
    drive.frame()
    drive.close()
    (piece,) = drive.pieces
    assert (piece.terminated, piece.truncated) == (terminated, not terminated)
    assert piece.metadata["end"] == event


def test_between_two_episodes_nothing_is_recorded_and_the_next_one_is_another():
    drive = Drive()
    drive.period()
    drive.event("timeout")
    drive.period()  # the frame that the last action led to, and what nobody drives
    drive.period()
    drive.event("start")
    drive.period()
    drive.period()
    drive.close()
    assert [(p.metadata["episode"], p.rewards.tolist()) for p in drive.pieces] == [
        ("e0", [0.0]),
        ("e1", [3.0]),
    ]
    assert drive.dropped() == {"between_episodes": 2}
    drive.check_account()


def test_an_end_without_the_frame_it_led_to_is_named():
    drive = Drive()
    drive.period()
    drive.period()
    drive.event("success", 70)
    drive.event("start", 75)
    drive.frame()
    drive.close()
    (piece,) = drive.pieces
    assert (piece.rewards.tolist(), piece.terminated, piece.truncated) == ([0.0], False, True)
    assert piece.metadata["end"] == "no_last_frame"
    assert drive.dropped() == {"no_last_frame": 1}


@pytest.mark.parametrize("operator_cost", [0.0, 1.0])
def test_only_an_operators_taking_over_may_cost_and_only_if_asked(operator_cost):
    drive = Drive(steps=10, operator_cost=operator_cost)
    drive.period()
    drive.period(changed=True, reason=Reason.SUBSTITUTE)
    drive.period(source=Source.OPERATOR, reason=Reason.OPERATOR)
    drive.period(source=Source.OPERATOR, reason=Reason.OPERATOR)
    drive.period()
    drive.close()
    (piece,) = drive.pieces
    assert piece.extras["override"].tolist() == [0, 1, 0, 0]
    assert piece.extras["intervention"].tolist() == [0, 0, 1, 1]
    assert piece.costs.tolist() == [0.0, 0.0, operator_cost, 0.0]


def test_cost_and_bumper_count_once():
    drive = Drive(steps=10)
    for cost, pressed in ((0.0, True), (3.0, True), (0.5, False)):
        drive.frame()
        drive.answer()
        drive.joiner.bumper(pressed, drive.at(50))
        drive.outcome(cost=cost)
        drive.k += 1
    drive.frame()
    drive.close()
    assert drive.pieces[0].costs.tolist() == [1.0, 3.0, 0.5]


def test_in_real_time_the_last_command_in_force_counts_whatever_image_it_answers():
    drive = Drive(steps=10)
    drive.period()
    drive.frame()
    drive.answer()
    braking = np.array([-1.0, 0.0], np.float32)
    drive.joiner.executed(PERIOD_NS, braking, drive.at(60))  # a deadline: the stamp of the image before
    # The answer to the next image, which is seen here later than where it was answered.
    drive.joiner.executed(3 * PERIOD_NS, action(9), drive.at(79))
    drive.outcome()
    drive.k += 1
    drive.frame()
    drive.outcome()
    drive.k += 1
    drive.frame()
    drive.close()
    assert np.array_equal(drive.pieces[0].actions, np.stack([action(0), braking, action(9)]))
    assert drive.joiner.notes["command_of_another_frame"] == 1


def test_in_lockstep_the_first_command_for_a_frame_counts_and_none_is_stale():
    drive = Drive(steps=10, lockstep=True)
    drive.frame()
    drive.answer()
    drive.joiner.executed(PERIOD_NS, np.array([-1.0, 0.0], np.float32), drive.at(60))
    drive.k = 100
    drive.joiner.frames(frame_set(1, 2 * PERIOD_NS), drive.at())
    drive.close()
    assert np.array_equal(drive.pieces[0].actions, [action(0)])


def silent(drive):
    drive.frame()
    drive.outcome()


def not_finite(drive):
    drive.frame()
    drive.joiner.executed((drive.k + 1) * PERIOD_NS, np.array([math.nan, 0.0], np.float32), drive.at(12))
    drive.outcome()


def nan_reward(drive):
    drive.frame()
    drive.answer()
    drive.outcome(reward=math.nan)


def negative_cost(drive):
    drive.frame()
    drive.answer()
    drive.outcome(cost=-1.0)


def huge_reward(drive):
    drive.frame()
    drive.answer()
    drive.outcome(reward=1e300)


def e_stop(drive):
    drive.frame()
    drive.answer(reason=Reason.E_STOP, source=Source.NONE)
    drive.outcome()


def disabled(drive):
    drive.frame()
    drive.answer(reason=Reason.DISABLED, source=Source.NONE)
    drive.outcome()


def quiet(drive):
    drive.frame()
    drive.answer()


BAD = {
    "stale_command": (silent, {"command_timeout_s": 0.075}),
    "bad_command": (not_finite, {}),
    "bad_reward": (nan_reward, {}),
    "bad_cost": (negative_cost, {}),
    "e_stop": (e_stop, {}),
    "disabled": (disabled, {}),
    "no_reward": (quiet, {"require_reward": True}),
    "no_cost": (quiet, {"require_cost": True}),
}


@pytest.mark.parametrize("cause", BAD)
def test_a_bad_period_is_dropped_by_name_and_ends_the_episode_as_cut_short(cause):
    bad, config = BAD[cause]
    drive = Drive(**config)
    drive.period()
    drive.period()
    bad(drive)
    drive.k += 1
    drive.period()
    drive.period()
    drive.frame()
    drive.close()
    assert drive.dropped() == {cause: 1}
    assert [(p.metadata["episode"], p.truncated, p.metadata["end"]) for p in drive.pieces] == [
        ("e0", True, cause),
        ("e1", True, "shutdown"),
    ]
    assert [p.rewards.tolist() for p in drive.pieces] == [[0.0, 1.0], [3.0, 4.0]]
    drive.check_account()


def test_a_reward_beyond_float32_is_bad():
    drive = Drive()
    huge_reward(drive)
    drive.k += 1
    drive.frame()
    drive.close()
    assert drive.dropped() == {"bad_reward": 1}


def test_before_the_first_command_nothing_is_recorded():
    drive = Drive()
    silent(drive)
    drive.k += 1
    drive.period()
    drive.frame()
    drive.close()
    assert drive.dropped() == {"no_command": 1}


def test_nothing_is_recorded_while_publishers_may_not_have_been_found():
    drive = Drive(steps=10, warm_up_s=0.2)  # two and a half periods
    for _ in range(5):
        drive.period(cost=1.0)
    drive.frame()
    drive.close()
    assert drive.dropped() == {"starting": 3}
    (piece,) = drive.pieces
    assert piece.rewards.tolist() == [3.0, 4.0] and piece.costs.tolist() == [1.0, 1.0]
    drive.check_account()


def test_in_lockstep_the_simulator_waits_and_the_first_period_is_recorded():
    drive = Drive(steps=10, warm_up_s=0.2, lockstep=True)
    drive.period()
    drive.frame()
    drive.close()
    assert drive.dropped() == {} and len(drive.pieces[0]) == 1


def test_missing_frames_are_noted_and_a_long_gap_ends_the_episode():
    drive = Drive(steps=10, long_gap_s=0.5)
    drive.period()
    drive.period()
    drive.k += 2  # two frames are missing, a command is in force
    drive.joiner.executed(2 * PERIOD_NS, action(1), drive.at(-40))
    drive.period()
    drive.k += 20
    drive.period()
    drive.period()
    drive.close()
    assert [p.metadata["gaps"] for p in drive.pieces] == [[[1, 3]], []]
    assert drive.pieces[0].metadata["end"] == "gap"
    assert drive.dropped() == {"gap": 1}
    assert drive.joiner.notes["frames_missing"] == 2


def test_silence_ends_the_episode_without_waiting_for_the_next_frame():
    drive = Drive(steps=10)
    drive.period()
    drive.period()
    drive.frame()
    drive.joiner.silence(drive.at(400))
    assert not drive.joiner.take()
    drive.joiner.silence(drive.at(600))
    (piece,) = drive.joiner.take()
    assert (len(piece), piece.truncated, piece.metadata["end"]) == (2, True, "gap")


def test_a_clock_that_jumps_back_ends_the_episode_and_driving_is_recorded_on():
    drive = Drive(steps=10)
    drive.period()
    drive.period()
    drive.frame(stamp_ns=5)
    drive.joiner.executed(5, action(3), drive.at(12))
    drive.outcome()
    drive.k += 1
    drive.frame(stamp_ns=5 + PERIOD_NS)
    drive.close()
    assert drive.dropped() == {"clock_jump": 1}
    assert [len(p) for p in drive.pieces] == [1, 1]
    assert np.array_equal(drive.pieces[1].actions, [action(3)])


def test_an_outcome_that_comes_late_by_a_known_time_is_joined_to_its_period():
    drive = Drive(steps=10, outcome_delay_s=0.05)
    drive.frame()
    drive.answer()
    drive.k += 1
    drive.frame()
    drive.answer()
    drive.joiner.reward(5.0, drive.at(30))
    drive.joiner.reward(6.0, drive.at(70))
    drive.k += 1
    drive.frame()
    drive.close()
    assert drive.pieces[0].rewards.tolist() == [5.0, 6.0]


def test_a_bundle_that_takes_over_starts_a_piece_and_the_episode_goes_on():
    drive = Drive(steps=10)
    drive.period()
    drive.period()
    drive.period(version="v2")
    drive.period(version="v2")
    drive.frame()
    drive.close()
    assert [(p.metadata["bundle"], len(p), p.metadata["first"]) for p in drive.pieces] == [
        ("v1", 2, 0),
        ("v2", 2, 2),
    ]
    assert len({p.metadata["episode"] for p in drive.pieces}) == 1


def test_the_policy_that_proposed_is_recorded_where_it_is_told():
    drive = Drive(steps=10)
    for source in ("offline", "online", "unknown"):
        drive.frame()
        drive.answer()
        drive.joiner.nominal(Proposal((drive.k + 1) * PERIOD_NS, action(1), source), drive.at(11))
        drive.k += 1
    drive.frame()
    drive.close()
    assert drive.pieces[0].extras["policy"].tolist() == [Driver.OFFLINE, Driver.ONLINE, Driver.POLICY]


def test_without_a_proposal_the_nominal_command_is_not_a_number():
    drive = Drive(steps=10)
    drive.frame()
    drive.joiner.executed(PERIOD_NS, action(0), drive.at(12))
    drive.k += 1
    drive.frame()
    drive.close()
    (piece,) = drive.pieces
    assert np.isnan(piece.extras["nominal"]).all() and np.isnan(piece.extras["safety_value"]).all()


# Whatever comes in, in any order, with any stamp and time: nothing is lost without a name.
times = st.integers(0, 40 * 80).map(lambda ms: ms * MS)
stamps = st.one_of(
    st.integers(-2, 40).map(lambda k: k * PERIOD_NS), st.sampled_from([0, -(2**62), 2**62, 3600 * 10**9])
)
numbers = st.one_of(st.floats(-2, 2), st.sampled_from([math.nan, math.inf, -math.inf, 1e300]))
commands = st.lists(st.floats(width=32), min_size=2, max_size=2).map(lambda v: np.array(v, np.float32))
reasons = st.sampled_from([Reason.PASS, Reason.SUBSTITUTE, Reason.E_STOP, Reason.DISABLED, Reason.OPERATOR])
messages = st.one_of(
    st.tuples(st.just("frames"), stamps, times),
    st.tuples(st.just("frames"), st.just(None), st.just(None)),  # the next one, in time
    st.tuples(st.just("frames"), st.just(None), st.just(None)),
    st.tuples(st.just("executed"), stamps, times, commands),
    st.tuples(st.just("answer"), reasons, st.sampled_from(list(Source)), st.sampled_from(["v1", "v2", ""])),
    st.tuples(st.just("nominal"), stamps, times, commands),
    st.tuples(st.just("reward"), times, numbers),
    st.tuples(st.just("cost"), times, numbers),
    st.tuples(st.just("bumper"), times, st.booleans()),
    st.tuples(st.just("episode"), times, st.sampled_from([START, *ENDINGS, "nonsense"])),
    st.tuples(st.just("silence"), times),
)


def tell(drive, message):
    kind, *rest = message
    joiner = drive.joiner
    if kind == "frames":
        stamp_ns, at_ns = rest
        if stamp_ns is None:
            drive.k += 1
            stamp_ns, at_ns = (drive.k + 1) * PERIOD_NS, drive.at()
        joiner.frames(frame_set(drive.k, stamp_ns), at_ns)
    elif kind == "answer":
        reason, source, version = rest
        drive.answer(reason=reason, source=source, version=version, changed=reason is Reason.SUBSTITUTE)
        drive.outcome()
    elif kind == "executed":
        joiner.executed(rest[0], rest[2], rest[1])
        joiner.state(decision(rest[0], rest[2]), rest[1])
    elif kind == "nominal":
        joiner.nominal(Proposal(rest[0], rest[2], "online"), rest[1])
    elif kind == "silence":
        joiner.silence(rest[0])
    elif kind == "episode":
        joiner.episode(rest[1], rest[0])
    else:
        getattr(joiner, kind)(rest[1], rest[0])


@settings(max_examples=400)
@given(
    st.lists(messages, max_size=60),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
)
def test_transitions_in_are_transitions_recorded_and_transitions_dropped_by_name(
    stream, lockstep, require, steps
):
    drive = Drive(steps=steps, lockstep=lockstep, require_reward=require, operator_cost=1.0)
    frames = 0
    for message in stream:
        tell(drive, message)
        frames += message[0] == "frames"
        drive.pieces += drive.joiner.take()
        drive.check_account()
    drive.close()
    drive.check_account()
    joiner = drive.joiner
    assert (joiner.offered, joiner.pending) == (max(0, frames - 1), 0)
    assert set(joiner.drops) == set(DROPS)
    episodes = {}
    for piece in drive.pieces:  # the pieces themselves were checked when they were made
        episodes.setdefault(piece.metadata["episode"], []).append(piece)
    for pieces in episodes.values():
        assert [p.metadata["piece"] for p in pieces] == list(range(len(pieces)))
        for a, b in pairwise(pieces):
            assert b.metadata["first"] == a.metadata["first"] + len(a)
            assert np.array_equal(a.images["front"][-1], b.images["front"][0])
            assert not (a.terminated or a.truncated)
        assert pieces[-1].terminated != pieces[-1].truncated
        stamps_ns = np.concatenate([p.extras["stamp_ns"] for p in pieces])
        assert (np.diff(stamps_ns) >= 0).all()


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1, 1)), min_size=1, max_size=40))
def test_lost_frames_lose_no_reward_and_no_cost(periods):
    drive = Drive(steps=4, long_gap_s=100.0, command_timeout_s=100.0)
    drive.period()
    for seen, costs, reward in periods:
        if seen:
            drive.frame()
        drive.answer()
        drive.outcome(reward=reward, cost=float(costs))
        drive.k += 1
    drive.frame()
    drive.close()
    assert math.isclose(
        float(joined(drive.pieces, "rewards").sum()), sum(r for _, _, r in periods), abs_tol=1e-4
    )
    assert joined(drive.pieces, "costs").sum() == sum(c for _, c, _ in periods)
    assert drive.joiner.notes["frames_missing"] == sum(not seen for seen, _, _ in periods)
    assert drive.dropped() == {}


def test_in_lockstep_what_is_late_is_waited_for_and_a_lost_command_is_read_from_the_state():
    drive = Drive(steps=2, lockstep=True, require_reward=True)
    for k in range(4):
        drive.frame()
        if k != 1:
            drive.answer()
        drive.outcome(reward=None if k != 2 else 9.0)
        drive.k += 1
    drive.frame()
    assert [p.rewards.tolist() for p in drive.pieces] == []
    drive.joiner.state(decision(2 * PERIOD_NS, action(1), nominal=action(7)), drive.at(500))
    drive.k += 1
    drive.frame()
    drive.close()
    assert [p.rewards.tolist() for p in drive.pieces] == [[0.0, 1.0], [9.0, 3.0]]
    assert np.array_equal(joined(drive.pieces, "actions"), np.stack([action(k) for k in range(4)]))
    assert np.array_equal(column(drive.pieces, "nominal")[1], action(7))
    assert drive.dropped() == {"no_command": 1}
    drive.check_account()
