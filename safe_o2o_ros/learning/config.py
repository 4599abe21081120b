"""Every number of a training run; the resolved config is written beside the run."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.model import LossScales

PRECISIONS = ("bfloat16", "float32")
REACH_FORMS = ("margin", "binary")
DRIVERS = ("certified", "critics", "policy_critics", "actor", "percept")
ACTOR_SEES = ("latent", "percept")
ACTOR_LEARNS = ("data", "imagination")
WEIGHTS = ("feasible", "reward", "equal")


@dataclass(frozen=True)
class SequenceTraining:
    """A phase on windows of images: percept, world model, clone."""

    steps: int = 5000
    batch: int = 16
    """Sequences per update."""
    length: int = 32
    """Steps per sequence."""
    learning_rate: float = 6e-4
    final_learning_rate: float = 1e-4
    """Reached by a cosine; the last updates settle the latents."""
    warmup: int = 200
    """Updates of linear warm-up."""
    clip: float = 100.0
    """Largest gradient norm."""
    mirror: float = 0.0
    """Share of the windows that are shown as seen in a mirror, turns and wheels exchanged."""
    checkpoint_every: int = 250


@dataclass(frozen=True)
class ReachTraining:
    """Reachability alone, before the other critics; 0 steps: together with them (binary form)."""

    steps: int = 0
    batch: int = 1024
    learning_rate: float = 1e-3
    form: str = "margin"
    """"margin" (safety Bellman on a measured distance) or "binary" (from costs); see learning/reach_phase."""
    gamma_first: float = 0.9
    gamma: float = 0.9995
    """Discount per control period, reached from `gamma_first` after 70 % of the updates."""
    tau: float = 0.01
    """Lower expectile of the risk over the data's actions: near 0, the safest action that data shows."""
    scale_m: float = 0.1
    """Margin form: metres that one unit of the risk's logit stands for."""
    clip_m: float = 0.4
    """Margin form: distances beyond this are alike."""
    near_m: float = 0.06
    """Binary form: see AgentTraining."""
    near_risk: float = 0.5
    target_rate: float = 0.02
    checkpoint_every: int = 2000


@dataclass(frozen=True)
class SupportTraining:
    """Which commands the data knows, after everything else; 0 steps: the bundle does not tell."""

    steps: int = 1500
    batch: int = 512
    learning_rate: float = 1e-3
    checkpoint_every: int = 1500


