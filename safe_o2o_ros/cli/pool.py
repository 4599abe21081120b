"""Jobs in parallel processes that end at once with the command that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from safe_o2o_ros.errors import WorkerError

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def parallel(
    function: Callable[[_Job], _Result], jobs: Sequence[_Job], workers: int
) -> Generator[tuple[int, _Result], None, None]:
    """Index and result of every job, as they finish; at most two a worker are under way.

    One worker is this process itself. What `function` raises is raised here. Ctrl-C, or closing the
    iterator, ends the workers without a word. Raises WorkerError where one of them dies.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited: one thread a process is its share
    if workers == 1 or len(jobs) < 2:
        for index, job in enumerate(jobs):
            yield index, function(job)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), multiprocessing.get_context("spawn"), initializer=start_worker
    )
    waiting = iter(enumerate(jobs))
    running: dict[Future[_Result], int] = {}
    try:
        while True:
            for index, job in waiting:
                running[_submit(pool, function, job)] = index
                if len(running) >= 2 * workers:
                    break
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise WorkerError("a process died (out of memory?): run again with fewer --workers") from error
    finally:
        if running:  # interrupted: unfinished work is worth nothing, so nobody waits for it
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[_Job], _Result], job: _Job) -> Future[_Result]:
    # Processes start here and inherit the mask: Ctrl-C is the parent's to handle, also while they import.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(function, job)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_worker() -> None:
    """Initialise a process: Ctrl-C is its parent's to handle, and it ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent closes no queue, so its workers would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
