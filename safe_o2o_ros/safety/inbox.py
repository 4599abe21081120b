"""What the safety filter has heard, when, and what of it may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.safety.filter import FilterInputs, Refusal
from safe_o2o_ros.safety.freshness import Freshness
from safe_o2o_ros.safety.odometry import OdometryCheck
from safe_o2o_ros.types import FloatArray, Latent, MeasuredSpeed, Mode, Proposal, Reason

LATENT, NOMINAL, OPERATOR = "latent", "cmd_vel_nominal", "cmd_vel_teleop"
E_STOP, ODOM = "e_stop", "odom"
_PAIR = "pair"
"""A latent and a command of one stamp: both may be fresh and yet never fit together."""


@dataclass(frozen=True)
class Timeouts:
    """Largest ages, seconds."""

    image: float = 0.5
    """Of latent and nominal command, and how long a refused one is held against them."""
    operator: float = 0.5
    """The operator's dead-man."""
    e_stop: float = 0.5
    odom: float = 0.5

    def by_input(self) -> dict[str, float]:
        """Input name -> largest age, in the order of blame."""
        return {
            LATENT: self.image,
            NOMINAL: self.image,
            _PAIR: self.image,
            OPERATOR: self.operator,
            E_STOP: self.e_stop,
            ODOM: self.odom,
        }


@dataclass(frozen=True)
class InboxConfig:
    """What may be used."""

    version: str = ""
    """Bundle version of the latents that are understood from the start, "" = none; see Inbox.hold."""
    latent_size: int = 0
    use_e_stop: bool = False
    use_odom: str = "auto"
    """"auto", "never", or "require": brake without it."""
    patient: bool = False
    """Simulated time stands still: no wall time is held against anyone, except for silence. Odometry is that
    of the frame, and its clock the stamps."""


