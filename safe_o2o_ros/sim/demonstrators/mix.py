"""Named kinds of demonstrators and the mix a data set is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.robot import RobotAdapter
from safe_o2o_ros.sim.demonstrators.base import Demonstrator
from safe_o2o_ros.sim.demonstrators.planner import PlannerConfig, PlanningDemonstrator
from safe_o2o_ros.sim.demonstrators.scripted import Bursts, Noisy, RandomDemonstrator

SAFE = PlannerConfig()
BOLD = PlannerConfig(hazard_weight=0.25, margin_weight=0.0, inflate_m=0.0)
CARELESS = PlannerConfig(hazard_weight=0.0)

KINDS: dict[str, tuple[str, Callable[[RobotAdapter, float], Demonstrator]]] = {
    "safe": (
        "plans around hazards with a margin",
        lambda a, p: PlanningDemonstrator(a, p, SAFE),
    ),
    "safe-noisy": (
        "safe, plus slowly varying noise",
        lambda a, p: Noisy(PlanningDemonstrator(a, p, SAFE), a),
    ),
    "safe-bursts": (
        "safe, interrupted by 3-12 periods of one random action",
        lambda a, p: Bursts(PlanningDemonstrator(a, p, SAFE), a),
    ),
    "bold": (
        "no margin: cuts corners of hazards where that saves time",
        lambda a, p: PlanningDemonstrator(a, p, BOLD),
    ),
    "careless": (
        "blind to hazards: the fastest way to the goal",
        lambda a, p: PlanningDemonstrator(a, p, CARELESS),
    ),
    "careless-bursts": (
        "careless, interrupted by 3-12 periods of one random action",
        lambda a, p: Bursts(PlanningDemonstrator(a, p, CARELESS), a),
    ),
    "random": (
        "random actions, each held for 2-8 periods",
        lambda a, p: RandomDemonstrator(a),
    ),
}
"""Kind -> (what it does, constructor from adapter and control period in seconds)."""

DEFAULT_MIX: dict[str, float] = {
    "safe": 0.22,
    "safe-noisy": 0.10,
    "safe-bursts": 0.13,
    "bold": 0.10,
    "careless": 0.18,
    "careless-bursts": 0.15,
    "random": 0.12,
}
"""Share of episodes of each kind: most driving is useful, and every kind of hazard entry occurs."""

_GOLDEN = 0.6180339887498949


def make_demonstrator(kind: str, adapter: RobotAdapter, period_s: float) -> Demonstrator:
    """Build a demonstrator for a robot and control period in seconds; raises UsageError."""
    if kind not in KINDS:
        raise UsageError(f"there is no demonstrator {kind!r}; choose from {', '.join(KINDS)}")
    if adapter.name != "point":
        raise UsageError(
            f"demonstrators drive the point robot only, not {adapter.name!r}; choose a Point task"
        )
    return KINDS[kind][1](adapter, period_s)


def parse_mix(text: str) -> dict[str, float]:
    """Read "safe:0.5,careless:0.5" into shares that sum to 1; raises UsageError."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        kind, _, share = part.strip().partition(":")
        if kind not in KINDS:
            raise UsageError(f"there is no demonstrator {kind!r}; choose from {', '.join(KINDS)}")
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
