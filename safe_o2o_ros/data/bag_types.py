"""Message types of a bag: those it defines, those the user defines, and ROS 2's own for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safe_o2o_ros.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_TYPE = re.compile(r"(?P<package>[a-z]\w*)/(?:msg/)?(?P<name>[A-Z]\w*)")
_RULE = "=" * 80 + "\n"
_BASE, _NAME = 1, 2
"""Kinds of fields in rosbags' descriptions (rosbags.interfaces.Nodetype)."""


def full_name(kind: str) -> str:
    """`pkg/Name` or `pkg/msg/Name` as the latter. Raises UsageError."""
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise UsageError(f"'{kind}' is not a message type such as my_msgs/msg/Bump")
    return f"{match['package']}/msg/{match['name']}"


def read_definitions(items: Iterable[str]) -> dict[str, str]:
    """--msg-def TYPE=FILE items as type -> text of the .msg file. Raises UsageError."""
    found = {}
    for item in items:
        kind, separator, path = item.partition("=")
        if not separator:
            raise UsageError(f"--msg-def takes TYPE=FILE, got '{item}'")
        name = full_name(kind)
        try:
            found[name] = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the message definition '{path}' cannot be read: check its path") from error
    return found


class BagTypes:
    """Deserialises messages; see `lacks` for whether a type is known."""

    def __init__(self, given: Mapping[str, str], embedded: Iterable[tuple[str, str]] = ()) -> None:
        """`given`: type -> .msg text of the user; `embedded`: (type, text) from the bag.

        Raises UsageError when a text of the user is no message definition.
        """
        from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

        types: dict[str, Any] = {}
        self.notes: list[str] = []
        for kind, text in embedded:
            try:
                types |= _parse(kind, text)
            except (TypesysError, AssertionError, ValueError, KeyError):
                self.notes.append(f"the bag's own definition of {kind} is damaged")
        for kind, text in given.items():
            try:
                types |= get_types_from_msg(text, kind)
            except (TypesysError, ValueError) as error:
                raise UsageError(
                    f"the definition of {kind} is no .msg text ({_first(error)}): mend it"
                ) from error
        self._store: Typestore = get_typestore(Stores.ROS2_JAZZY)
        standard = self._store.fielddefs
        own = {kind: fields for kind, fields in types.items() if standard.get(kind) != fields}
        if any(kind in standard for kind in own):
            # A type that has another form in this bag's ROS: what stands in the bag counts.
            self._store = get_typestore(Stores.EMPTY)
            own = dict(standard) | own
        self._store.register(own)

    def lacks(self, kind: str) -> str | None:
        """The type that must still be defined before messages of `kind` can be read; None: nothing."""
        seen: set[str] = set()
        waiting = [kind]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self._store.fielddefs:
                return name
            for _, description in self._store.fielddefs[name][1]:
                waiting += _needed(description)
        return None

    def read(self, data: bytes, kind: str) -> Any:
        """A message. Raises RecordingError where the data is not one of that type."""
        from rosbags.serde import SerdeError

        try:
            return self._store.deserialize_cdr(data, kind)
        except (SerdeError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
            raise RecordingError(f"a message is no {kind} ({_first(error)})") from error

    def plain_fields(self, kind: str) -> list[tuple[str, str]]:
        """(name, base type such as "bool") of the fields that are no messages or lists."""
        fields = self._store.fielddefs[kind][1]
        return [(name, str(detail[0])) for name, (node, detail) in fields if node == _BASE]

    def base_at(self, kind: str, path: str) -> str | None:
        """Base type, such as "bool", of the field at a dotted path; None: no such field."""
        base: str | None = None
        found: Any
        for part in path.split("."):
            name, bracket, _ = part.partition("[")
            found = dict(self._store.fielddefs[kind][1]).get(name) if kind in self._store.fielddefs else None
            if found is None:
                return None
            node, detail = found
            if (node not in (_BASE, _NAME)) != bool(bracket):
                return None
            if bracket:
                node, detail = detail[0]
            kind = str(detail) if node == _NAME else ""
            base = None if node == _NAME else str(detail[0])
        return base


def _needed(description: Any) -> list[str]:
    """The message types that one field is made of."""
    node, detail = description
    if node == _NAME:
        return [str(detail)]
    return [] if node == _BASE else _needed(detail[0])


def _parse(kind: str, text: str) -> dict[str, Any]:
    """Types that a bag's definition text defines, in either of ROS 2's two languages."""
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if not text.startswith(f"{_RULE}IDL: "):
        return dict(get_types_from_msg(text, kind))
    found: dict[str, Any] = {}
    for part in text.split(_RULE)[1:]:
        found |= get_types_from_idl(part.split("\n", 1)[1])
    return found


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
