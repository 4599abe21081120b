"""Pieces become the episodes they were cut from; what is missing splits them and is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.pieces import episode_pieces

from safe_o2o_ros.data.assembly import Assembler, join
from safe_o2o_ros.errors import StoreError

WHOLE = episode_pieces(22, length=100)[0]
PIECES = episode_pieces(22, length=5)


def add_all(pieces, **options):
    assembler = Assembler(**options)
    return [e for p in pieces for e in assembler.add(p)], assembler


def test_joined_pieces_are_the_episode_they_were_cut_from():
    (found,), assembler = add_all(PIECES)
    for name in ("actions", "rewards", "costs"):
        assert np.array_equal(getattr(found, name), getattr(WHOLE, name))
    for camera, frames in WHOLE.images.items():
        assert np.array_equal(found.images[camera], frames)
    assert list(found.extras) == list(WHOLE.extras)
    for name, column in WHOLE.extras.items():
        assert np.array_equal(found.extras[name], column)
    assert (found.terminated, found.truncated) == (False, True)
    assert found.metadata["end"] == "timeout" and found.metadata["pieces"] == 5
    assert (assembler.holes, assembler.repeated, assembler.rest()) == (0, 0, None)


def test_an_episode_that_goes_on_can_be_seen_and_grows():
    found, assembler = add_all(PIECES[:2])
    assert found == []
    assert (len(assembler.rest()), assembler.rest().truncated) == (10, False)
    (whole,) = [e for p in PIECES[2:] for e in assembler.add(p)]
    assert len(whole) == 22


def test_a_missing_piece_splits_the_episode_and_is_counted():
    (first, second), assembler = add_all([*PIECES[:2], *PIECES[3:]])
    assert (len(first), first.truncated, first.metadata["end"]) == (10, True, "hole")
    assert (len(second), second.truncated, second.metadata["end"]) == (7, True, "timeout")
    assert second.metadata["first"] == 15
    assert assembler.holes == 1


def test_an_episode_whose_end_never_came_ends_where_the_next_one_begins():
    other = [replace(p, metadata={**p.metadata, "episode": "other"}) for p in PIECES]
    (first, second), assembler = add_all([*PIECES[:2], *other])
    assert (len(first), first.metadata["end"], len(second)) == (10, "hole", 22)
    assert assembler.holes == 0


def test_a_beginning_that_was_evicted_is_counted():
    (found,), assembler = add_all(PIECES[1:])
    assert (len(found), assembler.holes) == (17, 1)


def test_repeated_pieces_are_left_out():
    (found,), assembler = add_all([p for p in PIECES for _ in range(2)])
    assert (len(found), assembler.repeated) == (22, 5)


def test_an_endless_episode_is_handed_out_in_parts_that_share_a_frame():
    (first, second, last), assembler = add_all(PIECES, longest=10)
    assert [len(first), len(second), len(last)] == [10, 10, 2] and assembler.rest() is None
    assert last.truncated
    assert not (first.terminated or first.truncated) and assembler.holes == 0
    assert np.array_equal(first.images["front"][-1], second.images["front"][0])


def test_gaps_and_bundles_are_told_in_periods_of_the_whole():
    a = replace(PIECES[0], metadata={**PIECES[0].metadata, "gaps": [[4, 2]]})
    b = replace(PIECES[1], metadata={**PIECES[1].metadata, "gaps": [[0, 3]], "bundle": "v2"})
    joined = join([a, b])
    assert joined.metadata["gaps"] == [[4, 2], [5, 3]]
    assert joined.metadata["bundles"] == [[0, "v1"], [5, "v2"]]


def test_pieces_that_do_not_fit_are_refused():
    with pytest.raises(StoreError, match="do not share a frame"):
        join([PIECES[0], PIECES[2]])
