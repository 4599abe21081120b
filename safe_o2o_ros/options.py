"""What a user may choose when starting the graph: launch arguments, and options of safe-o2o deploy."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.types import Mode

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
INTERNAL = ("record_dir", "top_size", "progress")
"""Options for programs, not offered as launch arguments."""


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class DeployOptions:
    """What a user may choose. None leaves the value of the parameters file alone."""

    sim: bool = _option(False, "Start sim_node in the place of cameras and base.")
    task: str | None = _option(None, "Task the bundle must be for; with sim, the simulated one.")
    bundle: str | None = _option(None, "Directory of the model bundle; with sim, the task's if empty.")
    mode: str | None = _option(None, "filter, shadow or limits_only.")
    seed: int | None = _option(None, "Episode i of the simulator uses seed + i.")
    episodes: int | None = _option(None, "Simulated episodes; 0 = for ever (real time only).")
    max_periods: int | None = _option(
        None, "Control periods after which a simulated episode is cut; 0 = none."
    )
    lockstep: bool = _option(False, "Repeatable simulation: step only on answers.")
    variant: str | None = _option(None, "Variant of the simulated task.")
    start_enabled: bool | None = _option(None, "Drive without a call of ~/enable; true with sim.")
    enable_stamped_cmd_vel: bool | None = _option(None, "cmd_vel is TwistStamped, else Twist.")
    base: str | None = _option(None, "Description of the base: a shipped one (turtlebot4) or a .yaml file.")
    namespace: str = _option("", "Namespace of every node.")
    use_sim_time: bool | None = _option(
        None, "Take time from /clock; true in lockstep. With sim the simulator publishes it."
    )
    params_file: str | None = _option(None, "Parameters file, the shipped config/deploy.yaml if not given.")
    log_level: str = _option("info", "debug, info, warn, error or fatal.")
    use_camera_node: bool | None = _option(
        None, "Start camera_node; true on a robot whose parameters file lists cameras for it."
    )
    use_monitor: bool | None = _option(
        None, "Start monitor_node (markers, graph's health); true except in lockstep."
    )
    release: bool = _option(
        False, "Start release_node: judge candidate bundles, change to them while driving, roll back."
    )
    use_rviz: bool = _option(False, "Start RViz (needs rviz2 of a ROS 2 installation).")
    rviz_config: str | None = _option(None, "RViz configuration; the shipped one if not given.")
    finetune: bool = _option(False, "Start finetune_node: records experience and learns from it.")
    experience_dir: str | None = _option(None, "Directory of the store of experience.")
    train: bool | None = _option(None, "Run the learner; false only records. True if not given.")
    use_respawn: bool = _option(False, "Start a node again when it dies.")
    record_dir: str | None = _option(None, "Folder for one log per episode (lockstep).")
    top_size: int | None = _option(None, "Pixels of the view from above in these logs; 0 = no pictures.")
    progress: bool = _option(False, "sim_node reports progress as JSON lines on stdout.")


def check(options: DeployOptions) -> None:
    """Raise UsageError naming an option that cannot be, or two that do not go together."""
    modes = [m.value for m in Mode]
    if options.mode is not None and options.mode not in modes:
        raise UsageError(f"mode is '{options.mode}': choose among {', '.join(modes)}")
    if options.log_level not in LOG_LEVELS:
        raise UsageError(f"log_level is '{options.log_level}': choose among {', '.join(LOG_LEVELS)}")
    if options.lockstep and not options.sim:
        raise UsageError("lockstep needs the simulator: a robot does not wait; add sim:=true")
    if options.lockstep and not options.episodes:
        raise UsageError("lockstep needs an end: set episodes to 1 or more")
    for name, least in (("seed", 0), ("episodes", 0), ("max_periods", 0), ("top_size", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"{name} is {value}, but must be {least} or more")
    if options.namespace and not re.fullmatch(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", options.namespace):
        raise UsageError(f"namespace '{options.namespace}' is not a ROS name: use letters, digits, _ and /")


def arguments() -> dict[str, str]:
    """Launch arguments and what each means, in order."""
    fields = dataclasses.fields(DeployOptions)
    return {f.name: f.metadata["help"] for f in fields if f.name not in INTERNAL}


def options_from_text(values: dict[str, str]) -> DeployOptions:
    """Options from launch arguments; "" leaves a default alone. Raises UsageError naming a bad one."""
    kinds = {f.name: str(f.type) for f in dataclasses.fields(DeployOptions)}
    given: dict[str, Any] = {}
    for name, text in values.items():
        if name not in kinds:
            raise UsageError(f"unknown argument '{name}': choose among {', '.join(arguments())}")
        if text != "":
            given[name] = _parse(name, text, kinds[name])
    return DeployOptions(**given)


def _parse(name: str, text: str, kind: str) -> Any:
    if kind.startswith("bool"):
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{name} is '{text}', but must be true or false")
        return text.lower() == "true"
    if kind.startswith("int"):
        if not re.fullmatch(r"-?\d+", text):
            raise UsageError(f"{name} is '{text}', but must be a whole number")
        return int(text)
    return text
