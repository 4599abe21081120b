"""Bundles that can follow one another, and a hand that offers them to running nodes."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

from std_msgs.msg import String
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import ENCODER, NETWORKS, sha256, write_bundle
from safe_o2o_ros.manifest import MANIFEST_NAME, Manifest, read_manifest
from safe_o2o_ros.nodes import qos
from safe_o2o_ros.online.offer import Offer, ack_from_json, active_from_json, to_json

NODES = ("encoder_node", "policy_node", "safety_filter_node")


def write_family(folder: Path, **options: object) -> dict[str, Path]:
    """Bundles of one robot: "a"; "b", which shares its encoder; "c", of which everything is another."""
    paths = {name: folder / name for name in "abc"}
    a = write_tiny_bundle(paths["a"], seed=5, version="tiny-a", **options)  # type: ignore[arg-type]
    c = write_tiny_bundle(paths["c"], seed=6, version="tiny-c", **options)  # type: ignore[arg-type]
    files = {name: (paths["c"] / name).read_bytes() for name in NETWORKS}
    files[ENCODER] = (paths["a"] / ENCODER).read_bytes()
    write_bundle(paths["b"], dataclasses.replace(a, version="tiny-b", parent="tiny-a"), files)
    write_bundle(
        paths["c"],
        dataclasses.replace(c, parent="tiny-a"),
        {name: (paths["c"] / name).read_bytes() for name in NETWORKS},
    )
    return paths


def altered(source: Path, directory: Path, **fields: object) -> Manifest:
    """The networks of a bundle under a manifest with other fields."""
    manifest = dataclasses.replace(read_manifest(source), **fields)  # type: ignore[arg-type]
    return write_bundle(directory, manifest, {name: (source / name).read_bytes() for name in NETWORKS})


def offer_of(path: Path, **fields: object) -> Offer:
    """An offer of the bundle at `path`, as it stands there."""
    version = read_manifest(path).version
    given = {"id": uuid.uuid4().hex, **fields}
    return Offer(version, str(path), sha256(path / MANIFEST_NAME), **given)  # type: ignore[arg-type]


class Offerer:
    """Publishes offers and hears what becomes of them."""

    def __init__(self, probe, namespace=""):
        self.probe = probe
        self._offers = probe.node.create_publisher(String, f"{namespace}bundle/offer", qos.facts())
        self._ready = probe.listen(String, f"{namespace}bundle/ready", qos.answers())
        self._active = probe.listen(String, f"{namespace}bundle/active", qos.facts())

    def meet(self, count=3):
        """Wait until so many nodes listen."""
        self.probe.until(lambda: self._offers.get_subscription_count() >= count, "nodes that take offers")
        self.probe.until(lambda: self._active, "the active bundle")

    @property
    def active(self):
        return active_from_json(self._active[-1].data)

    def acks(self, offer):
        """What was said of an offer, in order."""
        return [a for a in map(ack_from_json, (m.data for m in list(self._ready))) if a.id == offer.id]

    def offer(self, path, **fields):
        """Publish an offer of the bundle at `path`."""
        return self.publish(offer_of(path, **fields))

    def publish(self, offer):
        self._offers.publish(String(data=to_json(offer)))
        return offer

    def until_active(self, version):
        self.probe.until(lambda: self.active.version == version, f"bundle {version} to run")

    def until_acked(self, offer, nodes=NODES):
        self.probe.until(
            lambda: {a.node for a in self.acks(offer) if a.ok} >= set(nodes),
            f"{nodes} ready for {offer.version}",
        )

    def refusal(self, offer, node="encoder_node"):
        """What a node says against an offer."""
        said = lambda: [a for a in self.acks(offer) if a.node == node and not a.ok]  # noqa: E731
        self.probe.until(lambda: bool(said()), f"a refusal by {node}")
        return said()[-1].reason
