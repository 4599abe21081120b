"""Nominal command in, safe command out; its own process and its own steady timer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from safe_o2o_ros.base import adapter_for
from safe_o2o_ros.bundle import SAFETY, Bundle
from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.bundle_slot import BundleSlot
from safe_o2o_ros.nodes.bundles import open_bundle
from safe_o2o_ros.nodes.command_output import CommandOutput
from safe_o2o_ros.nodes.filter_parameters import SPECS, bounds, timeouts
from safe_o2o_ros.nodes.filter_report import FilterReport
from safe_o2o_ros.nodes.operator_input import OperatorInput
from safe_o2o_ros.nodes.pipeline_input import PipelineInput
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.safety.bundled import Learnt, bundle_filter, learnt
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.inbox import Inbox, InboxConfig
from safe_o2o_ros.safety.recovery import RecoveryConfig
from safe_o2o_ros.safety.silence import Silence
from safe_o2o_ros.types import BRAKE_REASONS, FloatArray, Mode

_PERIOD_S = 0.1
"""Control period assumed where no bundle has one, seconds."""


class SafetyFilterNode(ThinNode):
    """Answers every proposal, every missed deadline and the operator with an action and a reason."""

    def __init__(self) -> None:
        super().__init__("safety_filter_node", SPECS)
        p = self.parameters
        self._lockstep = bool(p["lockstep"])
        self._bundle = open_bundle(p, (SAFETY,)) if p["bundle"] else None
        self._adapter = self._bundle.manifest.adapter if self._bundle else adapter_for(p["adapter"])
        self._filter = self._make_filter(self._bundle, 1.0 / p["filter_frequency"])
        self._inbox = self._make_inbox(self._bundle)
        self._slot = self._make_slot(self._bundle) if self._bundle else None
        self._silence = Silence(p["stop_pub_timeout"])
        self._enabled = bool(p["start_enabled"])
        self._shutdown = False
        self._decided_s = time.monotonic()
        pipeline = qos.pipeline(self._lockstep)
        self._output = CommandOutput(
            self, self._adapter, pipeline, p["enable_stamped_cmd_vel"], p["base_frame_id"]
        )
        self._operator = OperatorInput(
            self,
            self._adapter,
            stamped=p["enable_stamped_cmd_vel_teleop"],
            on_command=self._on_operator,
            on_e_stop=self._on_e_stop if p["use_e_stop"] else None,
        )
        self._report = FilterReport(
            self,
            self._adapter.name,
            lambda: self._output.check_partners() or self._operator.check_partners(),
            lockstep=self._lockstep,
            every_tick=p["state_every_tick"],
        )
        self.create_subscription(String, "episode", self._on_episode, qos.facts())
        self._pipeline = PipelineInput(
            self,
            self._inbox,
            self._adapter,
            base_frame=p["base_frame_id"],
            lockstep=self._lockstep,
            odometry=self._use_odom != "never",
        )
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/reset", self._on_reset)
        for mode in Mode:
            self.create_service(Trigger, f"~/set_mode/{mode.value}", self._mode_setter(mode))
        self.add_on_set_parameters_callback(self._check_mode)
        # Steady: a deadline must hold when /clock stops or jumps.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / p["filter_frequency"], self._on_tick, clock=steady)
        held = f"bundle {self._bundle.version}" if self._bundle else "no bundle"
        self.get_logger().info(f"{held}, mode {p['mode']}, {'en' if self._enabled else 'dis'}abled")

    def _make_filter(self, bundle: Bundle | None, tick_s: float) -> SafetyFilter:
        p = self.parameters
        config = FilterConfig(
            Mode(p["mode"]),
            bounds=bounds(p, self._adapter),
            require_odom=p["use_odom"] == "require" and not self._lockstep,
            stop_novel=p["novelty"] == "stop",
            risk_share=p["risk_share"],
            recovery=RecoveryConfig(stuck_s=p["stuck_timeout"] or math.inf),
        )
        if bundle is None:
            return SafetyFilter(self._adapter, replace(config, brake_dt_s=max(tick_s, _PERIOD_S)))
        manifest = bundle.manifest
        if tick_s > manifest.period_s and not self._lockstep:
            # The brake plans over one period and must be renewed within it, or it would reverse the robot.
            raise UsageError(
                f"filter_frequency is {1.0 / tick_s:g} Hz, but the bundle's control rate is "
                f"{1.0 / manifest.period_s:g} Hz: set filter_frequency to that or higher"
            )
        config = replace(config, brake_dt_s=manifest.period_s)
        return bundle_filter(bundle, config)

    def _make_inbox(self, bundle: Bundle | None) -> Inbox:
        p = self.parameters
        config = InboxConfig(
            version=bundle.version if bundle else "",
            latent_size=bundle.manifest.latent.size if bundle else 0,
            use_e_stop=p["use_e_stop"],
            use_odom=self._use_odom,
            patient=self._lockstep,
        )
        return Inbox(self._adapter, config, timeouts(p))

    def _make_slot(self, bundle: Bundle) -> BundleSlot[Learnt]:
        def hold(learnt: Learnt) -> None:
            self._filter.hold(learnt.knowledge)
            self._inbox.hold(learnt.knowledge.version, learnt.latent_size)

        def release(version: str) -> None:
            self._inbox.release(version)
            self._filter.release(version)

        grid = self._filter.candidates
        return BundleSlot(
            self, bundle, learnt(bundle), partial(learnt, warm_up=grid), on_held=hold, on_released=release
        )

    @property
    def _use_odom(self) -> str:
        # The figures of the benchmark's robots, whose twist only carries forces, are made without.
        without = self._lockstep and not self._adapter.obeys_velocity
        return "never" if without else str(self.parameters["use_odom"])

    @property
    def _mode(self) -> Mode:
        return Mode(self.parameters["mode"])

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._filter.reset()

    def _on_operator(self, raw: FloatArray, stamp_ns: int | None) -> None:
        self._inbox.note_operator(raw, stamp_ns, time.monotonic())

    def _on_e_stop(self, pressed: bool) -> None:
        self._inbox.note_e_stop(pressed, time.monotonic())
        if pressed:
            self._on_tick()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = bool(request.data)
        if not self._enabled:
            self._on_tick()
        response.success, response.message = True, "enabled" if self._enabled else "disabled: braking"
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Not the speed estimate: a reset does not stop the robot.
        self._inbox.reset()
        self._filter.forgive()
        response.success, response.message = True, "inputs forgotten: waiting for new ones"
        return response

    def _mode_setter(self, mode: Mode) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def set_mode(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            result = self.set_parameters([Parameter("mode", value=mode.value)])[0]
            response.success = bool(result.successful)
            response.message = f"mode {mode.value}" if result.successful else str(result.reason)
            return response

        return set_mode

    def _check_mode(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if (
                parameter.name == "mode"
                and parameter.value != Mode.LIMITS_ONLY.value
                and self._bundle is None
            ):
                reason = f"mode {parameter.value} needs a bundle: start the node with one"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def work(self) -> None:
        """Answer at once when everything of one stamp is there; look after offered bundles."""
        question = self._inbox.question(self._mode, self._enabled, self._shutdown, time.monotonic())
        if question is not None:
            self._answer(question)
        if self._slot is not None:
            self._slot.poll(quiet=question is not None or self._lockstep)

    def _on_tick(self) -> None:
        self._inbox.set_timeouts(timeouts(self.parameters))
        inputs = self._inbox.deadline(self._mode, self._enabled, self._shutdown, time.monotonic())
        if self._inbox.is_due(inputs):
            self._answer(inputs)

    def _answer(self, inputs: FilterInputs) -> None:
        now_s = time.monotonic()
        self._filter.mode = self._mode
        if self._lockstep:
            # No simulated time passes at a deadline: it must leave no trace in the filter.
            decision = self._filter.decide(inputs, commit=inputs.closing or not inputs.deadline)
        else:
            decision = self._filter.decide(inputs, now_s - self._decided_s)
        self._decided_s = now_s
        if self._slot is not None:
            self._slot.follow(self._filter.version)
        if decision.reason not in BRAKE_REASONS:
            self._silence.moved()
            self._output.send(decision)
        elif not inputs.deadline or self._silence.speaks(self._filter.standing, now_s):
            self._output.send(decision)
        self._report.tell(decision, self._mode, self._more(now_s), now_s)

    def _more(self, now_s: float) -> dict[str, object]:
        """Keys of the state beside the decision's."""
        offsets = self._pipeline.clock_offsets_s
        bundle = self._slot.facts() if self._slot is not None else {}
        return {
            **{key: value for key, value in bundle.items() if key != "bundle"},
            "enabled": str(self._enabled).lower(),
            "e_stop": self._inbox.e_stop(now_s),
            "odom": self._odom(now_s),
            **{f"age_{name}_s": f"{age:.3f}" for name, age in self._inbox.ages_s(now_s).items()},
            **{f"clock_offset_{name}_s": f"{offset:.3f}" for name, offset in offsets.items()},
        }

    def _odom(self, now_s: float) -> str:
        if problem := self._inbox.odom_problem(now_s):
            return problem
        if self._filter.odom_frozen:
            return "frozen"
        return "held" if self._filter.odom_held else "ok"

    def closing(self) -> bool:
        """Brake, on the timer, until the robot should stand."""
        self._shutdown, self.idle_s = True, 0.02
        return self._filter.standing

    def last_words(self) -> None:
        """Say zero once more, and see it delivered."""
        decision = self._filter.decide(FilterInputs(self._enabled, None, None, closing=True))
        self._output.send(replace(decision, action=self._adapter.zero()))
        self._output.flush(Duration(seconds=0.5))
        if self._slot is not None:
            self._slot.close()


def main() -> int:
    """Entry point of the process."""
    return run(SafetyFilterNode)


if __name__ == "__main__":
    raise SystemExit(main())
