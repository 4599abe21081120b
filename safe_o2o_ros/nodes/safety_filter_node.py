"""Nominal command in, safe command out; its own process and its own steady timer."""

from __future__ import annotations

import time
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, String
from std_srvs.srv import SetBool, Trigger

from safe_o2o_ros.bundle import SAFETY, Bundle
from safe_o2o_ros.errors import FrameError, UsageError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundles import BUNDLE_SPECS, open_bundle
from safe_o2o_ros.nodes.command_output import CommandOutput
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.robot import ADAPTERS
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs, SafetyFilter
from safe_o2o_ros.safety.freshness import Freshness
from safe_o2o_ros.safety.risk import BundleRisk
from safe_o2o_ros.safety.silence import Silence
from safe_o2o_ros.types import BRAKE_REASONS, Decision, Latent, Mode, Proposal

LATENT, NOMINAL = "latent", "cmd_vel_nominal"
SPECS = (
    *BUNDLE_SPECS,
    Spec("mode", "filter", "What to do with what is computed.", choices=tuple(m.value for m in Mode)),
    Spec("adapter", "point", "Robot assumed when no bundle is given.", choices=tuple(ADAPTERS)),
    Spec("start_enabled", False, "Enabled from the start, without a call of ~/enable."),
    Spec("lockstep", False, "Simulated time stands still between commands (repeatable simulation)."),
    Spec("filter_frequency", 20.0, "Rate of the deadline timer, Hz.", 1.0, 200.0),
    Spec("image_timeout", 0.5, "Age of latent or nominal command that brakes, seconds.", 0.05, 10.0),
    Spec("stop_pub_timeout", 1.0, "Zeros are sent this long after a stop, then nothing, seconds.", 0.0, 60.0),
    Spec("enable_stamped_cmd_vel", True, "cmd_vel is TwistStamped, else Twist."),
    Spec("state_every_tick", False, "Publish safety/state for every decision, not only changes and 2 Hz."),
)
_STATE_S = 0.5


