"""RoomNav's demonstrators: what they may know, which way they choose, and that they touch nothing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import safe_o2o_ros.sim  # noqa: F401  registers the tasks
from safe_o2o_ros.cli import collect
from safe_o2o_ros.data import EpisodeReader
from safe_o2o_ros.learning.dataset import load_dataset
from safe_o2o_ros.robot import ROOM_BASE
from safe_o2o_ros.sim.demonstrators import make_demonstrator
from safe_o2o_ros.sim.demonstrators.base import Demonstrator
from safe_o2o_ros.sim.demonstrators.room import RoomDemonstrator
from safe_o2o_ros.sim.demonstrators.room.grid import Caution, RoomMap, Way
from safe_o2o_ros.sim.demonstrators.room.sight import goal_in_sight
from safe_o2o_ros.sim.room.state import Obstacle, RoomState

RADIUS_M = 0.17
HALF = np.array([2.5, 2.0])
STEP_S = 0.1


def box(x: float, y: float, half_x: float, half_y: float, yaw: float = 0.0, height: float = 0.6) -> Obstacle:
    return Obstacle("box", x, y, yaw, half_x, half_y, height)


def cylinder(x: float, y: float, radius: float, height: float = 0.6) -> Obstacle:
    return Obstacle("cylinder", x, y, 0.0, radius, radius, height)


def state(goal: tuple[float, float], *things: Obstacle, at: tuple[float, float] = (0.0, 0.0)) -> RoomState:
    """At rest, heading along x, cameras to the front and back."""
    return RoomState(
        position=np.array(at),
        yaw=0.0,
        velocity=np.zeros(2),
        yaw_rate=0.0,
        goal=np.array(goal),
        reach_m=0.4,
        robot_radius_m=RADIUS_M,
        half_size=HALF,
        obstacles=things,
        clearance_m=1.0,
        contact=False,
        control_step_s=STEP_S,
        cameras={},
        path_distance_m=1.0,
    )


@dataclass
class Drive:
    """A base that follows its limits exactly, and goes through things; what was measured on the way."""

    driver: Demonstrator
    now: RoomState
    path: list[NDArray[np.float64]] = field(default_factory=list)
    actions: list[NDArray[np.float32]] = field(default_factory=list)

    def run(self, steps: int) -> Drive:
        """Drive until the goal is reached or `steps` are over."""
        speed, rate = 0.0, 0.0
        for _ in range(steps):
            if self.reached:
                break
            action = self.driver.act(self.now)
            self.actions.append(action)
            position, yaw = self.now.position.copy(), self.now.yaw
            for _ in range(10):
                speed += float(np.clip(0.46 * action[0] - speed, -0.009, 0.009))
                rate += float(np.clip(1.9 * action[1] - rate, -0.03, 0.03))
                yaw += rate * 0.01
                position = position + 0.01 * speed * np.array([np.cos(yaw), np.sin(yaw)])
            velocity = speed * np.array([np.cos(yaw), np.sin(yaw)])
            self.now = replace(self.now, position=position, yaw=yaw, velocity=velocity, yaw_rate=rate)
            self.path.append(position)
        return self

    @property
    def reached(self) -> bool:
        """Within reach of the goal."""
        return float(np.hypot(*(self.now.goal - self.now.position))) <= 0.4

    @property
    def clearance_m(self) -> float:
        """Least distance from the disc to anything."""
        room = RoomMap(HALF, self.now.obstacles)
        return float(room.distance(np.array(self.path)).min()) - RADIUS_M


def drive(kind: str, start: RoomState, steps: int = 400) -> Drive:
    driver = make_demonstrator(kind, ROOM_BASE, STEP_S)
    driver.reset(3)
    return Drive(driver, start).run(steps)


def test_a_map_knows_walls_and_things_but_not_table_tops() -> None:
    top = replace(box(0.0, 0.0, 0.4, 0.4), solid=False, bottom_m=0.5)
    room = RoomMap(HALF, [top, cylinder(1.0, 0.0, 0.2)])
    points = np.array([[2.4, 0.0], [0.0, -1.9], [0.5, 0.0]])
    assert room.distance(points) == pytest.approx([0.1, 0.1, 0.3])
    assert room.lookup(points) == pytest.approx([0.1, 0.1, 0.3], abs=0.01)


def test_the_way_goes_round_a_wall_and_costs_its_length() -> None:
    # A wall across the room from y = -2 to y = 1, with the only gap above it.
    room = RoomMap(HALF, [box(0.0, -0.5, 0.05, 1.5)])
    way = Way(room, np.array([1.0, -1.0]), Caution(0.2, 0.25, 0.26, 0.0))
    path = way.trace(np.array([-1.0, -1.0]), 20.0)
    assert path[0] == pytest.approx([-1.0, -1.0]) and path[-1] == pytest.approx([1.0, -1.0])
    assert path[:, 1].max() > 1.15
    steps = np.hypot(*np.diff(path, axis=0).T)
    assert way.cost[room.node_of(np.array([-1.0, -1.0]))] == pytest.approx(steps.sum(), rel=1e-3)
    assert steps.max() <= 0.05 * np.sqrt(2.0) + 1e-9


def test_there_is_no_way_through_a_closed_room() -> None:
    room = RoomMap(HALF, [box(0.0, 0.0, 0.05, 2.0)])
    way = Way(room, np.array([1.0, 0.0]), Caution(0.1, 0.2, 0.3, 1.0))
    assert np.isinf(way.cost[room.node_of(np.array([-1.0, 0.0]))])


def test_a_thing_hides_the_goal_if_it_reaches_the_line_of_sight() -> None:
    # Camera at 0.25 m, the goal's upper part is looked for at 0.4 m: half way the line is at 0.325 m.
    assert not goal_in_sight(state((2.0, 0.0), box(1.0, 0.0, 0.01, 0.3, height=0.34)))
    assert goal_in_sight(state((2.0, 0.0), box(1.0, 0.0, 0.01, 0.3, height=0.31)))
    top = replace(box(1.0, 0.0, 0.3, 0.3), solid=False, bottom_m=0.5)
    assert goal_in_sight(state((2.0, 0.0), top))


@pytest.mark.parametrize(
    ("goal", "visible"),
    [((1.5, 0.0), True), ((-1.5, 0.0), True), ((0.0, 1.5), False), ((0.3, -1.5), False)],
)
def test_front_and_back_camera_see_a_quarter_turn_each(goal: tuple[float, float], visible: bool) -> None:
    assert goal_in_sight(state(goal)) is visible
    assert not goal_in_sight(state(goal, box(goal[0] * 0.5, goal[1] * 0.5, 0.25, 0.25)))


def test_a_visible_goal_is_driven_to_at_full_speed() -> None:
    run = drive("safe", state((2.0, 0.0)))
    assert run.reached
    assert run.actions[10][0] == pytest.approx(1.0, abs=0.05)
    assert np.abs([a[1] for a in run.actions]).max() < 0.1


def test_where_the_goal_is_does_not_matter_before_it_is_seen() -> None:
    # Both goals are beside the robot, out of both cameras' sight, one left and one right.
    left, right = state((0.1, 1.5)), state((0.1, -1.5))
    first = [make_demonstrator("safe", ROOM_BASE, STEP_S).act(s) for s in (left, right)]
    assert np.array_equal(first[0], first[1])
    assert first[0][0] == 0.0 and first[0][1] > 0.5  # it looks round, to the left


def test_a_goal_behind_furniture_is_searched_for_and_found() -> None:
    hidden = state((2.0, -1.4), box(1.0, -1.1, 0.1, 0.85), cylinder(0.3, 1.2, 0.2), at=(-1.0, -1.0))
    driver = RoomDemonstrator(ROOM_BASE)
    run = Drive(driver, hidden).run(40)
    assert not driver.seen and not run.reached
    run.run(400)
    assert driver.seen and run.reached and run.clearance_m > 0.02


def test_the_careful_way_leaves_room_where_the_careless_one_touches() -> None:
    start = state((1.8, 0.0), box(0.9, 0.1, 0.15, 0.4, height=0.2))
    safe, careless = drive("safe", start), drive("careless", start)
    assert safe.reached and careless.reached
    assert safe.clearance_m > 0.05 and careless.clearance_m < 0.02
    assert len(safe.path) > len(careless.path)


def test_a_narrow_gap_is_driven_through_slowly_and_without_touching() -> None:
    # 0.54 m wide: 0.10 m on each side of the robot; the rest is closed.
    walls = (box(1.0, 1.135, 0.1, 0.865), box(1.0, -1.135, 0.1, 0.865))
    run = drive("safe", state((2.0, 0.0), *walls))
    inside = [a[0] for a, p in zip(run.actions, run.path, strict=True) if 0.9 < p[0] < 1.1]
    assert run.reached and run.clearance_m > 0.04
    assert inside and max(inside) < 0.75


def test_a_robot_disturbed_towards_things_recovers() -> None:
    things = (box(0.9, 0.1, 0.15, 0.4), cylinder(-0.8, 0.6, 0.2), cylinder(0.4, -1.2, 0.25))
    for kind in ("safe-noisy", "safe-bursts"):
        run = drive(kind, state((1.8, 0.0), *things), steps=600)
        assert run.reached and run.clearance_m > 0.0, kind


def test_straight_drives_through_what_stands_in_between() -> None:
    run = drive("straight", state((1.5, 1.0), cylinder(0.75, 0.5, 0.2)))
    assert run.reached and run.clearance_m < 0.0


def test_the_careful_teacher_draws_nothing() -> None:
    start = state((1.8, 0.3), box(0.9, 0.1, 0.15, 0.4))
    runs = []
    for seed in (1, 2):
        driver = make_demonstrator("safe", ROOM_BASE, STEP_S)
        driver.reset(seed)
        runs.append(np.array(Drive(driver, start).run(60).actions))
    assert np.array_equal(runs[0], runs[1])
    assert runs[0].dtype == np.float32 and np.abs(runs[0]).max() <= 1.0


@pytest.mark.parametrize("kind", ["safe-noisy", "safe-bursts", "careless-bursts", "random"])
def test_disturbed_drives_repeat_by_their_seed(kind: str) -> None:
    def actions(seed: int) -> NDArray[np.float32]:
        driver = make_demonstrator(kind, ROOM_BASE, STEP_S)
        driver.reset(seed)
        return np.stack([driver.act(state((1.8, 0.3))) for _ in range(60)])

    assert np.array_equal(actions(4), actions(4)) and not np.array_equal(actions(4), actions(5))


@pytest.fixture(scope="module")
def blind() -> Iterator[Any]:
    env = gymnasium.make("safe_o2o/RoomNav-v0", cameras=())
    yield env
    env.close()


def in_task(env: Any, kind: str, seed: int) -> dict[str, Any]:
    """What the task says at the end of an episode."""
    _, info = env.reset(seed=seed)
    driver = make_demonstrator(kind, env.unwrapped.adapter, env.unwrapped.period_s)
    driver.reset(seed)
    done = False
    while not done:
        _, _, terminated, truncated, info = env.step(driver.act(env.unwrapped.privileged_state()))
        done = terminated or truncated
    return dict(info)


@pytest.mark.parametrize("seed", range(50_100, 50_110))
def test_in_the_simulated_room_the_careful_teacher_finds_the_goal_and_touches_nothing(
    blind: Any, seed: int
) -> None:
    info = in_task(blind, "safe", seed)
    assert info["success"] and info["contacts"] == 0
    assert info["control_steps"] < 450


def test_the_careless_one_gets_there_too_but_touches_things(blind: Any) -> None:
    ends = [in_task(blind, "careless", seed) for seed in range(50_100, 50_112)]
    assert sum(info["reached"] for info in ends) >= 11
    assert sum(info["contacts"] > 0 for info in ends) >= 2


def test_collected_episodes_end_where_the_goal_is_reached_and_can_be_trained_on(tmp_path: Path) -> None:
    store = tmp_path / "store"
    options = {
        "task": "RoomNav", "variant": None, "episodes": 2, "out": store, "seed": 0,
        "mix": "safe", "workers": 1, "images": "png", "bundle": None,
    }  # fmt: skip
    assert collect.run(Namespace(**options)) == 0
    reader = EpisodeReader(store)
    assert (reader.manifest.action_repeat, reader.manifest.period_s) == (1, 0.1)
    for number in range(2):
        episode = reader.load(number)
        assert episode.terminated and not episode.truncated and len(episode) < 450
        assert episode.rewards[-1] > 9.0 and episode.metadata["success"] is True
        assert episode.extras["clearance"].min() > 0.02 and "hazard_clearance" not in episode.extras
        assert episode.metadata["views"]["front"]["fovy_deg"] == 90.0
        assert episode.metadata["views"]["front"]["position"][2] == 0.25
    data = load_dataset(store, 1)
    ends = data.start + data.length - 1
    assert np.flatnonzero(data.cont == 0.0).tolist() == sorted(ends.tolist())
