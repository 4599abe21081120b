"""Parameters with a description and a range, checked at start and on every set.

Overrides nobody declared are refused in one sentence: ROS ignores them silently.
"""

from __future__ import annotations

import array
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from safe_o2o_ros.errors import UsageError

_BUILT_IN = ("use_sim_time", "start_type_description_service")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Spec:
    """One parameter. Its type is that of `default`, a bool, int, float, str or a list of one of them.

    A name such as "{cameras}.source" stands for one parameter per entry of the list `cameras`.
    """

    name: str
    default: Any
    description: str
    low: float = -math.inf
    """Of a list: for every entry."""
    high: float = math.inf
    choices: tuple[str, ...] = ()
    """Of a list: for every entry."""
    dynamic: bool = False
    """May be changed while the node runs."""
    element: type = str
    """Type of the entries of a list whose default is empty."""
    length: tuple[int, ...] = ()
    """Allowed lengths of a list; () = any."""
    check: Callable[[Any], str] | None = None
    """Says what else is wrong with a value of the right type ("must ...", "is ..."), or ""."""

    @property
    def is_list(self) -> bool:
        """The value is a list."""
        return isinstance(self.default, list)

    @property
    def kind(self) -> type:
        """Type of the value, or of the entries of a list."""
        if not self.is_list:
            return type(self.default)
        return type(self.default[0]) if self.default else self.element

    def clean(self, value: Any) -> Any:
        """`value` in the one form nodes see: whole numbers as floats, lists as lists, [""] as [].

        ROS has no empty list of strings, and reads an empty list in YAML as no value at all.
        """
        if self.is_list:
            if value is None:
                return []
            if isinstance(value, (list, tuple, array.array)):
                entries = [self._number(v) for v in value]
                return [] if entries == [""] else entries
        return self._number(value)

    def _number(self, value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if whole and self.kind is float else value

    def problem(self, value: Any) -> str:
        """What is wrong with a cleaned value, or ""."""
        wanted = f"list of {self.kind.__name__}" if self.is_list else self.kind.__name__
        if isinstance(value, list) is not self.is_list:
            return f"must be of type {wanted}, not {type(value).__name__}"
        for entry in value if isinstance(value, list) else [value]:
            if type(entry) is not self.kind:
                return f"must be of type {wanted}, not {type(entry).__name__}"
            if self.choices and entry not in self.choices:
                return f"must be one of {', '.join(self.choices)}, not '{entry}'"
            if isinstance(entry, (int, float)) and not self.low <= entry <= self.high:
                return f"is {entry}, but must be {self._bounds() or 'a number'}"
        if self.is_list and self.length and len(value) not in self.length:
            lengths = " or ".join(str(n) for n in self.length)
            return f"has {len(value)} entries, but must have {lengths}"
        return self.check(value) if self.check else ""

    def _bounds(self) -> str:
        low, high = math.isfinite(self.low), math.isfinite(self.high)
        if low and high:
            return f"between {self.low:g} and {self.high:g}"
        if low:
            return f"{self.low:g} or more"
        return f"{self.high:g} or less" if high else ""

    def range_text(self) -> str:
        """The allowed values in words, "" if anything of the type goes."""
        parts = []
        if self.choices:
            parts.append(f"one of {', '.join(self.choices)}")
        if bounds := self._bounds():
            parts.append(bounds)
        if self.length:
            parts.append(f"{' or '.join(str(n) for n in self.length)} entries")
        return ", ".join(parts)


class Parameters:
    """The declared parameters of one node; `values[name]` is always a checked value."""

    def __init__(self, node: Node, specs: Sequence[Spec]) -> None:
        """Declare `specs`. Raises UsageError on an unknown or invalid override."""
        self._name = node.get_name()
        # Not automatically_declare_parameters_from_overrides: it raises on an empty list.
        overrides: Mapping[str, Parameter] = node._parameter_overrides
        given = {name: p.value for name, p in overrides.items() if name not in _BUILT_IN}
        self.values: dict[str, Any] = {}
        for spec in specs:
            if not _PLACEHOLDER.search(spec.name):
                self.values[spec.name] = self._checked(spec, given)
        self._specs = {spec.name: spec for spec in expanded(specs, self.values)}
        unknown = sorted(set(given) - set(self._specs))
        if unknown:
            raise UsageError(
                f"{self._name} has no parameter '{unknown[0]}': choose among {', '.join(sorted(self._specs))}"
            )
        for spec in self._specs.values():
            value = self.values[spec.name] = self._checked(spec, given)
            node.declare_parameter(spec.name, value, _descriptor(spec), ignore_override=True)
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        """The current value of a declared parameter."""
        return self.values[name]

    def _checked(self, spec: Spec, given: Mapping[str, Any]) -> Any:
        value = spec.clean(given.get(spec.name, spec.default))
        if problem := spec.problem(value):
            raise UsageError(f"parameter '{spec.name}' of {self._name} {problem}")
        return value

    def _on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        changed: dict[str, Any] = {}
        for parameter in parameters:
            spec = self._specs.get(parameter.name)
            if spec is None:
                continue
            changed[spec.name] = spec.clean(parameter.value)
            if problem := spec.problem(changed[spec.name]):
                return SetParametersResult(successful=False, reason=f"'{spec.name}' {problem}")
        self.values.update(changed)
        return SetParametersResult(successful=True)


def expanded(specs: Sequence[Spec], values: Mapping[str, Any]) -> Iterator[Spec]:
    """`specs` with each "{list}.name" repeated for every entry of values["list"]."""
    for spec in specs:
        found = _PLACEHOLDER.search(spec.name)
        if found is None:
            yield spec
            continue
        for entry in values[found[1]]:
            yield replace(spec, name=spec.name.replace(found[0], entry))


def _descriptor(spec: Spec) -> ParameterDescriptor:
    allowed = spec.range_text()
    text = f"{spec.description} Allowed: {allowed}." if allowed else spec.description
    # An empty list has no type of its own in ROS; the type of the entries is checked here instead.
    return ParameterDescriptor(description=text, read_only=not spec.dynamic, dynamic_typing=spec.is_list)