class SafetyFilterNode(ThinNode):
    """Answers every proposal, and every missed deadline, with an action and a reason."""

    def __init__(self) -> None:
        super().__init__("safety_filter_node", SPECS)
        p = self.parameters
        self._mode = Mode(p["mode"])
        self._lockstep = bool(p["lockstep"])
        needs_latent = self._mode is not Mode.LIMITS_ONLY
        networks = (SAFETY,) if needs_latent else ()
        bundle = open_bundle(p, networks) if p["bundle"] else None
        self._adapter = bundle.manifest.adapter if bundle else ADAPTERS[p["adapter"]]
        self._filter = self._make_filter(bundle, 1.0 / p["filter_frequency"])
        inputs = (LATENT, NOMINAL) if needs_latent else (NOMINAL,)
        self._inputs = inputs
        self._silence = Silence(p["stop_pub_timeout"])
        self._enabled = bool(p["start_enabled"])
        self._shutdown = False
        self._state_s = 0.0
        self._reported: tuple[object, ...] = ()
        self._forget()
        self._decided_s = time.monotonic()
        pipeline = qos.pipeline(self._lockstep)
        self._output = CommandOutput(self, self._adapter, pipeline, p["enable_stamped_cmd_vel"])
        self._state = self.create_publisher(DiagnosticArray, "safety/state", qos.series(self._lockstep))
        self._value = self.create_publisher(Float32, "safety/value", qos.plots())
        self.create_subscription(String, "episode", self._on_episode, qos.facts())
        self.create_subscription(Image, LATENT, self._on_latent, pipeline)
        self.create_subscription(TwistStamped, NOMINAL, self._on_nominal, pipeline)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_service(Trigger, "~/reset", self._on_reset)
        # Steady: a deadline must hold when /clock stops or jumps.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / p["filter_frequency"], self._on_deadline, clock=steady)
        held = f"bundle {bundle.version}" if bundle else "no bundle"
        self.get_logger().info(f"{held}, mode {self._mode.value}, {'en' if self._enabled else 'dis'}abled")
        if self._mode is Mode.SHADOW:
            self.get_logger().warning("SHADOW MODE: the filter reports and does NOT protect the robot")

    def _make_filter(self, bundle: Bundle | None, tick_s: float) -> SafetyFilter:
        if bundle is None:
            return SafetyFilter(self._adapter, FilterConfig(self._mode))
        manifest = bundle.manifest
        if tick_s > manifest.period_s and not self._lockstep:
            # The brake plans over one period and must be renewed within it, or it would reverse the robot.
            raise UsageError(
                f"filter_frequency is {1.0 / tick_s:g} Hz, but the bundle's control rate is "
                f"{1.0 / manifest.period_s:g} Hz: set filter_frequency to that or higher"
            )
        risk = BundleRisk(bundle) if self._mode is not Mode.LIMITS_ONLY else None
        config = FilterConfig(self._mode, brake_dt_s=manifest.period_s)
        return SafetyFilter(self._adapter, config, risk, manifest.thresholds.risk, bundle.version)

    def _forget(self) -> None:
        self._latent: Latent | None = None
        self._proposal: Proposal | None = None
        self._answered_ns: int | None = None
        self._freshness = Freshness(dict.fromkeys(self._inputs, self.parameters["image_timeout"]))

    def _on_episode(self, message: String) -> None:
        if message.data == "start":
            self._filter.reset()

    def _on_latent(self, message: Image) -> None:
        try:
            latent = conversions.from_latent_image(message)
        except FrameError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        if LATENT in self._inputs and self._freshness.note(LATENT, latent.stamp_ns, time.monotonic()):
            self._latent = latent

    def _on_nominal(self, message: TwistStamped) -> None:
        proposal = conversions.to_proposal(message, self._adapter)
        if self._freshness.note(NOMINAL, proposal.stamp_ns, time.monotonic()):
            self._proposal = proposal

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = bool(request.data)
        if not self._enabled:
            self._answer("")
        response.success, response.message = True, "enabled" if self._enabled else "disabled: braking"
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Not the speed estimate: a reset does not stop the robot.
        self._forget()
        response.success, response.message = True, "inputs forgotten: waiting for new ones"
        return response

    def work(self) -> None:
        """Answer at once when everything of one stamp is there."""
        proposal = self._proposal
        if proposal is None or proposal.stamp_ns == self._answered_ns:
            return
        if LATENT in self._inputs and (self._latent is None or self._latent.stamp_ns != proposal.stamp_ns):
            return
        self._answered_ns = proposal.stamp_ns
        self._answer("")

    def _on_deadline(self) -> None:
        late = self._freshness.late(time.monotonic())
        if late or self._shutdown:
            self._answer(late, deadline=True)

    def _answer(self, late: str, deadline: bool = False) -> None:
        now_s = time.monotonic()
        inputs = FilterInputs(self._enabled, self._latent, self._proposal, late, self._shutdown)
        if self._lockstep:
            # No simulated time passes at a deadline: it must leave no trace in the filter.
            decision = self._filter.decide(inputs, commit=self._shutdown or not deadline)
        else:
            decision = self._filter.decide(inputs, now_s - self._decided_s)
        self._decided_s = now_s
        if decision.reason not in BRAKE_REASONS:
            self._silence.moved()
            self._output.send(decision)
        elif not deadline or self._silence.speaks(self._filter.standing, now_s):
            self._output.send(decision)
        self._report(decision, now_s)

    def _report(self, decision: Decision, now_s: float) -> None:
        if decision.value == decision.value:
            self._value.publish(Float32(data=float(decision.value)))
        state = (decision.reason, decision.late_input, self._mode, self._enabled)
        due = now_s - self._state_s >= _STATE_S
        if due:
            self._output.check_partners()
        if due or state != self._reported or self.parameters["state_every_tick"]:
            self._reported, self._state_s = state, now_s
            self._state.publish(conversions.to_state(decision, self._mode, self._adapter.name))

    def closing(self) -> bool:
        """Brake, on the timer, until the robot should stand."""
        self._shutdown, self.idle_s = True, 0.02
        return self._filter.standing

    def last_words(self) -> None:
        """Say zero once more, and see it delivered."""
        decision = self._filter.decide(FilterInputs(self._enabled, None, None, closing=True))
        self._output.send(replace(decision, action=self._adapter.zero()))
        self._output.flush(Duration(seconds=0.5))


def main() -> int:
    """Entry point of the process."""
    return run(SafetyFilterNode)


if __name__ == "__main__":
    raise SystemExit(main())
