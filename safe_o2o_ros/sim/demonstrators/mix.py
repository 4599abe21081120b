"""Named kinds of demonstrators for each robot, and the mix a data set is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import CAR, POINT, ROOM_BASE, RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Demonstrator
from safe_o2o_ros.sim.demonstrators.car_planner import CAR_PLANNER, CarPlanner
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig
from safe_o2o_ros.sim.demonstrators.point import PointDemonstrator
from safe_o2o_ros.sim.demonstrators.room import CARELESS as ROOM_CARELESS
from safe_o2o_ros.sim.demonstrators.room import WIDE as ROOM_WIDE
from safe_o2o_ros.sim.demonstrators.room import RoomDemonstrator, StraightDemonstrator
from safe_o2o_ros.sim.demonstrators.scripted import Bursts, Noisy, RandomDemonstrator

SAFE = PlannerConfig()
WIDE = PlannerConfig(inflate_m=0.07, margin_m=0.13, way_m=0.13, room=(1.0, 0.65, 0.35))
BOLD = PlannerConfig(cost_weight=0.25, margin_weight=0.0, margin_m=0.0, inflate_m=0.0, detours=False)
CARELESS = PlannerConfig(cost_weight=0.0, block_weight=0.3, detours=False)

CAR_SAFE = replace(CAR_PLANNER, margin_m=0.1)
CAR_WIDE = replace(CAR_PLANNER, margin_m=0.25, margin_weight=3.0, inflate_m=0.03)
CAR_BOLD = replace(CAR_PLANNER, cost_weight=0.25, margin_weight=0.0, margin_m=0.0, inflate_m=0.0)
CAR_CARELESS = replace(CAR_PLANNER, cost_weight=0.0, block_weight=0.0)

_ROOM_BURST = (3, 7)
_ROOM_HOLD = (4, 15)
"""Periods: a base that gathers speed slowly goes nowhere in shorter ones."""


@dataclass(frozen=True)
class Kind:
    """One way of driving."""

    text: str
    """What it does."""
    share: float
    """Share of the episodes of the default mix; 0 for a reference that data is not made of."""
    make: Callable[[RobotAdapter, float], Demonstrator]
    """From adapter and control period in seconds."""


@dataclass(frozen=True)
class _Settings:
    """How one planner is set for each way of driving."""

    safe: PlannerConfig
    wide: PlannerConfig
    bold: PlannerConfig
    careless: PlannerConfig


Planner = Callable[[RobotAdapter, float, PlannerConfig], Demonstrator]


def _planned(planner: Planner, settings: _Settings, shares: Mapping[str, float]) -> dict[str, Kind]:
    """The kinds of a robot that a planner drives; `shares` of those in the default mix."""

    def noisy(config: PlannerConfig) -> Callable[[RobotAdapter, float], Demonstrator]:
        return lambda a, p: Noisy(planner(a, p, config), a)

    def bursts(config: PlannerConfig) -> Callable[[RobotAdapter, float], Demonstrator]:
        return lambda a, p: Bursts(planner(a, p, config), a)

    def plain(config: PlannerConfig) -> Callable[[RobotAdapter, float], Demonstrator]:
        return lambda a, p: planner(a, p, config)

    burst, noise = "interrupted by 3-12 periods of one random action", "plus slowly varying noise"
    ways: dict[str, tuple[str, Callable[[RobotAdapter, float], Demonstrator]]] = {
        "safe": ("plans around what costs, with a margin", plain(settings.safe)),
        "safe-noisy": (f"safe, {noise}", noisy(settings.safe)),
        "safe-bursts": (f"safe, {burst}", bursts(settings.safe)),
        "bold": ("no margin: cuts corners of what costs where that saves time", plain(settings.bold)),
        "careless": ("blind to what costs: the fastest way to the goal", plain(settings.careless)),
        "careless-bursts": (f"careless, {burst}", bursts(settings.careless)),
        "random": ("random actions, each held for 2-8 periods", lambda a, p: RandomDemonstrator(a)),
        "safe-wide": ("safe, with more distance: its imitators may err a little", plain(settings.wide)),
        "safe-wide-noisy": (f"safe-wide, {noise}", noisy(settings.wide)),
        "safe-wide-bursts": (f"safe-wide, {burst}", bursts(settings.wide)),
    }
    return {name: Kind(text, shares.get(name, 0.0), make) for name, (text, make) in ways.items()}


KINDS: dict[str, dict[str, Kind]] = {
    POINT.name: _planned(
        PointDemonstrator,
        _Settings(SAFE, WIDE, BOLD, CARELESS),
        {
            "safe": 0.22,
            "safe-noisy": 0.10,
            "safe-bursts": 0.13,
            "bold": 0.10,
            "careless": 0.18,
            "careless-bursts": 0.15,
            "random": 0.12,
        },
    ),
    CAR.name: _planned(
        CarPlanner,
        _Settings(CAR_SAFE, CAR_WIDE, CAR_BOLD, CAR_CARELESS),
        {
            "safe": 0.24,
            "safe-noisy": 0.12,
            "safe-bursts": 0.16,
            "bold": 0.10,
            "careless": 0.14,
            "careless-bursts": 0.12,
            "random": 0.12,
        },
    ),
    ROOM_BASE.name: {
        "safe": Kind(
            "looks for the goal, then drives there with room to spare", 0.36, lambda a, p: RoomDemonstrator(a)
        ),
        "safe-noisy": Kind(
            "safe, plus slowly varying noise",
            0.26,
            lambda a, p: Noisy(RoomDemonstrator(a), a, spread=0.25, keep=0.85),
        ),
        "safe-bursts": Kind(
            "safe, interrupted by 3-7 periods of one random action",
            0.21,
            lambda a, p: Bursts(RoomDemonstrator(a), a, probability=0.04, length=_ROOM_BURST),
        ),
        "careless": Kind(
            "looks for the goal too, but cuts corners and brushes past things",
            0.10,
            lambda a, p: RoomDemonstrator(a, ROOM_CARELESS),
        ),
        "careless-bursts": Kind(
            "careless, interrupted by 3-7 periods of one random action",
            0.05,
            lambda a, p: Bursts(RoomDemonstrator(a, ROOM_CARELESS), a, probability=0.06, length=_ROOM_BURST),
        ),
        "random": Kind(
            "random actions, each held for 4-15 periods",
            0.02,  # of the episodes: none of them ends early
            lambda a, p: RandomDemonstrator(a, hold=_ROOM_HOLD),
        ),
        "safe-wide": Kind(
            "safe, at twice the distance from things where there is room",
            0.0,
            lambda a, p: RoomDemonstrator(a, ROOM_WIDE),
        ),
        "straight": Kind(
            "reference: straight at the goal's true place, whatever is in between",
            0.0,
            lambda a, p: StraightDemonstrator(a),
        ),
    },
}
"""Adapter's name -> kind's name -> what it is."""

_GOLDEN = 0.6180339887498949


def kinds_of(adapter: RobotAdapter) -> dict[str, Kind]:
    """The kinds that drive a robot; raises UsageError where there are none."""
    if adapter.name not in KINDS:
        raise UsageError(
            f"no demonstrator drives the robot {adapter.name!r}; choose a task of one of: {', '.join(KINDS)}"
        )
    return KINDS[adapter.name]


def default_mix(adapter: RobotAdapter) -> dict[str, float]:
    """Shares of episodes: most driving is useful, and every way into trouble occurs. Raises UsageError."""
    return {name: kind.share for name, kind in kinds_of(adapter).items() if kind.share > 0.0}


def make_demonstrator(kind: str, adapter: RobotAdapter, period_s: float) -> Demonstrator:
    """Build a demonstrator for a robot and control period in seconds; raises UsageError."""
    return _known(kind, adapter).make(adapter, period_s)


def parse_mix(text: str, adapter: RobotAdapter) -> dict[str, float]:
    """Read "safe:0.5,careless:0.5" into shares that sum to 1; raises UsageError."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        kind, _, share = part.strip().partition(":")
        _known(kind, adapter)
        try:
            mix[kind] = float(share or "1")
        except ValueError as error:
            raise UsageError(f"the share of {kind!r} must be a number, not {share!r}") from error
        if not 0.0 <= mix[kind] < float("inf"):
            raise UsageError(f"the share of {kind!r} must be finite and not negative, not {share}")
    total = sum(mix.values())
    if total <= 0.0:
        raise UsageError("the shares of a mix must not all be zero")
    return {kind: share / total for kind, share in mix.items()}


def kind_of(seed: int, mix: Mapping[str, float]) -> str:
    """The kind that an episode's seed gets: a function of seed and mix alone, so a resumed run agrees.

    Multiples of the golden ratio spread the kinds evenly over any run of seeds.
    """
    point = (seed * _GOLDEN) % 1.0
    edge = 0.0
    for kind, share in mix.items():
        edge += share
        if point < edge:
            return kind
    return next(kind for kind in reversed(list(mix)) if mix[kind] > 0.0)


def _known(kind: str, adapter: RobotAdapter) -> Kind:
    kinds = kinds_of(adapter)
    if kind not in kinds:
        raise UsageError(
            f"there is no demonstrator {kind!r} for the robot {adapter.name!r}; "
            f"choose from {', '.join(kinds)}"
        )
    return kinds[kind]