class Inbox:
    """`note_*` what comes, then ask for inputs. Every time is steady-clock seconds, given by the caller."""

    def __init__(self, adapter: RobotAdapter, config: InboxConfig, timeouts: Timeouts) -> None:
        self._config, self._timeouts = config, timeouts
        self._held = {config.version: config.latent_size} if config.version else {}
        self._freshness = Freshness(timeouts.by_input())
        self._odometry = OdometryCheck(adapter)
        self._operator: FloatArray | None = None
        self._operator_wrong_s = -np.inf
        self._pressed_s = -np.inf
        self._forget()

    def _forget(self) -> None:
        self._latent: Latent | None = None
        self._proposal: Proposal | None = None
        self._answered_ns: int | None = None
        self._refusals: dict[str, tuple[Refusal, float]] = {}

    def reset(self) -> None:
        """Forget what policy and encoder said. Operator, e-stop and odometry speak of now, and stay."""
        self._forget()
        self._freshness.forget((LATENT, NOMINAL, _PAIR))

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Change the largest ages."""
        if timeouts != self._timeouts:
            self._timeouts = timeouts
            self._freshness.set_timeouts(timeouts.by_input())

    def hold(self, version: str, latent_size: int) -> None:
        """Latents of another bundle are understood from now on."""
        self._held[version] = latent_size

    def release(self, version: str) -> None:
        """Latents of a bundle are not understood any more."""
        self._held.pop(version, None)

    @property
    def versions(self) -> tuple[str, ...]:
        """Bundles whose latents are understood."""
        return tuple(self._held)

    def note_latent(self, latent: Latent, now_s: float) -> None:
        """A latent came; one of a bundle that is not held is refused."""
        if self._held.get(latent.version) != latent.feature.size:
            self.refuse(Reason.UNKNOWN_BUNDLE, LATENT, now_s)
            return
        if not np.isfinite(latent.feature).all():
            self.refuse(Reason.NON_FINITE, LATENT, now_s)
        if self._freshness.note(LATENT, latent.stamp_ns, now_s):
            self._latent = latent

    def note_proposal(self, proposal: Proposal, now_s: float) -> None:
        """A nominal command came."""
        if not np.isfinite(proposal.action).all():
            self.refuse(Reason.NON_FINITE, NOMINAL, now_s)
        if self._freshness.note(NOMINAL, proposal.stamp_ns, now_s):
            self._proposal = proposal

    def note_operator(self, raw: FloatArray, stamp_ns: int | None, now_s: float) -> None:
        """The operator's command came, as a raw action (A,); `stamp_ns`: None when it carries none."""
        if not np.isfinite(raw).all():
            self._operator_wrong_s = now_s
        if self._freshness.note(OPERATOR, stamp_ns, now_s):
            self._operator = raw

    def note_e_stop(self, pressed: bool, now_s: float) -> None:
        """The e-stop says whether it is pressed."""
        self._freshness.note(E_STOP, None, now_s)
        if pressed:
            self._pressed_s = now_s

    def note_odom(self, speed: FloatArray, stamp_ns: int, now_s: float) -> None:
        """Odometry measured `speed` (A,), m/s and rad/s in base_link."""
        if self._freshness.note(ODOM, stamp_ns, now_s):
            self._odometry.note(speed, self._odom_s(now_s))

    def refuse_odom(self, problem: str, now_s: float) -> None:
        """Odometry came that cannot be used."""
        self._odometry.refuse(problem, now_s)

    def refuse(self, reason: Reason, name: str, now_s: float) -> None:
        """An input came that must not be used.

        It is held against the others for a while: what alternates between right and wrong is wrong.
        """
        self._refusals[name] = Refusal(reason, name), now_s

    def deadline(self, mode: Mode, enabled: bool, closing: bool, now_s: float) -> FilterInputs:
        """Everything the filter may know when time has passed."""
        return FilterInputs(
            enabled,
            self._latent,
            self._proposal,
            self._late(mode, now_s),
            closing,
            self._lock(now_s),
            self._driving_operator(now_s),
            self._refused(mode, now_s),
            deadline=True,
            speed=None if self._config.use_odom == "never" else self._measured(now_s),
        )

    def _measured(self, now_s: float) -> MeasuredSpeed | None:
        return self._odometry.measured(self._odom_late(now_s), self._odom_s(now_s))

    def _odom_late(self, now_s: float) -> bool:
        return not self._config.patient and self._freshness.is_late(ODOM, now_s)

    def _odom_s(self, now_s: float) -> float:
        """The clock of odometry, seconds."""
        return (self._freshness.stamp_ns(ODOM) or 0) * 1e-9 if self._config.patient else now_s

    def is_due(self, inputs: FilterInputs) -> bool:
        """Whether a deadline's inputs are to be answered: a brake or an operator waits for nobody."""
        if inputs.late_input or inputs.closing:
            return True
        # In lockstep everything else waits for the frame, since simulated time waits too.
        urgent = inputs.e_stop or not inputs.enabled or inputs.operator is not None or inputs.refusal
        return bool(urgent) and not self._config.patient

    def question(self, mode: Mode, enabled: bool, closing: bool, now_s: float) -> FilterInputs | None:
        """The same for a command that waits for its answer, with its latent; None when none does."""
        proposal, latent = self._proposal, self._latent
        if proposal is None or proposal.stamp_ns == self._answered_ns:
            return None
        if mode is not Mode.LIMITS_ONLY and (latent is None or latent.stamp_ns != proposal.stamp_ns):
            return None
        awaited = self._config.patient and self._config.use_odom != "never"
        if awaited and self._freshness.stamp_ns(ODOM) != proposal.stamp_ns:
            return None  # it was sent before the frame, and may still arrive after the answer to it
        self._answered_ns = proposal.stamp_ns
        self._freshness.note(_PAIR, None, now_s)
        inputs = replace(self.deadline(mode, enabled, closing, now_s), deadline=False)
        return replace(inputs, late_input="") if self._config.patient else inputs

    def odom_problem(self, now_s: float) -> str:
        """Why odometry is not used, or "" if it is."""
        if self._config.use_odom == "never":
            return "not used"
        return self._odometry.problem(self._odom_late(now_s))

    def e_stop(self, now_s: float) -> str:
        """ "not used", "clear", "pressed" or "silent"."""
        if not self._config.use_e_stop:
            return "not used"
        if self._freshness.is_late(E_STOP, now_s):
            return "silent"
        # A button whose contact bounces is pressed.
        return "pressed" if now_s - self._pressed_s <= self._timeouts.e_stop else "clear"

    def ages_s(self, now_s: float) -> Mapping[str, float]:
        """Age of every input by name, seconds, infinity when never received."""
        return {name: age for name, age in self._freshness.ages_s(now_s).items() if name != _PAIR}

    def _lock(self, now_s: float) -> str:
        state = self.e_stop(now_s)
        return state if state in ("pressed", "silent") else ""

    def _driving_operator(self, now_s: float) -> FloatArray | None:
        if self._operator is None or self._freshness.is_late(OPERATOR, now_s):
            return None
        if now_s - self._operator_wrong_s <= self._timeouts.operator:
            return np.full_like(self._operator, np.nan)
        return self._operator

    def _refused(self, mode: Mode, now_s: float) -> Refusal | None:
        if self._config.patient:
            return None
        for name, (refusal, since_s) in self._refusals.items():
            looked_at = name != LATENT or mode is not Mode.LIMITS_ONLY
            if looked_at and now_s - since_s <= self._timeouts.image:
                return refusal
        return None

    def _late(self, mode: Mode, now_s: float) -> str:
        needed = (NOMINAL, _PAIR) if mode is Mode.LIMITS_ONLY else (LATENT, NOMINAL, _PAIR)
        late = self._freshness.late(now_s, needed)
        if not late and self._config.use_odom == "require" and self.odom_problem(now_s):
            return ODOM
        return NOMINAL if late == _PAIR else late
