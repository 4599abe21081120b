"""Bundles: what is wrong is refused by name, and replacing one is never seen half done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros import atomic
from safe_o2o_ros.bundle import ENCODER, NETWORKS, POLICY, SAFETY, load_bundle, sha256, write_bundle
from safe_o2o_ros.errors import (
    BundleError,
    BundleHashError,
    BundleMismatchError,
    BundleMissingError,
    BundleNonFiniteError,
    BundleSchemaError,
    BundleShapeError,
    UsageError,
)
from safe_o2o_ros.manifest import MANIFEST_NAME, Manifest


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("good") / "bundle"
    write_tiny_bundle(directory)
    return directory


@pytest.fixture
def bundle(good: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(good, tmp_path / "bundle"))


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / MANIFEST_NAME
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_network(directory: Path, name: str, change: Callable[[Any], object]) -> None:
    """Change a graph and state its new hash: an honest bundle of a wrong network."""
    model = onnx.load(directory / name)
    change(model.graph)
    (directory / name).write_bytes(model.SerializeToString())
    edit_manifest(directory, lambda m: m["files"].update({name: sha256(directory / name)}))


def set_weight(name: str, value: Any) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        weight = next(w for w in graph.initializer if w.name == name)
        shape = tuple(weight.dims)
        weight.CopyFrom(numpy_helper.from_array(np.full(shape, value, np.float32), name))

    return change


def refusal(directory: Path, error: type[BundleError], **options: Any) -> str:
    """The one sentence a bundle is refused with."""
    with pytest.raises(BundleError) as caught:
        load_bundle(directory, **options)
    assert caught.type is error
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_a_good_bundle_loads_verified(good: Path) -> None:
    bundle = load_bundle(good, task="PointGoal1")
    assert bundle.version == "tiny-1"
    assert set(bundle.networks) == set(NETWORKS)
    assert {n.provider for n in bundle.networks.values()} == {"CPUExecutionProvider"}


def test_only_the_asked_networks_are_loaded_but_every_file_is_verified(bundle: Path) -> None:
    assert set(load_bundle(bundle, (SAFETY,)).networks) == {SAFETY}
    (bundle / ENCODER).write_bytes(b"damaged")
    assert "encoder.onnx does not have the sha256" in refusal(bundle, BundleHashError, networks=(SAFETY,))


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "manifest.json is missing" in refusal(tmp_path / "nowhere", BundleMissingError)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_file_is_named(name: str, bundle: Path) -> None:
    (bundle / name).unlink()
    assert f"lacks {name}" in refusal(bundle, BundleMissingError)


def test_a_manifest_that_forgets_a_network_is_refused(bundle: Path) -> None:
    edit_manifest(bundle, lambda m: m["files"].pop(POLICY))
    assert "lists no policy.onnx" in refusal(bundle, BundleSchemaError)


@pytest.mark.parametrize("name", ["../bundle/encoder.onnx", "/etc/hostname", "sub/x.onnx"])
def test_a_manifest_that_reaches_out_of_its_directory_is_refused(name: str, bundle: Path) -> None:
    edit_manifest(bundle, lambda m: m["files"].update({name: "0" * 64}))
    assert "not a plain file name" in refusal(bundle, BundleSchemaError)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_changed_bit_anywhere_is_refused(name: str, place: float, bundle: Path) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[round(place * (len(data) - 1))] ^= 1
    (bundle / name).write_bytes(data)
    assert f"{name} does not have the sha256" in refusal(bundle, BundleHashError)


def test_a_bundle_of_another_task_is_refused(good: Path) -> None:
    message = refusal(good, BundleMismatchError, task="CarGoal2")
    assert "was trained for PointGoal1, not CarGoal2" in message


def test_bytes_that_are_no_network_are_refused(bundle: Path) -> None:
    (bundle / POLICY).write_bytes(b"no onnx at all")
    edit_manifest(bundle, lambda m: m["files"].update({POLICY: sha256(bundle / POLICY)}))
    assert "policy.onnx is not a network" in refusal(bundle, BundleShapeError)


def test_an_image_of_another_size_is_refused(bundle: Path) -> None:
    edit_manifest(bundle, lambda m: m["image"].update(width=32))
    message = refusal(bundle, BundleShapeError)
    assert "takes 'image' as" in message and "promises uint8[None, 64, 32, 6]" in message


def test_an_input_of_another_type_is_refused(bundle: Path) -> None:
    def as_double(graph: Any) -> None:
        latent = next(i for i in graph.input if i.name == "latent")
        latent.type.tensor_type.elem_type = TensorProto.DOUBLE
        graph.node.insert(0, helper.make_node("Cast", ["latent"], ["cast"], to=TensorProto.FLOAT))
        for node in list(graph.node)[1:]:
            node.input[:] = ["cast" if i == "latent" else i for i in node.input]

    edit_network(bundle, POLICY, as_double)
    assert "takes 'latent' as tensor(double)" in refusal(bundle, BundleShapeError)


def test_an_extra_input_is_refused(bundle: Path) -> None:
    extra = helper.make_tensor_value_info("odometry", TensorProto.FLOAT, ["B", 3])
    edit_network(bundle, ENCODER, lambda g: g.input.append(extra))
    assert "wants an unknown input 'odometry'" in refusal(bundle, BundleShapeError)


def rename(graph: Any, old: str, new: str) -> None:
    for value in (*graph.input, *graph.output):
        value.name = new if value.name == old else value.name
    for node in graph.node:
        node.input[:] = [new if n == old else n for n in node.input]
        node.output[:] = [new if n == old else n for n in node.output]


def test_a_renamed_input_or_output_is_refused(bundle: Path) -> None:
    edit_network(bundle, SAFETY, lambda g: rename(g, "actions", "commands"))
    assert "safety.onnx lacks the input 'actions'" in refusal(bundle, BundleShapeError)
    edit_network(bundle, SAFETY, lambda g: rename(g, "commands", "actions"))
    edit_network(bundle, SAFETY, lambda g: rename(g, "risk", "danger"))
    assert "safety.onnx lacks the output 'risk'" in refusal(bundle, BundleShapeError)


def test_a_network_that_scores_a_fixed_number_of_commands_is_refused(bundle: Path) -> None:
    def fix(graph: Any) -> None:
        actions = next(i for i in graph.input if i.name == "actions")
        actions.type.tensor_type.shape.dim[1].dim_value = 3

    edit_network(bundle, SAFETY, fix)
    assert "takes 'actions' as" in refusal(bundle, BundleShapeError)


def test_an_output_of_another_shape_is_refused(bundle: Path) -> None:
    edit_manifest(bundle, lambda m: m["expansion"].update(proposals=2))
    message = refusal(bundle, BundleShapeError)
    assert "gives 'actions' as float32 (1, 1, 2)" in message and "(1, 2, 2)" in message


def test_an_output_of_another_type_is_refused(bundle: Path) -> None:
    def as_double(graph: Any) -> None:
        rename(graph, "scores", "raw_scores")
        graph.node.append(helper.make_node("Cast", ["raw_scores"], ["scores"], to=TensorProto.DOUBLE))
        output = next(o for o in graph.output if o.name == "raw_scores")
        output.name, output.type.tensor_type.elem_type = "scores", TensorProto.DOUBLE

    edit_network(bundle, POLICY, as_double)
    assert "gives 'scores' as float64" in refusal(bundle, BundleShapeError)


def test_a_graph_that_contradicts_its_own_signature_is_refused_and_not_a_crash(bundle: Path) -> None:
    def free(graph: Any) -> None:
        for value in graph.input:
            value.type.tensor_type.shape.dim[1].dim_param = "N"

    edit_network(bundle, POLICY, free)
    edit_manifest(bundle, lambda m: m["latent"].update(size=STATE + 1))
    assert "policy.onnx does not run" in refusal(bundle, BundleShapeError, networks=(POLICY,))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "weight", "output"), [(ENCODER, "w_state", "latent"), (POLICY, "w", "actions")]
)
def test_a_non_finite_output_is_refused(
    value: float, name: str, weight: str, output: str, bundle: Path
) -> None:
    edit_network(bundle, name, set_weight(weight, value))
    message = refusal(bundle, BundleNonFiniteError)
    assert f"{name} gives a non-finite '{output}'" in message


def test_an_execution_provider_that_is_not_built_in_is_refused(good: Path) -> None:
    with pytest.raises(UsageError, match="NoSuchProvider is not in this ONNX Runtime"):
        load_bundle(good, providers=("NoSuchProvider",))


def manifest_and_files(directory: Path) -> tuple[Manifest, dict[str, bytes]]:
    return load_bundle(directory).manifest, {n: (directory / n).read_bytes() for n in NETWORKS}


def test_a_write_leaves_nothing_but_the_bundle(good: Path, tmp_path: Path) -> None:
    manifest, files = manifest_and_files(good)
    target = tmp_path / "deep" / "bundle"
    for _ in range(2):  # new, then in place of the first
        assert write_bundle(target, manifest, files) == load_bundle(target).manifest
        assert [p.name for p in target.parent.iterdir()] == ["bundle"]
        assert {p.name for p in target.iterdir()} == {MANIFEST_NAME, *NETWORKS}


@pytest.mark.parametrize("exchange", [True, False])
def test_a_replacement_holds_only_the_new_files(
    exchange: bool, good: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:  # a file system that cannot exchange two names
        monkeypatch.setattr(atomic, "_exchange", lambda a, b: False)
    (bundle / "leftover").touch()
    manifest, files = manifest_and_files(good)
    write_bundle(bundle, manifest, files)
    assert load_bundle(bundle).version == "tiny-1"
    assert not (bundle / "leftover").exists() and len(list(bundle.parent.iterdir())) == 1


def test_what_is_not_a_bundle_is_never_replaced(good: Path, tmp_path: Path) -> None:
    manifest, files = manifest_and_files(good)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "letter").write_text("dear")
    for name in ("photos", "letter"):
        with pytest.raises(BundleError, match="something else than a model bundle"):
            write_bundle(tmp_path / name, manifest, files)
    assert (tmp_path / "photos" / "cat.jpg").exists() and (tmp_path / "letter").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    write_bundle(tmp_path / "empty", manifest, files)
    load_bundle(tmp_path / "empty")


def test_a_place_that_cannot_be_written_is_one_sentence(good: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be written"):
        write_bundle(tmp_path / "file" / "bundle", *manifest_and_files(good))


def test_a_bundle_is_there_at_every_moment_of_its_replacement(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    write_tiny_bundle(target)
    stop = threading.Event()
    absent: list[bool] = []

    def watch() -> None:
        while not stop.is_set():
            absent.append(not (target / MANIFEST_NAME).is_file())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for seed in range(8):
            write_tiny_bundle(target, seed=seed, version=f"v{seed}")
            assert load_bundle(target).version == f"v{seed}"
    finally:
        stop.set()
        watcher.join()
    assert absent and not any(absent)


WRITER = """
import sys
from pathlib import Path
from support.tiny_bundle import write_tiny_bundle
print("ready", flush=True)
n = 0
while True:
    write_tiny_bundle(Path(sys.argv[1]), version=f"killed-{n}")
    n += 1
"""


def test_a_writer_killed_at_any_moment_leaves_a_loadable_bundle(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    write_tiny_bundle(target, version="first")
    rng = np.random.default_rng(0)
    search = os.pathsep.join(p for p in sys.path if p)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": search},
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        # A random moment of the writer's loop of some milliseconds, not a wait for something.
        with contextlib.suppress(subprocess.TimeoutExpired):
            writer.wait(timeout=float(rng.uniform(0.0, 0.12)))
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        assert load_bundle(target).version.startswith(("first", "killed-"))
    assert load_bundle(target).version != "first"
