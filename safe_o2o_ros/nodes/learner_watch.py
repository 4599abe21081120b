"""Watches finetune_node's learner from another node, holds it and lets it go."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from std_srvs.srv import Trigger

from safe_o2o_ros.nodes import qos


class LearnerWatch:
    """What the diagnostics of finetune_node last said of its learner."""

    def __init__(self, node: Node) -> None:
        self.update = 0
        """Updates so far."""
        self.paused = False
        """The learner says that it waits."""
        self.says = "nothing"
        node.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, qos.series(False))
        self._clients = {
            word: node.create_client(Trigger, f"finetune_node/{word}") for word in ("pause", "resume")
        }

    def ask(self, word: str) -> bool:
        """Send `pause` or `resume`; False where the node does not listen yet."""
        client = self._clients[word]
        if not client.service_is_ready():
            return False
        client.call_async(Trigger.Request())
        return True

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "finetune_node":
                values = {v.key: v.value for v in status.values}
                self.update = int(values.get("learner_update") or 0)
                self.says = values.get("learner_says", "")
                self.paused = self.says == "paused"
