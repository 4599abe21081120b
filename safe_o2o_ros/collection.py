"""The graph in which an operator drives and recorder_node records: the deployment graph, and one node more.

Plain Python, as graph.py. `launch/collect.launch.py` and `safe-o2o record` start it.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.graph import PACKAGE, Graph, NodeSpec, deployment
from safe_o2o_ros.graph import arguments as deployment_arguments
from safe_o2o_ros.options import options_from_text
from safe_o2o_ros.types import Mode

RECORDER = "recorder_node"
_LEFT_OUT = ("lockstep", "finetune", "experience_dir", "train", "release")
"""Arguments of the deployment that have no place here."""


def _option(text: str) -> Any:
    return field(default="", metadata={"help": text})


@dataclass(frozen=True)
class CollectOptions:
    """What a user may choose beside the deployment's arguments; "" leaves the parameters file alone."""

    out: str = _option("Folder of the takes; needed.")
    cameras: str = _option("Cameras to record, as front,back; those of the bundle if empty.")
    images: str = _option("How pictures that come raw are stored: jpeg, png or raw.")
    cost_from: str = _option("What costs: some of bumper,e_stop,operator,topic.")
    reward_from: str = _option("What rewards: topic, goal or none.")
    robot: str = _option("Robot that drives, for the import: a known adapter or a base's .yaml file.")
    autostart: str = _option("true records from the start on; else the start key or service begins.")
    policy: str = _option("true lets the bundle's policy drive while the operator does not.")
    only: str = _option("true starts the recorder alone, beside a graph that runs.")


def arguments() -> dict[str, str]:
    """Launch arguments and what each means, in order."""
    own = {f.name: f.metadata["help"] for f in dataclasses.fields(CollectOptions)}
    return own | {name: text for name, text in deployment_arguments().items() if name not in _LEFT_OUT}


def collection(values: dict[str, str]) -> Graph:
    """The graph for launch arguments; "" leaves a default alone.

    Raises UsageError, BaseFileError, BundleError, ResourceError.
    """
    names = [f.name for f in dataclasses.fields(CollectOptions)]
    unknown = [name for name in values if name not in arguments()]
    if unknown:
        raise UsageError(f"unknown argument '{unknown[0]}': choose among {', '.join(arguments())}")
    own = CollectOptions(**{name: values.get(name, "") for name in names})
    if not own.out:
        raise UsageError("there is no place to record to: name a folder with out")
    options = options_from_text({name: text for name, text in values.items() if name not in names})
    if options.mode is None and not _true("policy", own.policy):
        # An operator's command passes within the limits in every mode; nobody else asks for anything.
        options = dataclasses.replace(options, mode=Mode.LIMITS_ONLY.value)
    graph = deployment(options)
    safety = next(node for node in graph.nodes if node.name == "safety_filter_node")
    recorder = NodeSpec(
        RECORDER,
        PACKAGE,
        RECORDER,
        _parameters(own, safety),
        remaps=safety.remaps,
        essential=_true("only", own.only),
        respawn=options.use_respawn,
    )
    nodes = [node for node in graph.nodes if node.name != "policy_node" or _true("policy", own.policy)]
    if _true("only", own.only):
        nodes = []
    return dataclasses.replace(graph, nodes=(*nodes, recorder))


def _parameters(own: CollectOptions, safety: NodeSpec) -> dict[str, Any]:
    adapter = own.robot or safety.parameters.get("adapter")
    given: dict[str, Any] = {
        "out": str(Path(own.out).absolute()),
        "cameras": _names(own.cameras),
        "images": own.images,
        "cost_from": _names(own.cost_from),
        "reward_from": own.reward_from,
        "adapter": adapter,
        "bundle": safety.parameters.get("bundle"),
        "task": safety.parameters.get("task"),
        "use_sim_time": safety.parameters.get("use_sim_time"),
    }
    if own.autostart:
        given["autostart"] = _true("autostart", own.autostart)
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text) if name]


def _true(name: str, text: str) -> bool:
    if text.lower() not in ("", "true", "false"):
        raise UsageError(f"{name} is '{text}', but must be true or false")
    return text.lower() == "true"
