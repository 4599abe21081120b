"""The parameters of finetune_node, and what its parts are made of by them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safe_o2o_ros
from safe_o2o_ros.bundle import Bundle
from safe_o2o_ros.data.store import Manifest
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.images import IMAGE_QOS
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.online.joining import JoinConfig
from safe_o2o_ros.online.pieces import About
from safe_o2o_ros.online.worker import COMMAND, WorkerOptions


def _settings_problem(text: str) -> str:
    try:
        good = isinstance(json.loads(text), dict)
    except ValueError:
        good = False
    return "" if good else 'must be a JSON object such as {"batch": 8}'


SPECS = (
    Spec("bundle", "", "Directory of the model bundle that drives at the start."),
    Spec("task", "", "Refuse a bundle made for another task; empty accepts any."),
    Spec("variant", "", "Variant of the task, noted in what is recorded; empty = none."),
    Spec("lockstep", False, "Quality of service, and the join, of repeatable simulation."),
    Spec("image_qos", "auto", "Reliability of the image subscriptions.", choices=IMAGE_QOS),
    Spec(
        "pair_tolerance",
        -1.0,
        "Largest difference of stamps in a frame set, seconds; negative = half a period, 0 in lockstep.",
        -1.0,
        10.0,
    ),
    Spec("experience_dir", "", "Directory of the store of experience; made where it is not there."),
    Spec("max_gigabytes", 4.0, "Size beyond which the oldest experience is deleted, GB.", 0.05, 10_000.0),
    Spec(
        "images", "png", "How frames are stored; jpeg is smaller and lossy.", choices=("png", "jpeg", "zlib")
    ),
    Spec("piece", 1.0, "An episode is stored in pieces of this length, seconds.", 0.05, 60.0),
    Spec("queue", 64, "Pieces that wait for the disk; what comes then is dropped.", 1, 10_000),
    Spec("long_gap", 0.5, "Time without frames that ends an episode, seconds.", 0.05, 60.0),
    Spec("warm_up", 1.0, "Nothing is recorded so long after the first frame, seconds.", 0.0, 60.0),
    Spec("cmd_vel_timeout", 0.5, "Age at which the base ignores a command, seconds.", 0.05, 10.0),
    Spec(
        "outcome_delay",
        0.0,
        "Rewards and costs come late by this time, at most a period, seconds.",
        0.0,
        10.0,
    ),
    Spec("require_outcomes", False, "Drop a period without a reward or a cost; else what is missing is 0."),
    Spec("operator_cost", 0.0, "Cost of a period in which the operator takes over; 0.0 = none.", 0.0, 1000.0),
    Spec("train", True, "Run the learner; else only record."),
    Spec("offline_dir", "", "Store of the offline data for the learner; empty = none."),
    Spec("work_dir", "", "The learner's checkpoints and candidates; empty = <experience_dir>-learner."),
    Spec("threads", 1, "Threads of the learner.", 1, 256),
    Spec("nice", 10, "Niceness of the learner above this node's.", 0, 19),
    Spec("seed", 0, "Seed of the learner.", 0),
    Spec("settings", "{}", "Settings of the learner, a JSON object.", check=_settings_problem),
    Spec("restarts_per_hour", 20, "A learner that dies more often is left alone for a while.", 0, 10_000),
    Spec("learner", [""], "Command of another learner; empty = the one of this package."),
)


def join_config(p: Parameters, bundle: Bundle) -> JoinConfig:
    """How to join. Raises UsageError."""
    period_s = bundle.manifest.period_s
    if p["outcome_delay"] > period_s:
        raise UsageError(
            f"outcome_delay is {p['outcome_delay']:g} s, but must be at most the period, {period_s:g} s"
        )
    return JoinConfig(
        period_s=period_s,
        lockstep=p["lockstep"],
        long_gap_s=p["long_gap"],
        command_timeout_s=p["cmd_vel_timeout"],
        outcome_delay_s=p["outcome_delay"],
        require_reward=p["require_outcomes"],
        require_cost=p["require_outcomes"],
        warm_up_s=p["warm_up"],
        operator_cost=p["operator_cost"],
        version=bundle.version,
    )


def about(p: Parameters, bundle: Bundle) -> About:
    """What all pieces share."""
    m = bundle.manifest
    return About(
        task=m.task,
        adapter=m.adapter.to_json(),
        cameras=m.image.cameras,
        period_s=m.period_s,
        action_repeat=m.action_repeat,
        variant=p["variant"] or None,
    )


def store_manifest(p: Parameters, bundle: Bundle) -> Manifest:
    """Provenance of the store."""
    m = bundle.manifest
    return Manifest(
        task=m.task,
        cameras=m.image.cameras,
        adapter=m.adapter.to_json(),
        period_s=m.period_s,
        action_repeat=m.action_repeat,
        version=safe_o2o_ros.__version__,
        command="finetune_node",
        variant=p["variant"] or None,
    )


def experience_dir(p: Parameters) -> Path:
    """The store. Raises UsageError where none is named."""
    if not p["experience_dir"]:
        raise UsageError("finetune_node has no place to record to: set experience_dir to a directory")
    return Path(p["experience_dir"]).absolute()


def worker_options(p: Parameters, bundle: Bundle) -> WorkerOptions:
    """How the learner is started."""
    store = experience_dir(p)
    command: list[Any] = p["learner"]
    return WorkerOptions(
        bundle=bundle.path.absolute(),
        experience=store,
        offline=Path(p["offline_dir"]).absolute() if p["offline_dir"] else None,
        work_dir=Path(p["work_dir"]).absolute()
        if p["work_dir"]
        else store.with_name(f"{store.name}-learner"),
        threads=p["threads"],
        nice=p["nice"],
        seed=p["seed"],
        settings=json.loads(p["settings"]),
        command=tuple(command) or COMMAND,
        restarts_per_hour=p["restarts_per_hour"],
    )
