"""Who is silent, by an injected clock."""

from __future__ import annotations

from safe_o2o_ros.monitor.health import GraphHealth, Report, Reports
from safe_o2o_ros.types import Level

CHAIN = ("camera_info", "latent", "cmd_vel_nominal")
OWNERS = {"camera_info": "camera_node", "latent": "encoder_node", "cmd_vel_nominal": "policy_node"}


def running(until: dict[str, float], rates: dict[str, float] | None = None) -> GraphHealth:
    """Topics that were sent at 10 Hz (or their rate) from 0 s until the time given for each."""
    health = GraphHealth(1.0)
    for topic, end_s in until.items():
        rate = (rates or {}).get(topic, 10.0)
        health.publishers(topic, [OWNERS[topic]])
        for i in range(int(end_s * rate) + 1):
            health.note(topic, i / rate)
    return health


def test_live_topics_are_well_and_their_ages_and_rates_are_given() -> None:
    verdict = running(dict.fromkeys(CHAIN, 5.0)).judge(5.2, CHAIN)
    assert (verdict.level, verdict.silent) == (Level.OK, "")
    assert verdict.values["age_latent_s"] == "0.20"
    assert verdict.values["rate_latent_hz"] == "10.0"
    assert verdict.values["publisher_latent"] == "encoder_node"


def test_the_first_silent_topic_in_the_flow_names_the_cause_not_those_that_starve() -> None:
    health = running({"camera_info": 5.0, "latent": 2.0, "cmd_vel_nominal": 2.0})
    verdict = health.judge(5.0, CHAIN)
    assert (verdict.level, verdict.silent) == (Level.ERROR, "latent")
    assert verdict.message == "encoder_node is silent: latent is 3.0 s old; also silent: cmd_vel_nominal"


def test_a_publisher_that_left_is_called_gone_and_still_named() -> None:
    health = running({"camera_info": 2.0, "latent": 2.0, "cmd_vel_nominal": 2.0})
    health.publishers("camera_info", [])
    verdict = health.judge(5.0, CHAIN)
    assert verdict.message.startswith("camera_node is gone: camera_info is 3.0 s old")


def test_a_publisher_that_never_sent_is_named() -> None:
    health = running({"camera_info": 5.0})
    health.publishers("latent", ["encoder_node"])
    assert health.judge(5.0, CHAIN[:2]).message == "encoder_node has not sent latent yet"


def test_a_topic_without_any_publisher_is_named() -> None:
    assert running({"camera_info": 5.0}).judge(5.0, CHAIN[:2]).message == "nobody publishes latent"


def test_a_node_that_answers_less_than_it_is_asked_is_slow() -> None:
    health = running(dict.fromkeys(CHAIN, 5.0), {"cmd_vel_nominal": 4.0})
    verdict = health.judge(5.0, CHAIN, (("latent", "cmd_vel_nominal"),))
    assert verdict.level == Level.WARN
    assert verdict.message == "policy_node answers 40% of latent (4.0 Hz)"


def test_the_worst_report_of_the_others_is_passed_on_and_old_ones_are_forgotten() -> None:
    reports = Reports(keep_s=10.0)
    reports.note(Report("encoder_node", 1, "half the frames", 0.0))
    reports.note(Report("camera_node", 2, "no device", 5.0))
    reports.note(Report("sim_node", 0, "", 5.0))
    verdict = reports.judge(6.0)
    assert verdict.level == Level.ERROR
    assert verdict.message == "camera_node: no device; encoder_node: half the frames"
    assert reports.judge(12.0).message == "camera_node: no device"
    assert reports.judge(16.0).level == Level.OK


def test_a_stale_report_counts_as_an_error_and_a_flood_of_names_is_bounded() -> None:
    reports = Reports(most=2)
    for i in range(5):
        reports.note(Report(f"node{i}", 3, "stale", 0.0))
    verdict = reports.judge(0.0)
    assert verdict.level == Level.ERROR
    assert len(verdict.values) == 2
