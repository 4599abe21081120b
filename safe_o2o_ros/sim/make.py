"""Any simulated task by its name, for those who must not depend on Gymnasium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium

import safe_o2o_ros.sim  # noqa: F401  registers the tasks
from safe_o2o_ros.sim.tasks import env_id, task_spec


def make_env(task: str, action_repeat: int, cameras: Sequence[str], variant: str | None) -> Any:
    """The environment of a task, without wrappers; `action_repeat`: 0 = the task's own.

    Raises UsageError naming what the task does not have.
    """
    repeat = action_repeat or task_spec(task).action_repeat
    made = gymnasium.make(
        env_id(task), action_repeat=repeat, cameras=cameras, variant=variant, disable_env_checker=True
    )
    return made.unwrapped
