"""Faults of the simulated robot, switched on and off while it drives.

`ros2 param set /sim_node fault.camera_drop 1.0` loses every frame; the service `~/clear_faults` ends all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.sim.faults import TIMING, Faults

_PREFIX = "fault."


def _spec(name: str, text: str, low: float = 0.0, high: float = 0.0, choices: tuple[str, ...] = ()) -> Spec:
    default = getattr(Faults(), name)
    if isinstance(default, (bool, str)):
        return Spec(_PREFIX + name, default, text, choices=choices, dynamic=True)
    return Spec(_PREFIX + name, default, text, low, high, dynamic=True)


FAULT_SPECS = (
    _spec("camera", "Camera that has the fault.camera_* faults; empty = all."),
    _spec("camera_drop", "Share of camera frames that are lost.", 0.0, 1.0),
    _spec(
        "camera_freeze",
        "Repeat the last picture under new stamps (pixels), or the last message with its stamp (message).",
        choices=("", "pixels", "message"),
    ),
    _spec("camera_blur", "Standard deviation of a Gaussian blur, pixels; 0.0 = none.", 0.0, 20.0),
    _spec("camera_offset", "Shift of the picture to the right, pixels; 0 = none.", -1000, 1000),
    _spec("camera_latency", "Frames come late by this time, under the stamp of capture, seconds.", 0.0, 10.0),
    _spec("odom_freeze", "Odometry repeats its last values under new stamps."),
    _spec("action_latency", "The base gets commands late by this time, seconds.", 0.0, 10.0),
    _spec("base_held", "Something holds the base: it stands, whatever it is told."),
)


class FaultControl:
    """The faults that are on, by parameter; invalid ones are refused when they are set."""

    def __init__(self, node: Node, parameters: Parameters, cameras: Sequence[str], lockstep: bool) -> None:
        """Raises UsageError where the values at the start cannot be used."""
        self._node, self._parameters = node, parameters
        self._cameras, self._lockstep = tuple(cameras), lockstep
        if problem := self._problem(self.now()):
            raise UsageError(f"sim_node cannot have this fault: {problem}")
        node.add_on_set_parameters_callback(self._on_set)
        node.create_service(Trigger, "~/clear_faults", self._on_clear)

    def now(self) -> Faults:
        """What is wrong at the moment."""
        names = [field.name for field in dataclasses.fields(Faults)]
        return Faults(**{name: self._parameters[_PREFIX + name] for name in names})

    def _problem(self, faults: Faults) -> str:
        """Why these faults cannot be, or ""."""
        if faults.camera and faults.camera not in self._cameras:
            known = ", ".join(self._cameras)
            return f"fault.camera is '{faults.camera}': choose among {known}, or leave it empty for all"
        timing = [name for name in faults.active() if name in TIMING]
        if faults.camera_freeze == "message":
            timing.append("camera_freeze")
        if timing and self._lockstep:
            return (
                f"fault.{timing[0]} takes frames or commands away, for which lockstep would wait for ever: "
                "set lockstep to false"
            )
        return ""

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        given = {p.name.removeprefix(_PREFIX): p.value for p in parameters if p.name.startswith(_PREFIX)}
        known = {name: value for name, value in given.items() if name in Faults.__dataclass_fields__}
        # The types are checked by the parameters' own callback, which runs after this one.
        good = all(type(value) is type(getattr(Faults(), name)) for name, value in known.items())
        problem = self._problem(dataclasses.replace(self.now(), **known)) if good else ""
        return SetParametersResult(successful=not problem, reason=problem)

    def _on_clear(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        were = self.now().active()
        off = [Parameter(_PREFIX + f.name, value=f.default) for f in dataclasses.fields(Faults)]
        self._node.set_parameters(off)
        response.success = True
        response.message = f"ended: {', '.join(were)}" if were else "there were no faults"
        return response
