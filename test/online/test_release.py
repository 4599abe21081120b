"""The desk: what happens to candidates, in which order, whatever comes in between."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_o2o_ros.errors import OfferError
from safe_o2o_ros.online.offer import Ack, Active, Named
from safe_o2o_ros.online.release import (
    CancelGate,
    Candidate,
    Gate,
    Publish,
    ReleaseDesk,
    Said,
    Unwatch,
    Watch,
    candidate_from_json,
)
from safe_o2o_ros.online.verdict import Refusal, Verdict

A = Named("a", "/a", "a" * 64)
TIMEOUT_S = 30.0


def candidate(name, **more):
    return Candidate(name, f"/{name}", name[0] * 64, **more)


@dataclass
class Robot:
    """A desk, and nodes that do what they are told."""

    desk: ReleaseDesk
    running: Named = A
    previous: Named | None = None
    now_s: float = 0.0
    said: list = field(default_factory=list)
    gates: list = field(default_factory=list)
    offers: list = field(default_factory=list)
    watching: bool = False

    def do(self):
        for effect in self.desk.take():
            if isinstance(effect, Said):
                self.said.append(effect)
            elif isinstance(effect, Gate):
                self.gates.append(effect.candidate)
            elif isinstance(effect, CancelGate):
                self.gates.pop()
            elif isinstance(effect, Publish):
                self.offers.append(effect.offer)
            elif isinstance(effect, (Watch, Unwatch)):
                assert self.watching is isinstance(effect, Unwatch)
                self.watching = isinstance(effect, Watch)

    def announce(self):
        named = self.running
        self.desk.active(Active(named.version, named.path, named.sha256, None, self.previous))
        self.do()

    def follow(self):
        """The nodes change to the newest offer."""
        offer = self.offers[-1]
        named = Named(offer.version, offer.path, offer.sha256)
        if named != self.running:
            self.previous, self.running = self.running, named
        self.announce()

    def bring(self, name, **more):
        self.desk.candidate(candidate(name, **more))
        self.do()

    def judge(self, passed=True, refusal=None):
        name = self.gates[-1].version
        offered = Named(f"{name}+", f"/{name}+", name[0] * 64)
        self.desk.gated(Verdict(offered.version, passed, refusal, "because"), offered if passed else None)
        self.do()

    def events(self):
        return [(s.event, s.candidate, s.passed) for s in self.said]


@pytest.fixture
def robot():
    robot = Robot(ReleaseDesk(TIMEOUT_S, canary=True))
    robot.announce()
    return robot


def test_a_candidate_that_passes_is_offered_driven_watched_and_kept(robot):
    robot.bring("b", id="mine")
    robot.judge()
    assert (robot.offers[-1].version, robot.offers[-1].parent) == ("b+", "a")
    assert not robot.watching
    robot.follow()
    assert robot.watching
    robot.desk.judged(True, "fine", {"costs": 1.0}, "")
    robot.do()
    assert robot.events() == [("gate", "b", True), ("live", "b", True), ("kept", "b", True)]
    assert {s.version for s in robot.said} == {"b+"} and {s.id for s in robot.said} == {"mine"}


def test_a_refused_candidate_is_offered_to_nobody(robot):
    robot.bring("b")
    robot.judge(False, Refusal.PERMISSIVE)
    assert robot.offers == []
    assert (robot.said[-1].refusal, robot.said[-1].passed) == ("permissive", False)
    robot.bring("b")  # a latched topic says it again
    assert len(robot.gates) == 1
    robot.bring("b", by_hand=True)
    assert len(robot.gates) == 2


def test_of_those_that_wait_the_newest_wins_and_the_others_are_named(robot):
    for name in ("b", "c", "d"):
        robot.bring(name)
    assert [g.version for g in robot.gates] == ["b"]
    assert robot.said[-1].event == "superseded" and robot.said[-1].candidate == "c"
    robot.judge(False)
    assert [g.version for g in robot.gates] == ["b", "d"]


def test_nothing_is_judged_before_it_is_known_what_runs():
    robot = Robot(ReleaseDesk(TIMEOUT_S, canary=True))
    robot.bring("b")
    assert robot.gates == []
    assert "no bundle is known" in robot.desk.roll_back("x")
    robot.announce()
    assert [g.version for g in robot.gates] == ["b"]


def test_the_word_of_the_encoder_or_its_silence_ends_an_offer(robot):
    robot.bring("b")
    robot.judge()
    other = Ack("policy_node", "b+", False, "no", robot.offers[-1].id)
    robot.desk.heard(other)
    robot.desk.heard(Ack("encoder_node", "b+", False, "old", "another id"))
    robot.do()
    assert robot.said[-1].event == "gate"
    robot.desk.heard(Ack("encoder_node", "b+", False, "policy_node: no", robot.offers[-1].id))
    robot.do()
    assert robot.said[-1].event == "offer" and "policy_node: no" in robot.said[-1].sentence
    robot.bring("c")
    robot.judge()
    robot.desk.tick(TIMEOUT_S + 1.0)
    robot.do()
    assert "said nothing within 30 s" in robot.said[-1].sentence
    assert robot.desk.busy == "idle"


def test_what_the_canary_does_not_like_is_rolled_back_with_its_evidence_and_not_taken_again(robot):
    robot.bring("b")
    robot.judge()
    robot.follow()
    robot.desk.judged(False, "3 interventions", {"interventions": 3.0}, "/evidence/b.json")
    robot.do()
    assert not robot.watching
    offer = robot.offers[-1]
    assert (offer.version, offer.rollback, offer.parent) == ("a", True, "b+")
    robot.follow()
    said = robot.said[-1]
    assert (said.event, said.passed, said.version, said.evidence) == (
        "rollback",
        False,
        "b+",
        "/evidence/b.json",
    )
    assert "3 interventions" in said.sentence and said.measures == {"interventions": 3.0}
    for name in ("b", "b+"):
        robot.bring(name)
        assert robot.said[-1].event == "known"
    assert "was rolled back itself" in robot.desk.roll_back("again")
    # The memory outlives the process.
    again = Robot(ReleaseDesk(TIMEOUT_S, True, [s.__dict__ for s in robot.said]))
    again.announce()
    again.bring("b")
    assert again.said[-1].event == "known" and again.gates == []
    again.bring("b", by_hand=True)
    assert len(again.gates) == 1


def test_a_roll_back_by_hand_while_another_is_judged_judges_that_one_anew(robot):
    robot.bring("b")
    robot.judge()
    robot.follow()
    robot.desk.judged(True, "fine", {}, "")
    robot.do()
    robot.bring("c")
    assert robot.desk.roll_back("by hand") == ""
    robot.do()
    assert [g.version for g in robot.gates] == ["b"]
    robot.judge()  # the verdict of a gate that was cancelled comes to nothing
    robot.follow()
    assert [g.version for g in robot.gates] == ["b", "c"]
    assert robot.running.version == "a"


def test_a_roll_back_before_the_change_withdraws_the_offer(robot):
    robot.bring("b")
    robot.judge()
    assert robot.desk.roll_back("by hand") == ""
    robot.do()
    assert robot.desk.roll_back("by hand") == "it is being rolled back already"
    robot.follow()
    assert robot.running == A and robot.said[-1].event == "rollback" and robot.said[-1].version == "b+"


def test_a_roll_back_that_nobody_follows_is_tried_three_times_and_then_told(robot):
    robot.bring("b")
    robot.judge()
    robot.follow()
    assert robot.desk.roll_back("by hand") == ""
    robot.do()
    count, now_s = len(robot.offers), 0.0
    while robot.desk.busy != "idle":
        now_s += TIMEOUT_S + 1.0
        robot.desk.tick(now_s)
        robot.do()
    assert len(robot.offers) == count + 2
    assert len({o.id for o in robot.offers}) == len(robot.offers)
    assert robot.said[-1].sentence.startswith("FAILED: b+ still runs")


def test_without_a_canary_a_bundle_is_kept_by_driving():
    robot = Robot(ReleaseDesk(TIMEOUT_S, canary=False))
    robot.announce()
    robot.bring("b")
    robot.judge()
    robot.follow()
    assert not robot.watching and robot.desk.busy == "idle"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "v", "path": "/p", "sha256": "x"}'])
def test_a_candidate_that_cannot_be_understood_is_an_error(text):
    with pytest.raises(OfferError):
        candidate_from_json(text)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("bring"), st.sampled_from("bcd"), st.booleans()),
        st.tuples(st.just("judge"), st.booleans()),
        st.tuples(st.just("follow")),
        st.tuples(st.just("refuse")),
        st.tuples(st.just("canary"), st.booleans()),
        st.tuples(st.just("back")),
        st.tuples(st.just("wait")),
        st.tuples(st.just("announce")),
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(moves)
def test_whatever_happens_only_what_passed_or_ran_is_offered_and_nothing_waits_for_ever(moves):
    robot = Robot(ReleaseDesk(TIMEOUT_S, canary=True))
    robot.announce()
    passed, ran, rolled_back, now_s = set(), {"a"}, set(), 0.0
    for what, *rest in moves:
        before = len(robot.offers)
        if what == "bring":
            robot.bring(rest[0], by_hand=rest[1])
        elif what == "judge" and robot.desk.busy == "gate":
            if rest[0]:
                passed.add(f"{robot.gates[-1].version}+")
            robot.judge(rest[0])
        elif what == "follow" and robot.offers:
            robot.follow()
            ran.add(robot.running.version)
        elif what == "refuse" and robot.offers:
            robot.desk.heard(Ack("encoder_node", "", False, "no", robot.offers[-1].id))
        elif what == "canary" and robot.watching:
            robot.desk.judged(rest[0], "because", {}, "")
        elif what == "back":
            robot.desk.roll_back("by hand")
        elif what == "wait":
            now_s += 2 * TIMEOUT_S
            robot.desk.tick(now_s)
        elif what == "announce":
            robot.announce()
        robot.do()
        for offer in robot.offers[before:]:
            assert offer.version in (ran if offer.rollback else passed)
            assert not offer.rollback or offer.version not in rolled_back
        rolled_back |= {s.version for s in robot.said if s.event == "rollback"}
        assert robot.watching == (robot.desk.busy == "canary")
    for _ in range(8):
        now_s += 2 * TIMEOUT_S
        robot.desk.tick(now_s)
        robot.do()
        if robot.watching:
            robot.desk.judged(True, "fine", {}, "")
            robot.do()
    assert robot.desk.busy in ("idle", "gate")
