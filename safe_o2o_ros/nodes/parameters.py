"""Parameters with a description and a range, checked at start and on every set.

Overrides nobody declared are refused in one sentence: ROS ignores them silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from safe_o2o_ros.errors import UsageError

_BUILT_IN = ("use_sim_time", "start_type_description_service")


@dataclass(frozen=True)
class Spec:
    """One parameter. Its type is that of `default`."""

    name: str
    default: Any
    description: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    dynamic: bool = False
    """May be changed while the node runs."""

    def problem(self, value: Any) -> str:
        """What is wrong with `value`, or ""."""
        if isinstance(self.default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not type(self.default):
            return f"must be of type {type(self.default).__name__}, not {type(value).__name__}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not '{value}'"
        if isinstance(value, (int, float)) and not self.low <= value <= self.high:
            return f"is {value}, but must be between {self.low:g} and {self.high:g}"
        return ""


class Parameters:
    """The declared parameters of one node; `values[name]` is always a checked value."""

    def __init__(self, node: Node, specs: Sequence[Spec]) -> None:
        """`node` must have been made with automatically_declare_parameters_from_overrides=True.

        Raises UsageError on an unknown or invalid override.
        """
        self._specs = {spec.name: spec for spec in specs}
        self._name = node.get_name()
        given = {n: p.value for n, p in node.get_parameters_by_prefix("").items() if n not in _BUILT_IN}
        unknown = sorted(set(given) - set(self._specs))
        if unknown:
            raise UsageError(
                f"{self._name} has no parameter '{unknown[0]}': choose among {', '.join(sorted(self._specs))}"
            )
        self.values: dict[str, Any] = {}
        for spec in specs:
            value = given.get(spec.name, spec.default)
            if problem := spec.problem(value):
                raise UsageError(f"parameter '{spec.name}' of {self._name} {problem}")
            if spec.name in given:
                node.undeclare_parameter(spec.name)
            value = type(spec.default)(value)
            node.declare_parameter(spec.name, value, _descriptor(spec), ignore_override=True)
            self.values[spec.name] = value
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        """The current value of a declared parameter."""
        return self.values[name]

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            if problem := spec.problem(parameter.value):
                return SetParametersResult(successful=False, reason=f"'{spec.name}' {problem}")
        for parameter in parameters:
            if parameter.name in self._specs:
                self.values[parameter.name] = parameter.value
        return SetParametersResult(successful=True)


def _descriptor(spec: Spec) -> ParameterDescriptor:
    text = spec.description
    if spec.choices:
        text += f" One of: {', '.join(spec.choices)}."
    if math.isfinite(spec.low) or math.isfinite(spec.high):
        text += f" Range [{spec.low:g}, {spec.high:g}]."
    return ParameterDescriptor(description=text, read_only=not spec.dynamic)
