"""Table of the tasks' variants: named changes to what is seen, what stands around, and how late things are.

Data only. What becomes of a task is in variant_scene.py, of a running episode in variant_run.py. SI units.
"""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.errors import UsageError

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Counts:
    """More to go around than in the task as published."""

    hazards: tuple[tuple[str, int], ...]
    """Tasks and their numbers of hazards."""
    furniture: tuple[int, int]
    """Fewest and most pieces in a room."""


@dataclass(frozen=True)
class Circle:
    """Hazards go round the places the layout gives them, counter-clockwise; their yaws say where they start.

    At the time t a hazard's centre is place + radius (cos(yaw + t speed / radius), sin(...)).
    """

    radius_m: float
    speed_m_s: float

    @property
    def turn_rate(self) -> float:
        """rad/s."""
        return self.speed_m_s / self.radius_m


@dataclass(frozen=True)
class Light:
    """Another lamp."""

    strength: float
    """Lamp and headlight, as a share of the task's own."""
    direction: tuple[float, float, float]
    """Where the light of the lamp goes, world frame."""


@dataclass(frozen=True)
class Carpet:
    """A floor of square speckles in two colours, the same in every episode."""

    rgb1: RGB
    rgb2: RGB
    speckle_m: float
    """Side of a speckle, m."""


@dataclass(frozen=True)
class Mount:
    """All cameras sit askew, each in its own place."""

    turn_deg: float
    """To the left, about base_link's z."""
    shift_m: tuple[float, float, float]
    """In base_link."""


@dataclass(frozen=True)
class Frames:
    """What becomes of pictures before they are seen."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, pixels; 0 = none."""
    drop: float = 0.0
    """Share of the pictures of each camera that are lost; the last one that arrived is seen again."""
    freeze_every_s: float = 0.0
    """In each such time all cameras stick at its end, s; 0 = never."""
    freeze_for_s: float = 0.0
    """How long they then repeat their last picture, s."""


@dataclass(frozen=True)
class Variant:
    """A named change to a task. What is left at its default is as published."""

    name: str
    description: str
    """One line, with the numbers."""
    squares: bool = False
    """Hazards are squares of a disc's area; in a room all furniture is tables."""
    square_goal: bool = False
    """The goal is drawn as a box of its cylinder's area and height. It is reached as before."""
    counts: Counts | None = None
    circle: Circle | None = None
    colours: tuple[tuple[str, RGB], ...] = ()
    """Keys of a layout ("hazards", "goals", "furniture", ...) and their colours; transparency stays."""
    light: Light | None = None
    carpet: Carpet | None = None
    mount: Mount | None = None
    frames: Frames | None = None
    latency_periods: int = 0
    """An action acts for the control period that begins this many periods after its own."""
    not_for: tuple[str, ...] = ()
    """Tasks it cannot be applied to."""


DEFAULT_VARIANT = "default"
_SPECKLES = Carpet((0.30, 0.24, 0.18), (0.62, 0.52, 0.40), speckle_m=0.125)
_TABLE = (
    Variant(DEFAULT_VARIANT, "the task as published"),
    Variant(
        "obstacle_shape",
        "hazards are squares of a disc's area, turned by their yaws, and cost inside the square; "
        "RoomNav: all drawn furniture is tables",
        squares=True,
    ),
    Variant(
        "goal_shape",
        "the goal is a box of its cylinder's area and height; it is reached or pressed as before",
        square_goal=True,
    ),
    Variant(
        "obstacle_count",
        "hazards: PointGoal1 8 → 12, PointButton1 4 → 5, PointPush1 2 → 3, PointGoal2 and CarGoal2 10 → 15; "
        "RoomNav: 11–14 pieces of furniture and not 6–10",
        counts=Counts(
            (
                ("PointGoal1", 12),
                # A sixth would fit, but drawing a layout would take 0.2 s.
                ("PointButton1", 5),
                ("PointPush1", 3),
                ("PointGoal2", 15),
                ("CarGoal2", 15),
            ),
            furniture=(11, 14),
        ),
    ),
    Variant(
        "moving_hazards",
        "hazards go round the layout's places: radius 0.2 m, 0.3 m/s, counter-clockwise from their yaw",
        circle=Circle(radius_m=0.2, speed_m_s=0.3),
        not_for=("RoomNav",),
    ),
    Variant(
        "swapped_colours",
        "hazards green, goal blue, vases magenta; RoomNav: furniture magenta, goal blue",
        colours=(
            ("hazards", (0.0, 1.0, 0.0)),
            ("goals", (0.0, 0.0, 1.0)),
            ("vases", (1.0, 0.0, 1.0)),
            ("furniture", (1.0, 0.0, 1.0)),
        ),
    ),
    Variant(
        "light",
        "lamp and headlight at 0.4 of their strength, the lamp's light falling at 45° along x",
        light=Light(0.4, (0.7071, 0.0, -0.7071)),
    ),
    Variant(
        "texture",
        "the floor is a carpet of brown speckles, 0.125 m wide",
        carpet=_SPECKLES,
    ),
    Variant(
        "camera_offset",
        "all cameras turned 8° to the left and moved 0.03 m to the left",
        mount=Mount(turn_deg=8.0, shift_m=(0.0, 0.03, 0.0)),
    ),
    Variant("camera_blur", "Gaussian blur of 1.5 pixels", frames=Frames(blur_px=1.5)),
    Variant(
        "camera_drop",
        "0.2 of the pictures of each camera are lost; the last one is seen again",
        frames=Frames(drop=0.2),
    ),
    Variant(
        "camera_freeze",
        "all cameras repeat their last picture for the last 1 s of every 4 s",
        frames=Frames(freeze_every_s=4.0, freeze_for_s=1.0),
    ),
    Variant("action_latency", "actions act 1 control period late", latency_periods=1),
    Variant("action_latency_2", "actions act 2 control periods late", latency_periods=2),
    Variant("action_latency_3", "actions act 3 control periods late", latency_periods=3),
)
VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _TABLE}


def variants_of(task: str) -> tuple[str, ...]:
    """Names of the variants that can be applied to a task."""
    return tuple(name for name, variant in VARIANTS.items() if task not in variant.not_for)


def variant_spec(name: str | None, task: str | None = None) -> Variant:
    """The variant of that name, None = default; `task`: the one it should be applied to, if known.

    Raises UsageError naming those that apply.
    """
    key = DEFAULT_VARIANT if name is None else name
    known = tuple(VARIANTS) if task is None else variants_of(task)
    if key in known:
        return VARIANTS[key]
    wrong = f"cannot be applied to {task}" if key in VARIANTS else "is unknown"
    raise UsageError(f"Variant {name!r} {wrong}; use one of: {', '.join(known)}.")
