"""One process of `safe-o2o evaluate`: drives whole episodes, and films those that the report shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safe_o2o_ros.cli.evaluate_rows import Row

_TOP_SIZE = 256


@dataclass(frozen=True)
class Job:
    """One episode of one row."""

    row: Row
    seed: int


@dataclass(frozen=True)
class Filming:
    """One episode to drive again, for the eye."""

    row: Row
    seed: int
    title: str
    """Of the video."""
    path: Path | None
    """Where the video goes; None = it is not wanted."""


@dataclass(frozen=True)
class Filmed:
    """An episode that was driven again."""

    log: Any
    """EpisodeLog without pictures."""
    video: Path | None
    note: str | None
    """Why there is no video, if one was wanted."""


def drive(job: Job) -> tuple[dict[str, Any], int]:
    """The episode's entry in the record, and its policy ticks."""
    from safe_o2o_ros.evaluation import drive_episode
    from safe_o2o_ros.report.record import episode_record

    env, driver = _built(job.row, job.row.cameras)
    log = drive_episode(env, driver, job.seed)
    return episode_record(log), len(log.reward)


def film(job: Filming) -> Filmed:
    """Drive as `drive` did, step for step, and write what there was to see."""
    from safe_o2o_ros.errors import MissingExtraError
    from safe_o2o_ros.evaluation import drive_episode
    from safe_o2o_ros.report.scene import scene_view
    from safe_o2o_ros.report.video import write_video

    if job.path is None:
        env, driver = _built(job.row, job.row.cameras)
        return Filmed(drive_episode(env, driver, job.seed), None, None)
    # A scripted reference looks at nothing, but a reader does.
    env, driver = _built(job.row, job.row.cameras or _all_cameras(job.row))
    log = drive_episode(env, driver, job.seed, _TOP_SIZE, keep_images=True)
    view = scene_view(job.row.task, log.nominal.shape[1], job.row.variant)
    plain = replace(log, images={}, top=None)
    try:
        write_video(job.path, job.title, [log], view)
    except MissingExtraError as error:
        return Filmed(plain, None, str(error))
    return Filmed(plain, job.path, None)


_LAST: dict[tuple[Row, tuple[str, ...]], tuple[Any, Any]] = {}
"""This process's environment and driver: building them costs as much as many steps. Jobs come row by row."""


def _built(row: Row, cameras: tuple[str, ...]) -> tuple[Any, Any]:
    if (row, cameras) not in _LAST:
        for env, _ in _LAST.values():
            env.close()
        _LAST.clear()
        _LAST[row, cameras] = _build(row, cameras)
    return _LAST[row, cameras]


def _all_cameras(row: Row) -> tuple[str, ...]:
    from safe_o2o_ros.sim.tasks import task_spec

    return tuple(task_spec(row.task).robot.cameras)


def _build(row: Row, cameras: tuple[str, ...]) -> tuple[Any, Any]:
    from safe_o2o_ros.bundle import ENCODER, SAFETY, load_bundle
    from safe_o2o_ros.evaluation import (
        BlindDriver,
        BundleDriver,
        Driver,
        GuardedDriver,
        ScriptedDriver,
        check_bundle_fits,
    )
    from safe_o2o_ros.sim.demonstrators import make_demonstrator
    from safe_o2o_ros.sim.make import make_env
    from safe_o2o_ros.types import Mode

    env = make_env(row.task, row.action_repeat, cameras, row.variant)
    driver: Driver
    if row.bundle is None:
        assert row.policy is not None
        driver = ScriptedDriver(make_demonstrator(row.policy, env.adapter, env.period_s))
    else:
        bundle = load_bundle(row.bundle, task=row.task)
        check_bundle_fits(bundle, env)
        driver = BundleDriver(bundle, row.mode if row.guard is None else Mode.LIMITS_ONLY)
        driver = BlindDriver(driver) if row.blind else driver
    if row.guard is None:
        return env, driver
    guard = load_bundle(row.guard, (ENCODER, SAFETY), task=row.task)
    check_bundle_fits(guard, env)
    return env, GuardedDriver(driver, guard, row.mode)
