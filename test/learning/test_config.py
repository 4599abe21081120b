"""Overrides of a training profile, and what they may not be."""

from __future__ import annotations

import json

import pytest

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.learning.config import PROFILES, from_json, resolve


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_resolves_to_itself_with_all_its_numbers(name: str) -> None:
    config = resolve(name, {})
    assert config is PROFILES[name] and from_json(config.to_json()) == config
    assert json.loads(config.to_json())["agent"]["gamma"] == config.agent.gamma


def test_an_override_keeps_its_type_and_the_rest() -> None:
    config = resolve("debug", {"world_model.steps": "7", "agent.gamma": "0.5", "seed": "3", "name": "mine"})
    assert (config.world_model.steps, config.agent.gamma, config.seed, config.name) == (7, 0.5, 3, "mine")
    assert config.world_model.batch == PROFILES["debug"].world_model.batch
    assert PROFILES["debug"].world_model.steps == 10  # the profile is untouched


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("nothing", "1", "unknown setting 'nothing'"),
        ("agent.nothing", "1", "'nothing' is not one of steps"),
        ("seed.nothing", "1", "'seed' has no parts"),
        ("agent", "1", "is a group"),
        ("agent.steps", "many", "must be of type int, got 'many'"),
        ("agent.steps", "1.5", "must be of type int"),
        ("agent.gamma", "high", "must be of type float"),
        ("agent.gamma", "1.5", "between 0 and 1"),
        ("agent.gamma", "nan", "between 0 and 1"),
        ("agent.learning_rate", "inf", "finite and 0 or more"),
        ("agent.learning_rate", "-1", "finite and 0 or more"),
        ("agent.batch", "0", "must be 1 or more"),
        ("world_model.checkpoint_every", "0", "must be 1 or more"),
        ("world_model.steps", "-1", "must be 0 or more"),
        ("precision", "float8", "must be one of bfloat16, float32"),
        ("agent.driver", "nobody", "must be one of certified, critics, policy_critics, actor, percept"),
        ("model.image_size", "50", "multiple of 16"),
    ],
)
def test_a_bad_override_is_named(key: str, value: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve("debug", {key: value})


def test_a_config_of_an_older_run_has_defaults_for_what_it_did_not_know() -> None:
    older = json.loads(PROFILES["debug"].to_json())
    del older["agent"]["weights"], older["percept"]["mirror"]
    config = from_json(json.dumps(older))
    assert config.agent == PROFILES["debug"].agent and config.percept.mirror == 0.0
    for broken in ('{"name": "x", "agent": {"nothing": 1}}', "[]", "no JSON", '{"name": "x", "agent": 3}'):
        with pytest.raises(ValueError):
            from_json(broken)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown config 'huge': choose one of debug, small, paper"):
        resolve("huge", {})


def test_a_truth_value_is_read_as_written() -> None:
    assert (
        resolve("debug", {"compile": "true"}).compile and not resolve("debug", {"compile": "False"}).compile
    )
    with pytest.raises(UsageError, match="setting 'compile' must be of type bool, got '1'"):
        resolve("debug", {"compile": "1"})
