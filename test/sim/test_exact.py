"""Systems with a known avoid set: the motion, the picture, and two ways to the exact set that agree."""

from __future__ import annotations

import numpy as np
import pytest

from safe_o2o_ros.sim.exact import dubins
from safe_o2o_ros.sim.exact.avoid_set import braking_value, dubins_value
from safe_o2o_ros.sim.exact.dubins_picture import SIZE, VIEW_M, draw


def test_the_car_drives_straight_and_along_arcs() -> None:
    states = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, np.pi / 2]])
    after = dubins.step(states, np.array([0.0, 1.0, -1.0]), period_s=0.4)
    assert after[0] == pytest.approx([0.4, 0.0, 0.0])
    # 1.25 rad/s for 0.4 s is half a radian on a circle of 0.8 m: (R sin, R (1 - cos)).
    assert after[1] == pytest.approx([0.8 * np.sin(0.5), 0.8 * (1 - np.cos(0.5)), 0.5])
    assert after[2] == pytest.approx([1.0 + 0.8 * (1 - np.cos(0.5)), 0.8 * np.sin(0.5), np.pi / 2 - 0.5])


def test_the_hazard_in_base_link_is_ahead_and_to_the_left() -> None:
    # Heading up (+y) from the right of the origin: the disc is to the left.
    assert dubins.hazard_in_base(np.array([[1.0, 0.0, np.pi / 2]]))[0] == pytest.approx([0.0, 1.0])
    assert dubins.hazard_in_base(np.array([[-1.0, 0.0, 0.0]]))[0] == pytest.approx([1.0, 0.0])
    assert dubins.margin(np.array([[0.0, 1.5, 0.3]])) == pytest.approx([1.0])


def test_the_best_margin_of_states_one_can_reason_about() -> None:
    states = np.array(
        [
            [1.0, 0.0, 0.0],  # heading away: never nearer than now
            [-1.0, 0.5, 0.0],  # parallel, passing at the edge: turning away gains
            [-0.55, 0.0, 0.0],  # head on, 5 cm before the disc, circle of 0.8 m: too late
            [0.2, 0.0, 1.0],  # inside
        ]
    )
    best = dubins.best_margin(states)
    assert best[0] == pytest.approx(0.5, abs=1e-6)
    assert best[1] > 0.0
    assert best[2] < 0.0 and best[3] < 0.0
    # Head on at distance d: the arc of radius R keeps sqrt(d^2 + R^2) - R from the origin at best.
    d, radius = 1.2, dubins.SPEED / dubins.TURN_RATE
    expected = np.hypot(d, radius) - radius - dubins.HAZARD_RADIUS
    assert dubins.best_margin(np.array([[-d, 0.0, 0.0]]))[0] == pytest.approx(expected, abs=1e-3)


def test_level_sets_and_geometry_agree_on_the_avoid_set() -> None:
    nodes = 25
    value, best = dubins_value(nodes).reshape(-1), dubins.best_margin(dubins.grid(nodes))
    clear = np.abs(best) > 0.02
    assert ((value > 0.0) == (best > 0.0))[clear].all()
    assert 0.05 < (value <= 0.0).mean() < 0.2


def test_the_braking_distance_is_the_schoolbook_one() -> None:
    position, speed = np.linspace(-2.0, 1.0, 61), np.linspace(-2.0, 2.0, 81)
    value = braking_value(position, speed, brake=1.0)
    p, s = np.meshgrid(position, speed, indexing="ij")
    stops_before = -(p + np.where(s > 0.0, s**2 / 2.0, 0.0))
    clear = np.abs(stops_before) > 0.02
    assert ((value > 0.0) == (stops_before > 0.0))[clear].all()


def test_a_picture_shows_the_car_where_it_is_with_its_nose_ahead() -> None:
    image = draw(np.array([[1.0, -0.5, np.pi / 2]]))[0].astype(int)
    empty = draw(np.array([[9.0, 9.0, 0.0]]))[0].astype(int)
    changed = np.abs(image - empty).sum(-1) > 60
    rows, columns = np.nonzero(changed)
    pixel = 2.0 * VIEW_M / SIZE
    assert (columns.mean() + 0.5) * pixel - VIEW_M == pytest.approx(1.0, abs=0.03)
    assert VIEW_M - (rows.mean() + 0.5) * pixel == pytest.approx(-0.5, abs=0.08)
    nose = np.nonzero((image.sum(-1) < 150) & changed)  # dark; the body is white
    assert nose[0].mean() < rows.mean()  # up in the picture = +y


def test_pictures_of_nearby_states_differ() -> None:
    states = np.array([[0.8, 0.8, 0.0], [0.81, 0.8, 0.0], [0.8, 0.8, 0.05]])
    a, b, c = draw(states).astype(int)
    assert np.abs(a - b).sum() > 50
    assert np.abs(a - c).sum() > 50
    assert (draw(states) == draw(states)).all()
