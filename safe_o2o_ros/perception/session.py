"""The encoder through time: which executed action belongs to which frame set, and how long to wait for it."""

from __future__ import annotations

from safe_o2o_ros.perception.encoder import EncoderState, RecurrentEncoder
from safe_o2o_ros.perception.history import History
from safe_o2o_ros.types import FloatArray, FrameSet, Latent


class EncoderSession:
    """Feed it frame sets and executed commands; `step` answers when both sides of a period are there.

    A period's recurrent step takes the frame set and the action executed since the previous frame
    set, which is the command stamped with that previous one. Lockstep waits for it without bound and
    takes the first (a simulated robot steps on the first). Real time takes the latest in force, waits
    `wait_s` at most, then goes on with the last action known, and counts a fault.
    """

    def __init__(
        self,
        encoder: RecurrentEncoder,
        zero: FloatArray,
        lockstep: bool,
        wait_s: float,
        history: History | None = None,
    ) -> None:
        """`zero`: (A,) action assumed before any command was heard. `history`: gets every step made."""
        self._encoder = encoder
        self._history = history
        self._zero = zero
        self._lockstep = lockstep
        self._wait_s = wait_s
        self.faults = 0
        """Steps made without the command they belong to."""
        self.restart()

    def restart(self) -> None:
        """An episode starts: forget everything, frames included."""
        self._state = self._encoder.initial()
        self._previous_ns: int | None = None
        self._executed: tuple[int, FloatArray] | None = None
        self._pending: FrameSet | None = None
        self._received_s = 0.0
        if self._history is not None:
            self._history.restart()

    @property
    def state(self) -> EncoderState:
        """What the encoder carries now."""
        return self._state

    @property
    def pending_ns(self) -> int | None:
        """Stamp of the frame set that waits, or None."""
        return None if self._pending is None else self._pending.stamp_ns

    def change(self, encoder: RecurrentEncoder, state: EncoderState) -> None:
        """The next step is `encoder`'s, from `state`: one it has reached by the same frames and actions."""
        # Before an episode's first step there is nothing to carry.
        self._state = encoder.initial() if self._state.is_first else state
        self._encoder = encoder

    def executed(self, stamp_ns: int, action: FloatArray) -> None:
        """A command (A,) was sent to the base in answer to the frame set of `stamp_ns`."""
        if self._lockstep and self._executed is not None and self._executed[0] == stamp_ns:
            return
        self._executed = (stamp_ns, action)

    def frames(self, frames: FrameSet, now_s: float) -> None:
        """A frame set came; it replaces one that still waits. `now_s`: steady clock, seconds."""
        self._pending, self._received_s = frames, now_s

    def waiting_s(self, now_s: float) -> float | None:
        """Seconds until `step` will go on by itself; None when it waits for a message."""
        if self._pending is None or (self._lockstep and not self._ready()):
            return None
        return 0.0 if self._ready() else max(0.0, self._received_s + self._wait_s - now_s)

    def step(self, now_s: float) -> Latent | None:
        """The latent of the waiting frame set, or None. Raises FrameError, NonFiniteError."""
        if self.waiting_s(now_s) != 0.0 or self._pending is None:
            return None
        if not self._ready():
            self.faults += 1
        frames, self._pending = self._pending, None
        action = self._zero if self._executed is None else self._executed[1]
        first = self._state.is_first
        self._state, latent = self._encoder.step(self._state, frames, action)
        if self._history is not None:
            self._history.add(frames, action, first)
        self._previous_ns = frames.stamp_ns
        return latent

    def _ready(self) -> bool:
        if self._previous_ns is None:
            return True
        return self._executed is not None and self._executed[0] == self._previous_ns
