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
from safe_o2o_ros.options import DeployOptions, arguments, check, options_from_text
from safe_o2o_ros.resources import share_path
from safe_o2o_ros.robot import ADAPTERS
from safe_o2o_ros.types import Mode

__all__ = ["DeployOptions", "Graph", "NodeSpec", "arguments", "deployment", "options_from_text"]

PACKAGE = "safe_o2o_ros"
_TASK = "PointGoal1"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
"""For every process: networks run on one thread each; spinning pools would take their neighbours' cores."""
USER_ERROR = 2
"""Exit code of a node that was started wrongly: restarting it cannot help, so it ends the graph."""


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


def default_bundle(task: str) -> Path:
    """The bundle shipped for a task, models/<snake_case>. Raises ResourceError if there is none."""
    return share_path("models", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", task).lower())


def deployment(options: DeployOptions) -> Graph:
    """The graph for these options. Raises UsageError, BaseFileError, BundleError, ResourceError."""
    check(options)
    bundle = options.bundle or (str(default_bundle(options.task or _TASK)) if options.sim else None)
    manifest = read_manifest(Path(bundle)) if bundle else None
    task = options.task or (manifest.task if options.sim and manifest else None)
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
    if options.finetune:
        stack.append(_finetuner(options, common))
    nodes = [_simulator(options, manifest, common, base, stack)] if options.sim else []
    nodes += stack
    serves = options.use_camera_node
    if serves or (serves is None and not options.sim and _lists_cameras(params_file)):
        nodes.append(_cameras(options, common))
    watches = options.use_monitor
    if watches or (watches is None and not options.lockstep):
        nodes.append(_monitor(options, manifest, common, base))
    if options.release:
        given = _given(use_sim_time=common["use_sim_time"])
        nodes.append(NodeSpec("release_node", PACKAGE, "release_node", given, respawn=options.use_respawn))
    if options.use_rviz:
        config = ("-d", _rviz_config(options))
        nodes.append(
            NodeSpec("rviz2", "rviz2", "rviz2", _given(use_sim_time=common["use_sim_time"]), (), config)
        )
    return Graph(
        nodes=tuple(dataclasses.replace(node, remaps=base.remaps) for node in nodes),
        namespace=options.namespace,
        params_file=params_file.absolute(),
        log_level=options.log_level,
        environment=dict(ONE_THREAD),
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
        # A record of every period needs a word on every command.
        state_every_tick=True if options.record_dir or options.finetune else None,
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


def _finetuner(options: DeployOptions, common: dict[str, Any]) -> NodeSpec:
    if common["bundle"] is None:
        raise UsageError("finetune needs a bundle: it says what the cameras and actions are")
    store = options.experience_dir
    given = _given(
        **common,
        variant=options.variant,
        experience_dir=str(Path(store).absolute()) if store else None,
        train=options.train,
        # The simulator says both in every period.
        require_outcomes=True if options.sim else None,
    )
    respawn = options.use_respawn and not options.lockstep
    return NodeSpec("finetune_node", PACKAGE, "finetune_node", given, respawn=respawn)


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


def _check_robot(base: Base, manifest: Manifest | None) -> None:
    if base.adapter and manifest and base.adapter.name != manifest.adapter.name:
        raise BundleMismatchError(
            f"bundle {manifest.version} drives the robot '{manifest.adapter.name}', but the base file "
            f"describes '{base.adapter.name}': give the bundle or the base that belongs to the other"
        )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
