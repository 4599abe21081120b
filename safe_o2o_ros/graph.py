"""The one description of the deployment graph: which nodes, with which parameters, under which conditions.

Plain Python. `launch/deploy.launch.py` turns it into launch_ros actions, `processes.py` into processes.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from safe_o2o_ros.base import Base, read_base
from safe_o2o_ros.errors import BundleMismatchError, UsageError
from safe_o2o_ros.manifest import Manifest, read_manifest
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.robot import ADAPTERS
from safe_o2o_ros.types import Mode

PACKAGE = "safe_o2o_ros"
USER_ERROR = 2
"""Exit code of a node that was started wrongly: restarting it cannot help, so it ends the graph."""
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class NodeSpec:
    """One process."""

    name: str
    package: str
    executable: str
    """Name under `lib/<package>`; of this package also the module `safe_o2o_ros.nodes.<executable>`."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """What the options ask for, over the parameters file."""
    remaps: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    essential: bool = False
    """Its end is the graph's end."""
    respawn: bool = False
    """Started again when it dies."""


@dataclass(frozen=True)
class Graph:
    """Everything a launcher needs."""

    nodes: tuple[NodeSpec, ...]
    namespace: str
    params_file: Path | None
    log_level: str
    environment: dict[str, str]
    """Set for every process."""


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class DeployOptions:
    """What a user may choose. None leaves the value of the parameters file alone."""

    sim: bool = _option(False, "Start sim_node in the place of cameras and base.")
    task: str | None = _option(None, "Task the bundle was made for; with sim, the simulated one.")
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
    use_rviz: bool = _option(False, "Start RViz (needs rviz2 of a ROS 2 installation).")
    rviz_config: str | None = _option(None, "RViz configuration; the shipped one if not given.")
    use_respawn: bool = _option(False, "Start a node again when it dies.")
    record_dir: str | None = _option(None, "Folder for one log per episode (lockstep).")
    top_size: int | None = _option(None, "Pixels of the view from above in these logs; 0 = no pictures.")
    progress: bool = _option(False, "sim_node reports progress as JSON lines on stdout.")


