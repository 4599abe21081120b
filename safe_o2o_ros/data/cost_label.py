"""The cost of a recording: one truth value out of bumper, e-stop, the operator's key and a topic.

`safe-o2o import` reads it as a state: it costs 1 in every control period in which it is on.
"""

from __future__ import annotations

BUMPER, E_STOP, OPERATOR, TOPIC = "bumper", "e_stop", "operator", "topic"
COST_SOURCES = (BUMPER, E_STOP, OPERATOR, TOPIC)
REPEAT_NS = 100_000_000
"""A state is said again after this time: readers take one that is not repeated for over (0.5 s)."""

_LATE_NS = 1_000_000_000
"""A time that is earlier by more is of a clock that was set back."""


class CostLabel:
    """Tell it what was heard; `said` collects (time in ns, on), in order. Times are of one clock."""

    def __init__(self, sources: tuple[str, ...], hold_ns: int) -> None:
        """`sources`: of COST_SOURCES, those that count. `hold_ns`: a key costs this long."""
        self._sources, self._hold_ns = sources, hold_ns
        self._states = {BUMPER: False, E_STOP: False}
        self._until_ns = 0
        self._last: tuple[int, bool] | None = None
        self.said: list[tuple[int, bool]] = []
        """What is to be recorded, for the owner to take out."""

    def state(self, source: str, on: bool, now_ns: int) -> None:
        """Bumper or e-stop: what was said last holds."""
        if source in self._sources:
            self._states[source] = on
        self.tick(now_ns)

    def amount(self, value: float, now_ns: int) -> None:
        """A message on the cost topic: anything but zero, also what is not finite, costs in its moment."""
        if TOPIC in self._sources and value != 0.0:
            self._say(now_ns, True)
            # Over at once: the next period has a message of its own.
            self._say(now_ns + 1, self.on(now_ns + 1))
        else:
            self.tick(now_ns)

    def press(self, now_ns: int) -> bool:
        """The operator's key or service; False where it does not count."""
        if OPERATOR not in self._sources:
            return False
        self._until_ns = now_ns + self._hold_ns
        self.tick(now_ns)
        return True

    def on(self, now_ns: int) -> bool:
        """Whether anything costs now, the topic's moments aside."""
        return any(self._states.values()) or now_ns < self._until_ns

    def tick(self, now_ns: int) -> None:
        """Call often: says changes at once, and the state again after REPEAT_NS."""
        on = self.on(now_ns)
        last = self._last
        if last is None or on is not last[1] or not -_LATE_NS < now_ns - last[0] < REPEAT_NS:
            self._say(now_ns, on)

    def again(self, now_ns: int) -> None:
        """A new take begins: say the state at its beginning."""
        self._say(now_ns, self.on(now_ns))

    def _say(self, at_ns: int, on: bool) -> None:
        if self._last is not None and 0 <= self._last[0] - at_ns < _LATE_NS:
            # Received before the last word and taken after it: what is said later must also count later.
            at_ns = self._last[0] + 1
        self._last = (at_ns, on)
        self.said.append((at_ns, on))
