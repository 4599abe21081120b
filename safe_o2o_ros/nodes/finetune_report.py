"""What finetune_node says of itself: level, sentence and numbers of its diagnostics. Pure: no node."""

from __future__ import annotations

from typing import Any

from safe_o2o_ros.online.joining import TransitionJoiner
from safe_o2o_ros.online.recording import Recorder
from safe_o2o_ros.online.worker import WorkerStatus
from safe_o2o_ros.types import Level


def finetune_report(
    joiner: TransitionJoiner, recorder: Recorder, learner: WorkerStatus | None, last_id: int
) -> tuple[Level, str, dict[str, Any]]:
    """`learner`: None where training is off. `last_id`: of the last piece on disk, -1 before any.

    transitions = stored + pending + all dropped_*, where pending ones are still in memory. Call it when
    every finished piece was handed to the recorder.
    """
    stored, waiting, lost = recorder.account()
    dropped = {**joiner.drops, **lost}
    values: dict[str, Any] = {
        "transitions": joiner.offered,
        "stored": stored,
        "pending": joiner.pending + waiting,
        **{f"dropped_{cause}": count for cause, count in dropped.items()},
        **joiner.notes,
        "last_id": last_id,
        "megabytes": f"{recorder.size_bytes / 1e6:.1f}",
        "segments_evicted": recorder.evicted,
        "queue": f"{recorder.backlog:.2f}",
        "learner": "off" if learner is None else learner.phase,
    }
    if learner is not None:
        values |= {
            "learner_pid": learner.pid or "",
            "learner_update": learner.update,
            "learner_transitions": learner.transitions,
            "learner_restarts": learner.restarts,
            "learner_says": learner.text,
            **{f"loss_{name}": f"{value:.5g}" for name, value in learner.losses.items()},
        }
    if not recorder.alive:
        return Level.ERROR, "recording has stopped: read the node's log, and start the node again", values
    if recorder.problem:
        return Level.ERROR, f"nothing is recorded: {recorder.problem}", values
    if learner is not None and learner.phase in ("restarting", "refused"):
        return Level.WARN, learner.text or learner.phase, values
    return Level.OK, "ok", values
