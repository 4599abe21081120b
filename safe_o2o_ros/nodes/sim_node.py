"""A simulated task as cameras, base and odometry: the same topics and units as a robot."""

from __future__ import annotations

from pathlib import Path

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.nodes.sim_base import SimBase
from safe_o2o_ros.nodes.sim_faults import FAULT_SPECS, FaultControl
from safe_o2o_ros.nodes.sim_frames import Frames
from safe_o2o_ros.nodes.sim_lockstep import Lockstep, LockstepOptions
from safe_o2o_ros.nodes.sim_output import SimOutput
from safe_o2o_ros.nodes.sim_realtime import Realtime
from safe_o2o_ros.nodes.sim_world import SimWorld, WorldOptions, checked_cameras

SPECS = (
    Spec("task", "PointGoal1", "Simulated task."),
    Spec("variant", "", "Variant of the task; empty = the benchmark's own."),
    Spec("cameras", ["front", "back"], "Cameras to render: those the bundle needs."),
    Spec("action_repeat", 0, "Control steps per control period; 0 = the task's own.", 0, 1000),
    Spec("seed", 0, "Episode i uses seed + i.", 0),
    Spec("episodes", 0, "Episodes to drive, then the node ends; 0 = for ever (real time only).", 0),
    Spec(
        "max_periods",
        0,
        "Control periods after which an episode is cut; 0 = none.",
        0,
    ),
    Spec("lockstep", False, "Step only on the executed_cmd that answers the frame (repeatable runs)."),
    Spec(
        "lockstep_timeout",
        30.0,
        "Wall time without an answer that fails, seconds.",
        0.1,
        3600.0,
    ),
    Spec("partners", [""], "Nodes without which lockstep does not start."),
    Spec("record_dir", "", "Folder for one log per episode (lockstep only); empty = none."),
    Spec("top_size", 0, "Pixels of the view from above in the logs; 0 = no pictures in the logs.", 0, 1024),
    Spec("progress", False, "Report progress as JSON lines on stdout."),
    Spec("cmd_vel_timeout", 0.5, "Age at which the base ignores a command and brakes, seconds.", 0.05, 10.0),
    Spec("enable_stamped_cmd_vel", True, "cmd_vel is TwistStamped, else Twist (real time only)."),
    Spec("publish_clock", False, "Stamps are simulated time, told on /clock (lockstep always does this)."),
    Spec("base_frame_id", "base_link", "Frame of the base; a prefix (robot1/) is also the cameras'."),
    Spec("odom_frame_id", "odom", "Frame of the odometry."),
    *FAULT_SPECS,
)


class SimNode(ThinNode):
    """Owns the world; lockstep or wall clock drives it."""

    def __init__(self) -> None:
        super().__init__("sim_node", SPECS)
        p = self.parameters
        lockstep = bool(p["lockstep"])
        if p["record_dir"] and not lockstep:
            raise UsageError("sim_node records only in lockstep: set lockstep to true or record_dir to ''")
        if lockstep and p["episodes"] < 1:
            raise UsageError("lockstep needs an end: set episodes to 1 or more")
        simulated = self.get_parameter("use_sim_time").value
        if simulated and not (lockstep or p["publish_clock"]):
            raise UsageError(
                "sim_node is the source of simulated time: with use_sim_time set publish_clock to true"
            )
        self._world = SimWorld(
            WorldOptions(
                task=p["task"],
                cameras=checked_cameras(p["cameras"]),
                action_repeat=p["action_repeat"],
                variant=p["variant"] or None,
                seed=p["seed"],
                max_periods=p["max_periods"],
                record=bool(p["record_dir"]),
                top_size=p["top_size"],
            )
        )
        faults = FaultControl(self, p, self._world.options.cameras, lockstep)
        frames = Frames(p["odom_frame_id"], p["base_frame_id"])
        clock = lockstep or p["publish_clock"]
        output = SimOutput(self, self._world, frames, faults.now, lockstep, clock)
        self._drive: Lockstep | Realtime
        if lockstep:
            options = LockstepOptions(
                episodes=p["episodes"],
                partners=checked_cameras(p["partners"]),
                timeout_s=p["lockstep_timeout"],
                record_dir=Path(p["record_dir"]) if p["record_dir"] else None,
                progress=p["progress"],
            )
            self._drive = Lockstep(self, self._world, output, options)
        else:
            self._drive = Realtime(
                self,
                self._world,
                output,
                SimBase(self._world.adapter, self._world.period_s, p["cmd_vel_timeout"]),
                faults.now,
                episodes=p["episodes"],
                stamped=p["enable_stamped_cmd_vel"],
                publish_clock=p["publish_clock"],
            )

    def work(self) -> None:
        """Let the world go on if it may."""
        self._drive.work()
        self.finished = self._drive.finished

    def closing(self) -> bool:
        """Drive on until the base stands: a robot does not vanish when the graph is shut down."""
        return self.finished or not isinstance(self._drive, Realtime) or self._drive.standing

    def last_words(self) -> None:
        """Free the graphics."""
        self._world.close()


def main() -> int:
    """Entry point of the process."""
    return run(SimNode)


if __name__ == "__main__":
    raise SystemExit(main())
