"""The keys of an operator that start, end and label takes: they call recorder_node."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

RECORDER_KEYS = {"r": "start", "f": "stop", "g": "goal", "c": "cost", "x": "discard"}
"""Key -> service of recorder_node."""
RECORDER_HELP = "r f x   record, finish, discard a take;   g c   goal reached, this costs"


class RecorderKeys:
    """Calls without waiting; `said` is what the recorder answered last."""

    def __init__(self, node: Node, recorder: str) -> None:
        """`recorder`: name of the node."""
        self._recorder = recorder
        self._clients = {
            key: node.create_client(Trigger, f"{recorder}/{word}") for key, word in RECORDER_KEYS.items()
        }
        self.said = ""

    def press(self, key: str) -> bool:
        """Whether the key was one of these and a recorder runs; it then does not drive."""
        client = self._clients.get(key)
        if client is None:
            return False
        if not client.service_is_ready():
            self.said = f"no {self._recorder} runs"
            return False
        self.said = RECORDER_KEYS[key]
        client.call_async(Trigger.Request()).add_done_callback(self._on_answer)
        return True

    def _on_answer(self, future: Any) -> None:
        answer = future.result()
        self.said = answer.message if answer is not None else "no answer"
