"""A bundle drives and a teacher takes over: who drives when, and what is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.cli.collect_supervised import Supervised
from safe_o2o_ros.cli.main import main
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.sim.demonstrators.base import Source

OWN, TAUGHT = np.array([0.5, 0.0], np.float32), np.array([-0.5, 0.0], np.float32)


@dataclass
class Policy:
    """Always drives ahead; keeps what it is told was executed."""

    heard: list[float] = field(default_factory=list)

    def reset(self, seed: int) -> None:
        """See BundleDriver."""

    def act(self, observation: Any, env: Any, stamp_ns: int) -> Any:
        """See BundleDriver."""
        return SimpleNamespace(decision=SimpleNamespace(action=OWN))

    def executed(self, action: Any) -> None:
        """See BundleDriver."""
        self.heard.append(float(action[0]))


class Teacher:
    """Always backs off."""

    source = Source.PLANNER

    def reset(self, seed: int) -> None:
        """See Demonstrator."""

    def act(self, state: Any) -> Any:
        """See Demonstrator."""
        return TAUGHT


def state(clearance: float, x: float) -> Any:
    return SimpleNamespace(clearance_m=clearance, position=np.array([x, 0.0]), yaw=0.0)


def drive(driver: Supervised, states: list[Any]) -> list[Source]:
    sources = []
    for s in states:
        driver.look({})
        driver.act(s)
        sources.append(driver.source)
    return sources


def supervised() -> tuple[Supervised, Policy]:
    policy = Policy()
    driver = Supervised(Teacher(), policy, None)
    driver._rng = SimpleNamespace(random=lambda: 1.0)  # no hand-over at random
    return driver, policy


def test_the_teacher_takes_over_where_it_gets_tight_and_lets_go_once_there_is_room() -> None:
    driver, policy = supervised()
    far = [state(1.0, 0.1 * i) for i in range(5)]
    tight = [state(-0.02, 0.5)]
    away = [state(0.3, 0.5 - 0.02 * i) for i in range(20)]
    sources = drive(driver, far + tight + away)
    assert sources[:5] == [Source.POLICY] * 5
    assert sources[5:17] == [Source.PLANNER] * 12
    assert sources[17:] == [Source.POLICY] * 9
    # The bundle is told what was really executed, and not what it asked for.
    assert policy.heard[4:6] == [0.5, -0.5]


def test_the_teacher_goes_on_until_there_is_room() -> None:
    driver, _ = supervised()
    sources = drive(driver, [state(-0.02, 0.0)] + [state(0.05, 0.0 - 0.01 * i) for i in range(30)])
    assert sources == [Source.PLANNER] * 31


def test_the_teacher_takes_over_where_the_policy_is_stuck() -> None:
    driver, _ = supervised()
    sources = drive(driver, [state(1.0, 0.0)] * 45)
    assert sources[:39] == [Source.POLICY] * 39
    assert sources[39] is Source.PLANNER


def test_who_drove_is_stored_beside_every_action(tmp_path: Path) -> None:
    write_tiny_bundle(tmp_path / "tiny", task="RoomNav")
    store = tmp_path / "store"
    command = ["collect", "--task", "RoomNav", "--episodes", "1", "--workers", "1", "--out", str(store)]
    assert main([*command, "--bundle", str(tmp_path / "tiny")]) == 0
    (episode,) = EpisodeReader(store)
    assert {Source.POLICY, Source.PLANNER} <= {Source(s) for s in episode.extras["policy"]}


def test_a_bundle_of_another_task_is_refused_before_anything_is_written(tmp_path: Path, capsys: Any) -> None:
    write_tiny_bundle(tmp_path / "tiny")
    store = tmp_path / "store"
    command = ["collect", "--task", "RoomNav", "--episodes", "1", "--out", str(store)]
    assert main([*command, "--bundle", str(tmp_path / "tiny")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not store.exists()
