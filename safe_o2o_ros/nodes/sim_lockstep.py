"""Repeatable driving: a frame, its answer, one step; never anything else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Float32

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.sim_output import SimOutput
from safe_o2o_ros.nodes.sim_world import SimWorld
from safe_o2o_ros.report.record import episode_record
from safe_o2o_ros.types import Decision, FloatArray

RECORDER = "finetune_node"
"""A partner that hears frames, rewards and costs, and sends nothing that the simulator waits for."""
_FLUSH_S = 2.0


@dataclass(frozen=True)
class LockstepOptions:
    """How long, with whom, and where the logs go."""

    episodes: int
    partners: tuple[str, ...]
    """Names of the nodes without which the run does not start."""
    timeout_s: float
    """Wall time without progress after which the run fails, seconds."""
    record_dir: Path | None
    progress: bool
    """Report progress as JSON lines on stdout."""


@dataclass
class _Answers:
    """What came in for the frame that waits, by the first message of each kind."""

    latent: bool = False
    surprise: float | None = None
    nominal: FloatArray | None = None
    decision: Decision | None = None
    executed: FloatArray | None = None
    since_s: float = field(default_factory=time.monotonic)


class Lockstep:
    """Steps the world only on the `executed_cmd` that carries the stamp of the frame it waits for."""

    def __init__(self, node: Node, world: SimWorld, output: SimOutput, options: LockstepOptions) -> None:
        self._node = node
        self._world = world
        self._output = output
        self._options = options
        self._period_ns = round(world.period_s * 1e9)
        self._stamp_ns = 0
        self._driving = False
        self._over = False
        """The frame that waits is the one after the episode's last action: its answer drives nothing."""
        self._answers = _Answers()
        self.finished = False
        """All episodes are driven."""
        pipeline = qos.pipeline(lockstep=True)
        stamped = self._if_current
        node.create_subscription(TwistStamped, "executed_cmd", stamped(self._on_executed), pipeline)
        node.create_subscription(TwistStamped, "cmd_vel_nominal", stamped(self._on_nominal), pipeline)
        node.create_subscription(Image, "latent", stamped(self._on_latent), pipeline)
        if options.record_dir is not None:
            options.record_dir.mkdir(parents=True, exist_ok=True)
            series = qos.series(lockstep=True)
            node.create_subscription(DiagnosticArray, "safety/state", stamped(self._on_state), series)
            node.create_subscription(Float32, "surprise", self._on_surprise, series)

    def work(self) -> None:
        """Step if the answer is there. Raises GraphError if nothing came for too long."""
        answers = self._answers
        if self.finished:
            return
        if not self._driving:
            if not self._missing():
                self._driving = True
                self._start_episode()
        elif answers.executed is not None and not self._owing():
            if self._over:
                self._next_episode()
            else:
                self._step(answers.executed)
        if time.monotonic() - self._answers.since_s > self._options.timeout_s:
            self._fail()

    def _start_episode(self) -> None:
        self._world.start_episode()
        # Acknowledged before the first frame is sent, so that every node resets before it sees it.
        if not self._output.event("start", self._options.timeout_s):
            raise GraphError("a node does not take the start of the episode: look for a hanging process")
        self._publish()

    def _publish(self) -> None:
        self._stamp_ns += self._period_ns
        self._answers = _Answers()
        self._output.frame(self._stamp_ns)

    def _step(self, action: FloatArray) -> None:
        world, answers = self._world, self._answers
        if self._options.record_dir is not None:
            assert answers.nominal is not None and answers.decision is not None
            assert answers.surprise is not None
            world.note(answers.nominal, answers.decision, answers.surprise)
        outcome = world.step(action)
        self._output.outcome(outcome)
        if not outcome.ending:
            self._publish()
            if world.period % 10 == 0:
                self._tell("progress")
            return
        self._output.event(outcome.ending)
        self._tell("progress")
        if self._options.record_dir is not None:
            log = world.log()
            log.save(self._options.record_dir / f"episode_{world.episode:04d}.npz")
            self._tell("episode", **episode_record(log))
        # Who records transitions needs what the last action led to. Its answer is awaited, or it would reach
        # nodes that have begun the next episode.
        self._over = True
        self._publish()

    def _next_episode(self) -> None:
        self._over = False
        if self._world.episode + 1 >= self._options.episodes:
            if RECORDER in self._options.partners:
                self._output.flush(_FLUSH_S)
            self.finished = True
        else:
            self._start_episode()

    def _tell(self, event: str, **values: object) -> None:
        if not self._options.progress:
            return
        world = self._world
        values = {
            "event": event,
            "episode": world.episode,
            "period": world.period,
            "periods": world.periods,
            "reward": world.reward,
            "cost": world.cost,
            **values,
        }
        print(json.dumps(values), flush=True)

    def _if_current(self, take: Callable[..., None]) -> Callable[..., None]:
        def callback(message: TwistStamped | Image | DiagnosticArray) -> None:
            if self._driving and conversions.from_time(message.header.stamp) == self._stamp_ns:
                take(message)

        return callback

    def _on_executed(self, message: TwistStamped) -> None:
        if self._answers.executed is None:
            self._answers.executed = conversions.from_twist(message.twist, self._world.adapter)

    def _on_nominal(self, message: TwistStamped) -> None:
        if self._answers.nominal is None:
            self._answers.nominal = conversions.from_twist(message.twist, self._world.adapter)

    def _on_latent(self, message: Image) -> None:
        self._answers.latent = True

    def _on_state(self, message: DiagnosticArray) -> None:
        if self._answers.decision is None:
            self._answers.decision = conversions.from_state(message)[0]

    def _on_surprise(self, message: Float32) -> None:
        # Carries no stamp; lockstep has one per frame.
        if self._driving:
            self._answers.surprise = float(message.data)

    def _owing(self) -> Sequence[str]:
        """Topics of which the waiting frame's message has not come, first cause first."""
        answers = self._answers
        heard = {"latent": answers.latent, "cmd_vel_nominal": answers.nominal is not None}
        if self._options.record_dir is not None:
            heard |= {"surprise": answers.surprise is not None, "safety/state": answers.decision is not None}
        heard["executed_cmd"] = answers.executed is not None
        return [topic for topic, came in heard.items() if not came]

    def _missing(self) -> str:
        """What the graph still lacks, or ""."""
        names = set(self._node.get_node_names())
        for partner in self._options.partners:
            if partner not in names:
                return f"{partner} has not joined the graph"
        records = RECORDER in self._options.partners
        for camera, publisher in self._output.cameras.items():
            if publisher.get_subscription_count() < 1 + records:
                return f"{'not every' if records else 'no'} node listens to the camera '{camera}'"
        for topic, publisher in self._output.outcomes.items() if records else ():
            if publisher.get_subscription_count() < 1:
                return f"{RECORDER} does not listen to '{topic}'"
        if self._output.episode.get_subscription_count() < len(self._options.partners):
            return "not every node listens to 'episode'"
        topics = ["latent", "cmd_vel_nominal", "executed_cmd"]
        topics += ["safety/state", "surprise"] if self._options.record_dir is not None else []
        silent = [t for t in topics if self._node.count_publishers(t) < 1]
        return f"no node publishes '{silent[0]}'" if silent else ""

    def _fail(self) -> None:
        waited = f"within {self._options.timeout_s:g} s"
        if not self._driving:
            raise GraphError(f"{self._missing()} {waited}: read the messages of the nodes above")
        topic = self._owing()[0]
        owner = {"latent": "encoder_node", "surprise": "encoder_node", "cmd_vel_nominal": "policy_node"}
        raise GraphError(
            f"{owner.get(topic, 'safety_filter_node')} owes '{topic}' for the frame at "
            f"{self._stamp_ns / 1e9:.2f} s and did not send it {waited}: read its messages above"
        )
