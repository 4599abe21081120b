"""Both ends of a transfer on topics: NAME/catalogue, NAME/request, NAME/chunk."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import String, UInt8MultiArray

from safe_o2o_ros.errors import BundleSignatureError, TransferError
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.nodes.parameters import Parameters, Spec
from safe_o2o_ros.nodes.runner import ThinNode
from safe_o2o_ros.nodes.transfer_parameters import signing_key
from safe_o2o_ros.online.chunks import (
    Item,
    catalogue_from_json,
    catalogue_to_json,
    chunk_from_bytes,
    chunk_to_bytes,
    request_from_json,
    request_to_json,
)
from safe_o2o_ros.online.transfer import Receiver, Sender
from safe_o2o_ros.signature import seal, unseal

if TYPE_CHECKING:
    from safe_o2o_ros.signature import SigningKey, TrustedKey

_LOOK_S = 1.0
_AGAIN_S = 5.0
"""The catalogue is said again after this time, changed or not."""
_RETRY_DISK_S = 5.0
_IDLE_S = 0.1
_DIAGNOSTICS_S = 1.0


class SenderLink:
    """Sends what `look` lists, and only what is asked for."""

    def __init__(
        self,
        node: ThinNode,
        name: str,
        look: Callable[[], Mapping[Item, Path]],
        bytes_per_s: float,
        key: SigningKey | None,
    ) -> None:
        """`key` signs the catalogue, and with its hashes everything."""
        self._node, self._look, self._key = node, look, key
        self._sender = Sender(bytes_per_s)
        self._looked_s = self._said_s = -1e9
        self._said = ""
        self._catalogue = node.create_publisher(String, f"{name}/catalogue", qos.facts())
        self._chunk = node.create_publisher(UInt8MultiArray, f"{name}/chunk", qos.chunks())
        node.create_subscription(String, f"{name}/request", self._on_request, qos.plots())

    @property
    def facts(self) -> dict[str, object]:
        """For diagnostics."""
        return {"sent_bytes": self._sender.sent_bytes}

    def work(self) -> None:
        """Look for what is new, send what is due; sets the node's `idle_s`."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            files = self._look()
            self._sender.offer(files)
            text = catalogue_to_json(files)
            if text != self._said or now_s - self._said_s >= _AGAIN_S:
                self._said, self._said_s = text, now_s
                self._catalogue.publish(String(data=seal(text, self._key)))
        try:
            chunk = self._sender.next(now_s)
        except OSError:
            chunk = None  # the file has gone: the next catalogue lists it no more
        if chunk is not None:
            self._chunk.publish(UInt8MultiArray(data=array("B", chunk_to_bytes(chunk))))
        wait_s = self._sender.wait_s(now_s)
        self._node.idle_s = _IDLE_S if wait_s is None else min(_IDLE_S, wait_s)

    def _on_request(self, message: String) -> None:
        try:
            self._sender.asked(request_from_json(message.data))
        except TransferError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)


class ReceiverLink:
    """Fetches into a folder what a catalogue lists."""

    def __init__(self, node: ThinNode, name: str, folder: Path, key: TrustedKey | None) -> None:
        """`key` must have signed the catalogue. Raises OSError."""
        self._node, self._key = node, key
        self.receiver = Receiver(folder)
        self._blocked_s = -1e9
        self.problem = ""
        """What is wrong, for diagnostics; "" while nothing is."""
        self._request = node.create_publisher(String, f"{name}/request", qos.plots())
        node.create_subscription(String, f"{name}/catalogue", self._on_catalogue, qos.facts())
        node.create_subscription(UInt8MultiArray, f"{name}/chunk", self._on_chunk, qos.chunks())

    @property
    def facts(self) -> dict[str, object]:
        """For diagnostics."""
        left = self.receiver.missing
        return {
            "received_bytes": self.receiver.received_bytes,
            "missing_files": len(left),
            "wrong_files": self.receiver.wrong,
        }

    def work(self) -> None:
        """Ask for what is missing."""
        now_s = time.monotonic()
        if now_s - self._blocked_s < _RETRY_DISK_S:
            return
        try:
            request = self.receiver.request(now_s)
            self.problem = ""
        except OSError as error:
            self._disk(error)
            return
        if request is not None:
            self._request.publish(String(data=request_to_json(request)))

    def close(self) -> None:
        """Note how far it is."""
        try:
            self.receiver.close()
        except OSError as error:
            self._disk(error)

    def _on_catalogue(self, message: String) -> None:
        try:
            self.receiver.listed(catalogue_from_json(unseal(message.data, self._key)))
        except (TransferError, BundleSignatureError) as error:
            self.problem = str(error)
            self._node.get_logger().error(self.problem, throttle_duration_sec=5.0)
        except OSError as error:
            self._disk(error)

    def _on_chunk(self, message: UInt8MultiArray) -> None:
        try:
            self.receiver.arrived(chunk_from_bytes(bytes(message.data)))
            self.receiver.heard(time.monotonic())
        except TransferError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
        except OSError as error:
            self._disk(error)

    def _disk(self, error: OSError) -> None:
        self._blocked_s = time.monotonic()
        self.problem = f"what comes cannot be written ({error}): free some space; it is tried again"
        self._node.get_logger().error(self.problem, throttle_duration_sec=5.0)


class SenderNode(ThinNode):
    """A process that is one sending end."""

    def __init__(
        self,
        name: str,
        specs: Sequence[Spec],
        topic: str,
        look: Callable[[Parameters], Callable[[], Mapping[Item, Path]]],
    ) -> None:
        """`specs` hold SENDER_SPECS; `look` makes of the parameters what lists the files."""
        super().__init__(name, specs)
        p = self.parameters
        self._link = SenderLink(self, topic, look(p), 1e6 * p["rate"], signing_key(p))
        self._reported_s = 0.0
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", qos.plots())

    def work(self) -> None:
        """Send; report once a second."""
        self._link.work()
        now_s = time.monotonic()
        if now_s - self._reported_s < _DIAGNOSTICS_S:
            return
        self._reported_s = now_s
        stamp_ns = self.get_clock().now().nanoseconds
        facts = self._link.facts
        self._diagnostics.publish(
            conversions.to_diagnostics(self.get_name(), "", DiagnosticStatus.OK, "ok", facts, stamp_ns)
        )
