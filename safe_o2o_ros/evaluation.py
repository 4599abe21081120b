"""Drive a simulated task without ROS: the same stages as the graph, called in one loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from safe_o2o_ros.bundle import Bundle
from safe_o2o_ros.errors import BundleMismatchError
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.report.recorder import EpisodeRecorder
from safe_o2o_ros.safety.bundled import bundle_filter
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs
from safe_o2o_ros.safety.odometry import OdometryCheck
from safe_o2o_ros.sim.odometry import body_twist
from safe_o2o_ros.types import Decision, FloatArray, FrameSet, Latent, MeasuredSpeed, Mode, Proposal, Reason

_NAN = float("nan")


@dataclass(frozen=True)
class Tick:
    """What a driver answered to one observation."""

    nominal: FloatArray
    """(A,) raw action before the filter."""
    decision: Decision
    surprise: float
    """Nats; 0 where there is no world model."""


class Driver(Protocol):
    """Anything that drives: a bundle, a demonstrator, a random policy."""

    def reset(self, seed: int) -> None:
        """An episode starts."""
        ...

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """Answer one observation. Only demonstrators may look at `env`."""
        ...

    def executed(self, action: FloatArray) -> None:
        """The raw `action` (A,) was executed this period in place of the answer."""
        ...


class _Robot:
    """Encoder, odometry and safety filter of a bundle, whoever proposes between them."""

    def __init__(self, bundle: Bundle, config: FilterConfig, threshold: float | None = None) -> None:
        """`threshold`: see bundle_filter."""
        self._spec, self._adapter = bundle.manifest.image, bundle.manifest.adapter
        self._encoder = RecurrentEncoder(bundle)
        self._filter = bundle_filter(bundle, config, threshold)
        self.reset()

    def reset(self) -> None:
        """An episode starts."""
        self._state = self._encoder.initial()
        self._filter.reset()
        self.executed = self._filter.last_action
        """Raw action (A,) of the last period, which the encoder is told of."""
        self._odometry = OdometryCheck(self._adapter)

    def see(self, observation: dict[str, Any], stamp_ns: int) -> Latent:
        """The latent of a frame."""
        image = stack(observation, self._spec.cameras, self._spec.height, self._spec.width)
        self._state, latent = self._encoder.step(self._state, FrameSet(stamp_ns, image), self.executed)
        return latent

    def answer(self, env: Any, latent: Latent, proposal: Proposal) -> Decision:
        """What the filter makes of a proposal."""
        speed = self._measured(env, latent.stamp_ns)
        decision = self._filter.decide(
            FilterInputs(enabled=True, latent=latent, proposal=proposal, speed=speed)
        )
        self.executed = decision.action
        return decision

    def _measured(self, env: Any, stamp_ns: int) -> MeasuredSpeed | None:
        """As the graph's filter hears it; None of the benchmark's robots, whose figures are made without."""
        if not self._adapter.obeys_velocity:
            return None
        twist = body_twist(env.unwrapped.privileged_state())
        self._odometry.note(self._adapter.measured(twist), stamp_ns * 1e-9)
        return self._odometry.measured(False, stamp_ns * 1e-9)


class BundleDriver:
    """Encoder, policy and safety filter of a bundle, in the order of the graph."""

    def __init__(
        self, bundle: Bundle, mode: Mode, exploration: float = 0.0, seed: int = 0, risk_share: float = 1.0
    ) -> None:
        """`bundle` must have been loaded with all networks.

        `exploration`, `seed`: see ExpansionPolicy; `risk_share`: see FilterConfig.
        """
        self._policy = ExpansionPolicy(bundle, seed, exploration)
        self.latent: Latent | None = None
        """The newest, None before the first."""
        self.proposal: Proposal | None = None
        """The newest: who proposed, and what."""
        config = FilterConfig(mode=mode, brake_dt_s=bundle.manifest.period_s, risk_share=risk_share)
        self._robot = _Robot(bundle, config)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """See Driver; a bundle's answers do not depend on the seed."""
        self._robot.reset()
        self._policy_state = self._policy.initial()
        self.latent, self.proposal = None, None

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        self.latent = latent = self._robot.see(observation, stamp_ns)
        self._policy_state, proposal = self._policy.step(self._policy_state, latent)
        self.proposal = proposal
        return Tick(proposal.action, self._robot.answer(env, latent, proposal), latent.surprise)

    def executed(self, action: FloatArray) -> None:
        """See Driver."""
        self._robot.executed = action


class BlindDriver:
    """A bundle that is shown black pictures: the reference that says what the cameras are worth."""

    def __init__(self, inner: BundleDriver) -> None:
        self._inner = inner

    def reset(self, seed: int) -> None:
        """See Driver."""
        self._inner.reset(seed)

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        black = {camera: np.zeros_like(image) for camera, image in observation.items()}
        return self._inner.act(black, env, stamp_ns)

    def executed(self, action: FloatArray) -> None:
        """See Driver."""
        self._inner.executed(action)