@dataclass(frozen=True)
class AgentTraining:
    """Critics and actor on cached latents."""

    steps: int = 9000
    batch: int = 256
    learning_rate: float = 3e-4
    gamma: float = 0.99
    """Discount of reward and cost per control period."""
    gamma_reach: float = 0.97
    """Discount of the reachability estimate per control period."""
    tau_reward: float = 0.8
    """Upper expectile: in-sample maximum."""
    tau_cost: float = 0.2
    """Lower expectile: in-sample minimum."""
    tau_reach: float = 0.2
    near_m: float = 0.06
    """Margin below which a near miss counts as some harm, metres; 0 = only costs count."""
    near_risk: float = 0.5
    """Harm of a miss by nothing; a violation is 1."""
    target_rate: float = 0.02
    """Polyak rate of target networks per update."""
    threshold: float = 0.1
    """Risk above which an action is not imitated and a state counts as infeasible."""
    beta_r: float = 0.7
    """Temperature of the reward advantage, in standard deviations of the batch's advantages."""
    beta_h: float = 0.1
    beta_c: float = 1.0
    weight_clip: float = 3.0
    """Clip of the exponent: weights lie in exp(+-clip)."""
    actor_from: float = 0.2
    """Share of the steps after which the actor starts: before, its weights come from untrained critics."""
    evaluation_from: float = 0.7
    """Share of the steps after which the critics that evaluate the actor start."""
    action_dropout: float = 0.3
    """Share of the actor's samples whose latent was computed with a wrong previous action."""
    margin_near_m: float = 0.08
    """Least margin ahead, in metres, below which the percept's margin head adds risk; 0 = it is not asked.
    Acts at deployment only, and where the data measured margins."""
    risk_price: float = 100.0
    """Nats of likelihood (driver "certified") or reward ("critics") that a certain violation is worth in the
    choice of a proposal; acts at deployment only."""
    actor_sees: str = "latent"
    """"latent": the actor is trained from nothing on whole latents; "percept": it goes on from the percept's
    imitation, on the percept's part of the latent."""
    actor_learns: str = "data"
    """"data": from recorded actions by weighted likelihood; "imagination": from roll-outs in the world model,
    by the policy gradient of reward under a limit on cost (losses.lagrangian_advantage)."""
    weights: str = "feasible"
    """Of recorded actions: "feasible" (losses.awr_weights), "reward" (its reward advantage alone) or "equal"
    (plain behaviour cloning)."""
    driver: str = "certified"
    """Who drives: "certified" (the likeliest of the actor's proposals whose risk is certified), "critics"
    (the in-sample ones choose among the proposals), "policy_critics" (those of the current policy choose),
    "actor" (its likeliest component) or "percept" (the likeliest component of the percept's imitation). Acts
    at deployment only."""
    certified_risk: float = 0.15
    """Risk up to which a proposal counts as certified there. The filter's own threshold is calibrated."""
    cost_limit: float = 2.0
    """Cost in 1000 control steps that an actor which learns in imagination is allowed."""
    multiplier: float = 0.01
    """Where the price of cost starts, in reward per unit of cost."""
    penalty: float = 2e-4
    """How much the multiplier grows per unit of excess cost and update, at first."""
    penalty_growth: float = 1e-4
    """By which share the penalty grows per update."""
    entropy: float = 3e-4
    """Weight of the actor's entropy in imagination."""
    kappa: float = 1.0
    """Price of one unit of discounted cost in the expansion score."""
    imagine_every: int = 8
    """Updates between imagined roll-outs for the policy-evaluation critics."""
    imagine_batch: int = 32
    horizon: int = 15
    """Imagined control periods."""
    lam: float = 0.95
    checkpoint_every: int = 1000

    @property
    def in_sample(self) -> bool:
        """Whether anything asks the in-sample critics: the choice among proposals, or the weights."""
        return self.driver in ("certified", "critics") or (
            self.actor_learns == "data" and self.weights != "equal"
        )


@dataclass(frozen=True)
class PretrainConfig:
    """One offline training run."""

    name: str
    seed: int = 0
    threads: int = 1
    """CPU threads of torch: two beside a busy neighbour are slower than one."""
    precision: str = "bfloat16"
    """Autocast type of the convolutions: "bfloat16" or "float32"."""
    compile: bool = False
    """Compile the convolutions (torch.compile): needs a C++ compiler on CPU, Triton on a GPU."""
    model: ModelConfig = field(default_factory=ModelConfig)
    scales: LossScales = field(default_factory=LossScales)
    percept: SequenceTraining = field(default_factory=lambda: SequenceTraining(steps=0))
    """Before the world model: convolutions and percept alone, which then stay. 0 steps: all at once."""
    world_model: SequenceTraining = field(default_factory=SequenceTraining)
    reach: ReachTraining = field(default_factory=ReachTraining)
    agent: AgentTraining = field(default_factory=AgentTraining)
    support: SupportTraining = field(default_factory=SupportTraining)
    novelty: bool = True
    """The encoder says how unlike training the pictures are."""

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


PROFILES: dict[str, PretrainConfig] = {
    "debug": PretrainConfig(
        name="debug",
        model=ModelConfig(
            depth=4, deter=32, groups=4, classes=4, units=32, critic_units=32, percept=16, components=2
        ),
        percept=SequenceTraining(steps=6, batch=4, length=8, warmup=2, mirror=0.5, checkpoint_every=3),
        world_model=SequenceTraining(steps=10, batch=4, length=8, warmup=2, checkpoint_every=5),
        agent=AgentTraining(steps=20, batch=32, imagine_batch=8, horizon=3, checkpoint_every=10),
        support=SupportTraining(steps=10, batch=32),
    ),
    "small": PretrainConfig(
        name="small",
        model=ModelConfig(percept=256),
        scales=LossScales(decode_fraction=0.25, geometry=3.0),
        percept=SequenceTraining(steps=8000, learning_rate=8e-4, final_learning_rate=2e-5, mirror=0.5),
        world_model=SequenceTraining(steps=1500),
        agent=AgentTraining(actor_sees="percept"),
    ),
    "paper": PretrainConfig(
        name="paper",
        model=ModelConfig(
            depth=32, deter=512, groups=48, classes=48, units=512, critic_units=512, percept=256
        ),
        scales=LossScales(cost_positive=10.0),
        world_model=SequenceTraining(
            steps=200_000, batch=16, length=64, learning_rate=1e-4, final_learning_rate=1e-4
        ),
        agent=AgentTraining(steps=200_000, learning_rate=1e-4, gamma=0.997),
    ),
}
"""`small` fits two CPU cores and a 12 MB bundle; `paper` is the published scale, for a GPU."""


