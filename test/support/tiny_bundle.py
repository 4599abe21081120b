"""A complete model bundle with random weights: real ONNX graphs of a few kilobytes, no training, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from safe_o2o_ros.bundle import ENCODER, POLICY, SAFETY, write_bundle
from safe_o2o_ros.manifest import SCHEMA_VERSION, Expansion, ImageSpec, LatentSpec, Manifest, Thresholds
from safe_o2o_ros.robot import POINT, ROOM_BASE

STATE = 24
SIDE = 4


def write_tiny_bundle(
    directory: Path,
    *,
    seed: int = 0,
    version: str = "tiny-1",
    task: str = "PointGoal1",
    cameras: tuple[str, ...] = ("front", "back"),
    proposals: int = 1,
    risk_threshold: float = 0.5,
) -> Manifest:
    """Write a bundle whose every network has the real signature. About half of its commands are certified."""
    rng = np.random.default_rng(seed)
    room = task == "RoomNav"
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        version=version,
        parent=None,
        task=task,
        image=ImageSpec(cameras, 64, 64),
        adapter=ROOM_BASE if room else POINT,
        action_repeat=1 if room else 4,
        period_s=0.1 if room else 0.08,
        latent=LatentSpec(size=STATE, state_size=STATE),
        thresholds=Thresholds(risk_threshold, 10.0, 20.0, {}),
        expansion=Expansion(proposals=proposals, temperature=0.0, hold_ticks=3),
        normalisation={"return_std": 1.0},
        seeds={"training": [[0, 9]], "selection": [], "calibration": []},
        files={},
    )
    files = {
        ENCODER: _encoder(rng, 3 * len(cameras)),
        POLICY: _policy(rng, proposals),
        SAFETY: _safety(rng),
    }
    return write_bundle(directory, manifest, files)


def _encoder(rng: np.random.Generator, channels: int) -> bytes:
    size = [64 // SIDE, 64 // SIDE]
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "full"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=size, strides=size),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w_image"], ["seen"]),
        helper.make_node("Sub", ["one", "is_first"], ["keep"]),
        helper.make_node("Mul", ["state", "keep"], ["kept_state"]),
        helper.make_node("Mul", ["action", "keep"], ["kept_action"]),
        helper.make_node("MatMul", ["kept_state", "w_state"], ["from_state"]),
        helper.make_node("MatMul", ["kept_action", "w_action"], ["from_action"]),
        helper.make_node("Add", ["from_state", "from_action"], ["predicted"]),
        helper.make_node("Add", ["predicted", "seen"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next_state"]),
        helper.make_node("Identity", ["next_state"], ["latent"]),
        helper.make_node("Abs", ["predicted"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude", "axis"], ["surprise"], keepdims=1),
    ]
    weights = {
        "w_image": rng.normal(0.0, 0.6, (channels * SIDE * SIDE, STATE)),
        "w_state": rng.normal(0.0, 0.25, (STATE, STATE)),
        "w_action": rng.normal(0.0, 0.5, (2, STATE)),
        "full": np.float32(255.0),
        "one": np.float32(1.0),
    }
    inputs = {
        "image": (TensorProto.UINT8, ["B", 64, 64, channels]),
        "action": (TensorProto.FLOAT, ["B", 2]),
        "state": (TensorProto.FLOAT, ["B", STATE]),
        "is_first": (TensorProto.FLOAT, ["B", 1]),
    }
    outputs = {"latent": ["B", STATE], "next_state": ["B", STATE], "surprise": ["B", 1]}
    return _model(nodes, weights, inputs, outputs, {"axis": np.array([1], np.int64)})


def _policy(rng: np.random.Generator, proposals: int) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["latent", "w"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "shape"], ["actions"]),
        helper.make_node("MatMul", ["latent", "w_score"], ["scores"]),
    ]
    weights = {
        "w": rng.normal(0.0, 0.5, (STATE, 2 * proposals)),
        "w_score": rng.normal(0.0, 0.5, (STATE, proposals)),
    }
    inputs = {"latent": (TensorProto.FLOAT, ["B", STATE])}
    outputs = {"actions": ["B", proposals, 2], "scores": ["B", proposals]}
    return _model(nodes, weights, inputs, outputs, {"shape": np.array([-1, proposals, 2], np.int64)})


def _safety(rng: np.random.Generator) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["latent", "w_latent"], ["state_logit"]),
        helper.make_node("Sigmoid", ["state_logit"], ["state_risk"]),
        helper.make_node("MatMul", ["actions", "w_action"], ["action_logit"]),
        helper.make_node("Squeeze", ["action_logit", "last"], ["squeezed"]),
        helper.make_node("Add", ["squeezed", "state_logit"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["risk"]),
        helper.make_node("Mul", ["risk", "scale"], ["cost"]),
    ]
    weights = {
        "w_latent": rng.normal(0.0, 0.3, (STATE, 1)),
        "w_action": rng.normal(0.0, 1.0, (2, 1)),
        "scale": np.float32(10.0),
    }
    inputs = {
        "latent": (TensorProto.FLOAT, ["B", STATE]),
        "actions": (TensorProto.FLOAT, ["B", "K", 2]),
    }
    outputs = {"risk": ["B", "K"], "cost": ["B", "K"], "state_risk": ["B", 1]}
    return _model(nodes, weights, inputs, outputs, {"last": np.array([2], np.int64)})


def _model(
    nodes: list[Any],
    weights: dict[str, Any],
    inputs: dict[str, tuple[int, list[Any]]],
    outputs: dict[str, list[Any]],
    integers: dict[str, Any],
) -> bytes:
    constants = [numpy_helper.from_array(np.asarray(w, np.float32), n) for n, w in weights.items()]
    constants += [numpy_helper.from_array(w, n) for n, w in integers.items()]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