def default_bundle(task: str) -> Path:
    """The bundle shipped for a task, models/<snake_case>. Raises ResourceError if there is none."""
    return share_path("models", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", task).lower())


def deployment(options: DeployOptions) -> Graph:
    """The graph for these options. Raises UsageError, BaseFileError, BundleError, ResourceError."""
    _check(options)
    task = options.task or ("PointGoal1" if options.sim else None)
    bundle = options.bundle or (str(default_bundle(task)) if options.sim and task else None)
    manifest = read_manifest(Path(bundle)) if bundle else None
    base = read_base(options.base) if options.base else Base(Path())
    _check_robot(base, manifest)
    params_file = Path(options.params_file) if options.params_file else share_path("config", "deploy.yaml")
    if not params_file.is_file():
        raise UsageError(f"the parameters file '{params_file}' does not exist: check params_file")
    common = {
        "bundle": str(Path(bundle).absolute()) if bundle else None,
        "task": task,
        "lockstep": options.lockstep or None,
        "use_sim_time": options.lockstep or None if options.use_sim_time is None else options.use_sim_time,
    }
    stack = _stack(options, common, base)
    nodes = [_simulator(options, manifest, common, base, stack)] if options.sim else []
    nodes += stack
    serves = options.use_camera_node
    if serves or (serves is None and not options.sim and _lists_cameras(params_file)):
        nodes.append(_cameras(options, common))
    watches = options.use_monitor
    if watches or (watches is None and not options.lockstep):
        nodes.append(_monitor(options, manifest, common, base))
    nodes = [dataclasses.replace(node, remaps=base.remaps) for node in nodes]
    if options.use_rviz:
        config = ("-d", _rviz_config(options))
        nodes.append(
            NodeSpec("rviz2", "rviz2", "rviz2", _given(use_sim_time=common["use_sim_time"]), (), config)
        )
    return Graph(
        nodes=tuple(nodes),
        namespace=options.namespace,
        params_file=params_file.absolute(),
        log_level=options.log_level,
        environment=_environment(),
    )


def _stack(options: DeployOptions, common: dict[str, Any], base: Base) -> list[NodeSpec]:
    """What runs on a robot and in simulation alike."""

    def node(name: str, **parameters: Any) -> NodeSpec:
        given = _given(**common, **parameters)
        respawn = options.use_respawn and not options.lockstep
        # In lockstep nothing goes on without any of them; on a robot the filter brakes and the others live.
        return NodeSpec(name, PACKAGE, name, given, essential=options.lockstep, respawn=respawn)

    adapter = None
    if base.adapter and common["bundle"] is None:
        known = ADAPTERS.get(base.adapter.name) == base.adapter
        adapter = base.adapter.name if known else str(base.path)
    safety = node(
        "safety_filter_node",
        mode=options.mode,
        adapter=adapter,
        start_enabled=True if options.sim and options.start_enabled is None else options.start_enabled,
        enable_stamped_cmd_vel=_stamped(options, base),
        state_every_tick=True if options.record_dir else None,
        use_e_stop=True if "e_stop" in base.topics else None,
        base_frame_id=base.base_frame_id,
        **base.limits,
    )
    if options.mode == Mode.LIMITS_ONLY.value and common["bundle"] is None:
        return [safety]  # teleoperation: there is nothing yet to encode or to propose with
    encoder = node("encoder_node", base_frame_id=base.base_frame_id)
    return [encoder, node("policy_node"), safety]


def _simulator(
    options: DeployOptions,
    manifest: Manifest | None,
    common: dict[str, Any],
    base: Base,
    stack: list[NodeSpec],
) -> NodeSpec:
    given = _given(
        task=common["task"],
        lockstep=common["lockstep"],
        use_sim_time=common["use_sim_time"],
        # Someone has to tell the time.
        publish_clock=True if options.use_sim_time and not options.lockstep else None,
        variant=options.variant,
        cameras=list(manifest.image.cameras) if manifest else None,
        action_repeat=manifest.action_repeat if manifest else None,
        seed=options.seed,
        episodes=options.episodes,
        max_periods=options.max_periods,
        partners=[n.name for n in stack] if options.lockstep else None,
        record_dir=str(Path(options.record_dir).absolute()) if options.record_dir else None,
        top_size=options.top_size,
        progress=options.progress or None,
        enable_stamped_cmd_vel=_stamped(options, base),
        **_frames(base),
    )
    return NodeSpec("sim_node", PACKAGE, "sim_node", given, essential=True)


def _lists_cameras(params_file: Path) -> bool:
    """The parameters file names cameras that camera_node is to serve. Raises UsageError."""
    try:
        sections = yaml.safe_load(params_file.read_text(encoding="utf-8")) or {}
        for name, section in sections.items():
            if name.split("/")[-1] == "camera_node" and section["ros__parameters"].get("cameras"):
                return True
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"the parameters file '{params_file}' is not one of ROS ({str(error).splitlines()[0]}): "
            "compare it with the shipped config/deploy.yaml"
        ) from error
    return False


def _cameras(options: DeployOptions, common: dict[str, Any]) -> NodeSpec:
    given = _given(bundle=common["bundle"], task=common["task"], use_sim_time=common["use_sim_time"])
    return NodeSpec("camera_node", PACKAGE, "camera_node", given, respawn=options.use_respawn)


def _monitor(
    options: DeployOptions, manifest: Manifest | None, common: dict[str, Any], base: Base
) -> NodeSpec:
    adapter = manifest.adapter if manifest else base.adapter
    given = _given(
        use_sim_time=common["use_sim_time"],
        adapter=adapter.name if adapter and adapter.name in ADAPTERS else None,
        **_frames(base),
    )
    return NodeSpec("monitor_node", PACKAGE, "monitor_node", given, respawn=options.use_respawn)


def _stamped(options: DeployOptions, base: Base) -> bool | None:
    asked = options.enable_stamped_cmd_vel
    return base.enable_stamped_cmd_vel if asked is None else asked


def _frames(base: Base) -> dict[str, str]:
    return _given(base_frame_id=base.base_frame_id, odom_frame_id=base.odom_frame_id)


def _rviz_config(options: DeployOptions) -> str:
    path = Path(options.rviz_config) if options.rviz_config else share_path("rviz", "safe_o2o.rviz")
    if not path.is_file():
        raise UsageError(f"the RViz configuration '{path}' does not exist: check rviz_config")
    return str(path.absolute())


def _environment() -> dict[str, str]:
    # Networks run on one thread each; spinning pools would take the cores from their neighbours.
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


def _check_robot(base: Base, manifest: Manifest | None) -> None:
    if base.adapter and manifest and base.adapter.name != manifest.adapter.name:
        raise BundleMismatchError(
            f"bundle {manifest.version} drives the robot '{manifest.adapter.name}', but the base file "
            f"describes '{base.adapter.name}': give the bundle or the base that belongs to the other"
        )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _check(options: DeployOptions) -> None:
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


INTERNAL = ("record_dir", "top_size", "progress")
"""Options for programs, not offered as launch arguments."""


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
