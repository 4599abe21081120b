"""Hands a candidate to the robot's release_node, or asks it to roll back, and tells what came of it."""

from __future__ import annotations

import json
import sys
import time
import uuid

from std_msgs.msg import String
from std_srvs.srv import Trigger

from safe_o2o_ros.errors import GraphError
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run

SPECS = (
    Spec("version", "", "Version of the candidate."),
    Spec("path", "", "Its directory, as the robot sees it; empty: roll back."),
    Spec("sha256", "", "Of its manifest."),
    Spec("timeout", 1800.0, "Longest wait for the verdict, seconds.", 1.0, 1e6),
)
_MEETING_S = 10.0
_ENDS = ("offer", "live", "known", "superseded")
"""What is said last of a candidate before it drives; and a gate that refuses."""


class OfferProbe(ThinNode):
    """Prints every verdict on the candidate as it comes; ends with the last."""

    idle_s = 0.05

    def __init__(self) -> None:
        super().__init__("offer_probe", SPECS)
        p = self.parameters
        self._started_s, self._id = time.monotonic(), uuid.uuid4().hex
        self._sent = False
        self.code = 1
        """Of the process: 0 once the candidate drives."""
        self._candidates = self.create_publisher(String, "bundle/candidate", qos.facts())
        self.create_subscription(String, "bundle/verdict", self._on_verdict, qos.answers())
        self._service = self.create_client(Trigger, "release_node/rollback") if not p["path"] else None

    def _on_verdict(self, message: String) -> None:
        try:
            said = json.loads(message.data)
            if said["id"] != self._id or self._service is not None:
                return
            print(f"{said['event']}: {said['sentence']}", flush=True)
            passed, event = bool(said["passed"]), str(said["event"])
        except (ValueError, KeyError, TypeError):
            return  # not release_node's
        if event in _ENDS or (event == "gate" and not passed):
            self.code = 0 if event == "live" else 1
            self.finished = True

    def work(self) -> None:
        """Meet release_node, ask, wait. Raises GraphError if it is not there or does not answer."""
        waited_s = time.monotonic() - self._started_s
        if not self._sent:
            if self._met():
                self._ask()
            elif waited_s > _MEETING_S:
                raise GraphError(
                    "no release_node listens: start the graph with release:=true, and give its --namespace"
                )
        elif waited_s > self.parameters["timeout"]:
            raise GraphError("release_node gave no verdict in time: read its log")

    def _met(self) -> bool:
        if self._service is not None:
            return bool(self._service.service_is_ready())
        partners = self._candidates.get_subscription_count() and self.count_publishers("bundle/verdict")
        return bool(partners)

    def _ask(self) -> None:
        p, self._sent = self.parameters, True
        if self._service is not None:
            self._service.call_async(Trigger.Request()).add_done_callback(self._on_answer)
            return
        named = {key: p[key] for key in ("version", "path", "sha256")}
        self._candidates.publish(String(data=json.dumps({**named, "by_hand": True, "id": self._id})))

    def _on_answer(self, future: object) -> None:
        response = future.result()  # type: ignore[attr-defined]
        print(response.message, flush=True)
        self.code, self.finished = int(not response.success), True


def main() -> int:
    """Entry point of the process."""
    made: list[OfferProbe] = []

    def make() -> OfferProbe:
        made.append(OfferProbe())
        return made[0]

    code = run(make)
    return code or (made[0].code if made else 1)


if __name__ == "__main__":
    sys.exit(main())
