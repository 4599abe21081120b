"""Jobs in processes: all results, the first error, and a dead worker by name."""

from __future__ import annotations

import os

import pytest
from support.pool_jobs import squared, vanish

from safe_o2o_ros.cli.pool import parallel
from safe_o2o_ros.errors import StoreError, WorkerError


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_has_its_result_whoever_computes_it(workers: int) -> None:
    results = dict(parallel(squared, [3, 1, 4, 1, 5], workers))
    assert [results[i][0] for i in range(5)] == [9, 1, 16, 1, 25]
    assert ({pid for _, pid in results.values()} == {os.getpid()}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_keeps_its_name(workers: int) -> None:
    with pytest.raises(StoreError, match="thirteen cannot be squared"):
        list(parallel(squared, [13, 13], workers))


def test_a_worker_that_dies_is_named_and_not_waited_for() -> None:
    with pytest.raises(WorkerError, match="fewer --workers"):
        list(parallel(vanish, [1, 1, 1], 2))


def test_nothing_to_do_is_done_at_once() -> None:
    assert list(parallel(squared, [], 3)) == []
