"""Records what an operator drives: every take is a bag of its own, labelled while driving."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.serialization import deserialize_message
from std_msgs.msg import Bool, Float32, String
from std_srvs.srv import Trigger

from safe_o2o_ros.data.cost_label import BUMPER, E_STOP, CostLabel
from safe_o2o_ros.data.record_report import RecordReport
from safe_o2o_ros.data.session import START, LastFrames, Session, Step
from safe_o2o_ros.data.take_events import Finished, Heard
from safe_o2o_ros.data.take_thread import TakeThread
from safe_o2o_ros.data.takes import TakeFolder
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.recorded_images import compression
from safe_o2o_ros.nodes.recorder_inputs import RecorderInputs, said
from safe_o2o_ros.nodes.recorder_parameters import SPECS, out_dir, robot_of
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.types import Level

__all__ = ["SPECS", "RecorderNode", "main"]
_REPORT_S = 1.0
_LAST_FRAMES_S = 1.0
"""Longest wait for the frames after the end of an episode."""
_LAST_S = 5.0
"""Longest time the disk gets at the end."""


class RecorderNode(ThinNode):
    """Listens and labels; a thread writes. Nobody who drives waits for either."""

    idle_s = 0.02

    def __init__(self) -> None:
        super().__init__("recorder_node", SPECS)
        p = self.parameters
        self._robot = robot_of(p)
        self._folder = TakeFolder(out_dir(p))
        for sentence in self._folder.repair():
            self.get_logger().warning(sentence)
        room, free = round(p["queue_megabytes"] * 1e6), round(p["min_free_gigabytes"] * 1e9)
        self._thread = TakeThread(self._folder, room, free)
        self._session = Session(p["follow_episodes"])
        self._cost = CostLabel(tuple(p["cost_from"]), round(p["cost_hold"] * 1e9))
        topics = tuple(f"/{c}/image_raw{end}" for c in self._robot.cameras for end in ("", "/compressed"))
        self._report = RecordReport(self._thread, topics)
        self._waits, self._reported_s, self._failures = bool(p["autostart"]), 0.0, 0
        self._last_frames: LastFrames | None = None
        self._ended_s, self._opened_ns = 0.0, 0
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())
        words: dict[str, Callable[[], str]] = {
            "start": self._start,
            "stop": lambda: self._do(self._session.stop(), "stopped"),
            "discard": lambda: self._do(self._session.discard(), "discarded"),
            "goal": self._goal,
            "cost": self._press_cost,
        }
        for word, act in words.items():
            self.create_service(Trigger, f"~/{word}", partial(self._on_word, act))
        compress = compression(p["images"], p["jpeg_quality"])
        self._inputs = RecorderInputs(self, self._robot.cameras, p["image_qos"], compress, self._on_heard)
        self.get_logger().info(f"records {', '.join(self._robot.cameras)} to {self._folder.directory}")

    def _on_word(
        self, act: Callable[[], str], request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        answer = act()
        response.success, response.message = not answer.startswith("not "), answer
        return response

    def _start(self) -> str:
        self._inputs.adapt()
        if problem := self._inputs.problem():
            return f"not started: {problem}"
        if not self._thread.has_room():
            return f"not started: less than {self.parameters['min_free_gigabytes']:g} GB are free: free space"
        if self._session.running:
            return "records already"
        self._do(self._session.start(), "")
        return "recording" if self._session.running else "recording begins with the next episode"

    def _goal(self) -> str:
        if not self._session.running:
            return "not recording: press start first"
        rewarded = self.parameters["reward_from"] == "goal"
        now_ns = time.time_ns()
        last = [said("reward", Float32(data=1.0), now_ns)] if rewarded else []
        return self._do(self._session.goal(), "goal reached", *last)

    def _press_cost(self) -> str:
        if not self._session.running:
            return "not recording: press start first"
        if not self._cost.press(time.time_ns()):
            return "not counted: cost_from leaves the operator out"
        return "cost"

    def _do(self, step: Step, answer: str, *last: Heard, at_ns: int | None = None) -> str:
        """Carry out what the session decided. `last`: what the ending take still gets."""
        now_ns, now_s = time.time_ns() if at_ns is None else at_ns, time.monotonic()
        if step.discard:
            self._last_frames = None
        self._settle()
        if step.finish:
            self._thread.end(step.finish, *last, said("episode", String(data=step.finish), now_ns))
            self._report.ended(now_s)
        if step.discard:
            self._thread.discard()
            self._report.ended(now_s)
        if step.open:
            self._cost.said.clear()
            self._cost.again(now_ns)
            first = [said("episode", String(data=START), now_ns), *self._costs()]
            self._thread.open(self._robot.custom(self._inputs.camera_topics()), *first)
            self._report.opened(now_s)
            self._opened_ns = now_ns
        return answer

    def _settle(self) -> None:
        """End the take whose episode is over; its last frames are there, or do not come."""
        last, self._last_frames = self._last_frames, None
        if last is not None:
            self._thread.end(last.word, said("episode", String(data=last.word), last.mark_ns))
            self._report.ended(time.monotonic())

    def _costs(self) -> list[Heard]:
        labels = [said("cost", Bool(data=on), at_ns) for at_ns, on in self._cost.said]
        self._cost.said.clear()
        return labels

    def _on_heard(self, heard: Heard) -> None:
        if self._last_frames is not None and heard.frame:
            if self._last_frames.wants(heard.topic, heard.log_ns, heard.data):
                self._thread.offer(heard)
            if self._last_frames.complete:
                self._settle()
            return
        label = _LABELS.get(heard.topic)
        value: Any = deserialize_message(heard.data, label).data if label is not None else None
        if heard.topic == "/episode":
            self._on_episode(str(value), heard)
            return
        self._offer(heard)
        if heard.topic in ("/bumper", "/e_stop"):
            source = BUMPER if heard.topic == "/bumper" else E_STOP
            self._cost.state(source, bool(value), heard.log_ns)
        elif heard.topic == "/cost":
            self._cost.amount(float(value), heard.log_ns)
        elif heard.topic == "/reward" and self.parameters["reward_from"] == "topic":
            self._offer(Heard("/record/reward", heard.kind, heard.log_ns, heard.publish_ns, heard.data))
        self._label()

    def _on_episode(self, word: str, heard: Heard) -> None:
        step = self._session.event(word, old=heard.publish_ns < self._opened_ns)
        if step.finish and not step.open:
            self._thread.offer(heard)
            topics = set(self._inputs.camera_topics().values())
            self._last_frames, self._ended_s = LastFrames(word, topics, heard.log_ns), time.monotonic()
            return
        self._do(step, "", at_ns=heard.log_ns)
        self._offer(heard)

    def _offer(self, heard: Heard) -> None:
        if self._session.running and not self._thread.offer(heard):
            self.get_logger().error(
                "messages are dropped: the disk does not keep up", throttle_duration_sec=5.0
            )

    def _label(self) -> None:
        for label in self._costs():
            self._offer(label)

    def work(self) -> None:
        """Label, look whether the disk still takes it, report once a second."""
        self._cost.tick(time.time_ns())
        self._label()
        if self._failures != self._thread.failures:
            self._failures = self._thread.failures
            self._session.failed()
            self._report.ended(time.monotonic())
        while not self._thread.finished.empty():
            self._tell_of(self._thread.finished.get())
        now_s = time.monotonic()
        if self._last_frames is not None and now_s - self._ended_s > _LAST_FRAMES_S:
            self._settle()
        if now_s - self._reported_s >= _REPORT_S:
            self._tell(now_s)

    def _tell_of(self, take: Finished) -> None:
        self.get_logger().info(f"{take.name}: {take.ending}, {take.frames} frames, {take.bytes / 1e6:.1f} MB")
        self._print({"event": "take", **asdict(take)})

    def _tell(self, now_s: float) -> None:
        self._reported_s = now_s
        self._inputs.adapt()
        if self._waits and not self._inputs.problem():
            self._waits = False
            if (answer := self._start()).startswith("not "):
                self.get_logger().error(answer)
        level, text = self._report.state(self._inputs.problem())
        if level is Level.ERROR:
            self.get_logger().error(text, throttle_duration_sec=10.0)
        values = self._report.values(now_s)
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics(
                "recorder_node", self._robot.name, bytes([level]), text, values, stamp_ns
            )
        )
        self._print({"event": "progress", "level": level.name, "text": text, **values})

    def _print(self, line: dict[str, Any]) -> None:
        if self.parameters["progress"]:
            print(json.dumps(line), flush=True)

    def last_words(self) -> None:
        """Finish what runs; what the disk does not take in time is repaired at the next start."""
        self._do(self._session.stop(), "")
        if not self._thread.close(_LAST_S):
            self.get_logger().error("the disk was too slow: the last take is repaired at the next start")
        while not self._thread.finished.empty():
            self._tell_of(self._thread.finished.get())
        level, text = self._report.state("") if self._thread.problem else (Level.OK, "ended")
        values = self._report.values(time.monotonic())
        self._print({"event": "end", "level": level.name, "text": text, **values})
        self._folder.close()


_LABELS: dict[str, type[Any]] = {"/episode": String, "/bumper": Bool, "/e_stop": Bool, "/cost": Float32}
"""Topics whose content decides about takes and labels."""


def main() -> int:
    """Entry point of the process."""
    return run(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())
