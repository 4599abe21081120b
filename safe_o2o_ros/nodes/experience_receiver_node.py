"""A robot's experience from afar into a store like the robot's own."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.bundles import TRUSTED_SPEC, trusted_key
from safe_o2o_ros.nodes.parameters import Spec
from safe_o2o_ros.nodes.runner import ThinNode, run
from safe_o2o_ros.nodes.transfer_link import ReceiverLink
from safe_o2o_ros.nodes.transfer_parameters import folder

SPECS = (
    Spec("directory", "", "Where the store is written; a learner may read it meanwhile."),
    TRUSTED_SPEC,
)
_DIAGNOSTICS_S = 1.0


class ExperienceReceiverNode(ThinNode):
    """On the learner's host."""

    def __init__(self) -> None:
        super().__init__("experience_receiver_node", SPECS)
        store = folder(self.parameters, "directory", "the store")
        try:
            self._link = ReceiverLink(self, "experience", store, trusted_key(self.parameters))
        except OSError as error:
            raise StoreError(f"the store {store} cannot be written ({error}): choose another") from error
        self._reported_s = 0.0
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())

    def work(self) -> None:
        """Ask for what is missing; report once a second."""
        self._link.work()
        self._link.receiver.complete.clear()
        now_s = time.monotonic()
        if now_s - self._reported_s < _DIAGNOSTICS_S:
            return
        self._reported_s = now_s
        problem = self._link.problem
        level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.OK
        stamp_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(
            conversions.to_diagnostics(
                self.get_name(), "", level, problem or "ok", self._link.facts, stamp_ns
            )
        )

    def last_words(self) -> None:
        """Note how far it is."""
        self._link.close()


def main() -> int:
    """Entry point of the process."""
    return run(ExperienceReceiverNode)


if __name__ == "__main__":
    raise SystemExit(main())