def resolve(profile: str, overrides: dict[str, str]) -> PretrainConfig:
    """A profile with dotted overrides, e.g. {"world_model.steps": "100"}. Raises UsageError."""
    if profile not in PROFILES:
        raise UsageError(f"unknown config '{profile}': choose one of {', '.join(PROFILES)}")
    return override(PROFILES[profile], overrides)


def from_json(text: str) -> PretrainConfig:
    """Inverse of `PretrainConfig.to_json`; what an older run did not know has its default.

    Raises ValueError where `text` is no config, or one of a newer version with settings unknown here.
    """
    try:
        return _from_mapping(PretrainConfig, json.loads(text))
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _from_mapping(kind: Any, values: dict[str, Any]) -> Any:
    types = typing.get_type_hints(kind)
    return kind(
        **{
            key: _from_mapping(types[key], value) if dataclasses.is_dataclass(types.get(key)) else value
            for key, value in values.items()
        }
    )


def override(config: PretrainConfig, overrides: dict[str, str]) -> PretrainConfig:
    """`config` with dotted overrides. Raises UsageError."""
    for key, text in overrides.items():
        config = _override(config, key.split("."), text, key)
    return config


def _override(node: Any, path: list[str], text: str, key: str) -> Any:
    names = [f.name for f in dataclasses.fields(node)]
    if path[0] not in names:
        raise UsageError(f"unknown setting '{key}': '{path[0]}' is not one of {', '.join(names)}")
    old = getattr(node, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(old):
            raise UsageError(f"unknown setting '{key}': '{path[0]}' has no parts")
        return dataclasses.replace(node, **{path[0]: _override(old, path[1:], text, key)})
    if dataclasses.is_dataclass(old):
        raise UsageError(f"setting '{key}' is a group: name one of its fields")
    try:
        # bool("false") is True, so truth values are looked up.
        value = _TRUTH[text.lower()] if isinstance(old, bool) else type(old)(text)
    except (ValueError, KeyError):
        raise UsageError(f"setting '{key}' must be of type {type(old).__name__}, got '{text}'") from None
    _check(key, value)
    return dataclasses.replace(node, **{path[0]: value})


_TRUTH = {"true": True, "false": False}
_CHOICES = {
    "precision": PRECISIONS,
    "form": REACH_FORMS,
    "driver": DRIVERS,
    "actor_sees": ACTOR_SEES,
    "actor_learns": ACTOR_LEARNS,
    "weights": WEIGHTS,
}
_FROM_ZERO = {"seed", "warmup", "steps"}
_SHARES = {"gamma", "gamma_reach", "tau_reward", "tau_cost", "tau_reach", "target_rate", "lam", "actor_from"}
_SHARES |= {
    "decode_fraction",
    "unimix",
    "threshold",
    "near_risk",
    "mirror",
    "certified_risk",
    "gamma_first",
    "tau",
}


def _check(key: str, value: Any) -> None:
    """Raise UsageError when an overridden value is outside its range."""
    name = key.split(".")[-1]
    if isinstance(value, int) and not isinstance(value, bool):
        low = 0 if name in _FROM_ZERO else 1
        if value < low:
            raise UsageError(f"setting '{key}' must be {low} or more, got {value}")
    elif isinstance(value, float):
        high = 1.0 if name in _SHARES else math.inf
        if not 0.0 <= value <= high or math.isinf(value):
            expected = "between 0 and 1" if name in _SHARES else "finite and 0 or more"
            raise UsageError(f"setting '{key}' must be {expected}, got {value}")
    elif name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"setting '{key}' must be one of {', '.join(_CHOICES[name])}, got '{value}'")