class ScriptedDriver:
    """A demonstrator with privileged state, as a reference."""

    def __init__(self, demonstrator: Any) -> None:
        """`demonstrator`: see safe_o2o_ros.sim.demonstrators."""
        self._demonstrator = demonstrator

    def reset(self, seed: int) -> None:
        """See Driver."""
        self._demonstrator.reset(seed)

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        action = self._demonstrator.act(env.unwrapped.privileged_state())
        return Tick(action, Decision(stamp_ns, action, False, Reason.LIMITS_ONLY, "", _NAN, _NAN, 0, ""), 0.0)

    def executed(self, action: FloatArray) -> None:
        """See Driver; a demonstrator looks at where it is."""


class GuardedDriver:
    """Somebody else's commands behind the encoder and the safety filter of a bundle."""

    def __init__(self, inner: Driver, bundle: Bundle, mode: Mode, threshold: float | None = None) -> None:
        """`bundle`, the guard, must have been loaded with its encoder and its safety network.

        `threshold`: see bundle_filter.
        """
        self._inner = inner
        self._robot = _Robot(bundle, FilterConfig(mode=mode, brake_dt_s=bundle.manifest.period_s), threshold)
        self.latent: Latent | None = None
        """The newest, None before the first."""
        self.reset(0)

    def reset(self, seed: int) -> None:
        """See Driver."""
        self._inner.reset(seed)
        self._robot.reset()

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        asked = self._inner.act(observation, env, stamp_ns)
        self.latent = latent = self._robot.see(observation, stamp_ns)
        decision = self._robot.answer(env, latent, Proposal(stamp_ns, asked.nominal, "guarded"))
        self._inner.executed(decision.action)
        return Tick(asked.nominal, decision, latent.surprise)

    def executed(self, action: FloatArray) -> None:
        """See Driver."""
        self._robot.executed = action
        self._inner.executed(action)


class ListeningDriver:
    """A driver with a bundle's encoder, and what it said in each period."""

    def __init__(self, inner: BundleDriver | GuardedDriver) -> None:
        self._inner = inner
        self.features: list[FloatArray] = []
        """(N,) each: latents."""
        self.decisions: list[Decision] = []

    def reset(self, seed: int) -> None:
        """See Driver."""
        self._inner.reset(seed)
        self.features, self.decisions = [], []

    def act(self, observation: dict[str, Any], env: Any, stamp_ns: int) -> Tick:
        """See Driver."""
        tick = self._inner.act(observation, env, stamp_ns)
        assert self._inner.latent is not None
        self.features.append(self._inner.latent.feature)
        self.decisions.append(tick.decision)
        return tick

    def executed(self, action: FloatArray) -> None:
        """See Driver."""
        self._inner.executed(action)


def check_bundle_fits(bundle: Bundle, env: Any) -> None:
    """Raise BundleMismatchError unless cameras, adapter and control period of bundle and task agree."""
    manifest, task = bundle.manifest, env.unwrapped
    if set(manifest.image.cameras) - set(task.cameras):
        raise BundleMismatchError(
            f"the bundle needs the cameras {', '.join(manifest.image.cameras)}, the task has "
            f"{', '.join(task.cameras) or 'none'}: choose a matching bundle"
        )
    if manifest.adapter != task.adapter:
        raise BundleMismatchError("the bundle was made for another robot adapter than the task's: retrain it")
    if abs(manifest.period_s - task.period_s) > 1e-9:
        raise BundleMismatchError(
            f"the bundle's control period is {manifest.period_s} s, the task's {task.period_s} s: "
            "set the same action repeat"
        )


def drive_episode(
    env: Any,
    driver: Driver,
    seed: int,
    top_size: int = 0,
    keep_images: bool = False,
    watch: Callable[[dict[str, Any]], None] | None = None,
) -> EpisodeLog:
    """One episode from `env.reset(seed)` to its end.

    `top_size`: pixels of the view from above to keep, 0 for none. `watch` gets every observation, the one
    after the last action too.
    """
    observation, info = env.reset(seed=seed)
    driver.reset(seed)
    base = env.unwrapped
    period_ns = round(base.period_s * 1e9)
    recorder = EpisodeRecorder(seed, base.period_s)
    stamp_ns, done, terminated = 0, False, False
    while not done:
        stamp_ns += period_ns
        if watch is not None:
            watch(observation)
        state = base.privileged_state()
        top = base.render_top(top_size) if top_size else None
        recorder.frame(observation if keep_images else {}, state.position, state.yaw, top)
        tick = driver.act(observation, env, stamp_ns)
        recorder.answer(tick.nominal, tick.decision, tick.surprise)
        observation, reward, terminated, truncated, info = env.step(tick.decision.action)
        recorder.outcome(float(reward), float(info["cost"]))
        done = terminated or truncated
    if watch is not None:
        watch(observation)
    return recorder.finish(info, bool(terminated))
