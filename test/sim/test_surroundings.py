"""What recordings say of the robot's surroundings, against places worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from safe_o2o_ros.learning import dataset
from safe_o2o_ros.sim.state import PrivilegedState
from safe_o2o_ros.sim.surroundings import FAR_M, SECTORS, landmarks, ring
from safe_o2o_ros.world_model.config import ModelConfig

STATE = PrivilegedState(
    position=np.array([1.0, 1.0]),
    yaw=np.pi / 2,
    velocity=np.zeros(2),
    yaw_rate=0.0,
    goal=np.array([0.0, 1.0]),
    goal_radius=0.3,
    hazards=np.array([[1.0, 2.0]]),
    hazard_radius=0.2,
    vases=np.zeros((0, 2)),
    control_step_s=0.02,
)
"""At (1, 1) facing north; a hazard 1 m ahead, the goal 1 m to the left."""


def test_the_ring_gives_the_gap_to_the_edge_in_the_sectors_that_a_thing_covers() -> None:
    values = ring(STATE)
    # Seen under asin(0.2) = 11.5 degrees to each side; a sector reaches 11.25: its neighbours count too.
    assert values[[0, 1, SECTORS - 1]] == pytest.approx([0.8, 0.8, 0.8])
    assert (values[2 : SECTORS - 1] == FAR_M).all()


def test_inside_a_hazard_every_sector_says_zero() -> None:
    assert (ring(replace(STATE, position=np.array([1.0, 1.9]))) == 0.0).all()


def test_the_goal_button_is_nothing_to_keep_away_from() -> None:
    buttons = np.array([[1.0, 0.0], [2.0, 1.0]])
    values = ring(replace(STATE, hazards=np.zeros((0, 2)), buttons=buttons, goal_button=0))
    assert values[SECTORS // 2] == FAR_M  # the goal button, behind
    assert values[3 * SECTORS // 4] == pytest.approx(0.9)  # the wrong one, to the right


def test_landmarks_are_in_base_link() -> None:
    values = landmarks(replace(STATE, box=np.array([[1.0, 0.0]])))
    assert values == pytest.approx([0.0, 1.0, -1.0, 0.0], abs=1e-6)
    assert np.isnan(landmarks(STATE)[2:]).all()


def test_recordings_training_and_networks_agree_on_the_widths() -> None:
    widths = (len(ring(STATE)), len(landmarks(STATE)))
    assert widths == (dataset.SECTORS, dataset.PLACES)
    assert widths == (ModelConfig().sectors, 2 * ModelConfig().landmarks)
