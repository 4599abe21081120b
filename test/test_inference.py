"""One ONNX graph behind names: what it computes, and how it says no."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from safe_o2o_ros.errors import BundleShapeError, MissingExtraError
from safe_o2o_ros.inference import Network

WEIGHT = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """doubled = 2 (x W), of x float32 (B, 3); and the sum over its columns."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "product"], ["doubled"]),
            helper.make_node("ReduceSum", ["doubled", "axis"], ["sum"], keepdims=1),
        ],
        "linear",
        [value("x", TensorProto.FLOAT, ["B", 3])],
        [value("doubled", TensorProto.FLOAT, ["B", 2]), value("sum", TensorProto.FLOAT, ["B", 1])],
        [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    file = tmp_path / "linear.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def test_outputs_come_by_name_for_any_batch(path: Path) -> None:
    network = Network(path)
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], np.float32)
    result = network.run({"x": x})
    assert result["doubled"].tolist() == [[2.0, 4.0], [16.0, 20.0]]
    assert result["sum"].tolist() == [[6.0], [36.0]]
    assert network.run({"x": x[1:]})["doubled"].tolist() == [[16.0, 20.0]]
    assert (network.name, network.provider) == ("linear.onnx", "CPUExecutionProvider")


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"y": np.zeros((1, 3), np.float32)},
        {"x": np.zeros((1, 4), np.float32)},
        {"x": np.zeros((1, 3), np.float64)},
        {"x": np.zeros(3, np.float32)},
    ],
)
def test_inputs_it_cannot_take_are_a_named_refusal(inputs: dict[str, Any], path: Path) -> None:
    with pytest.raises(BundleShapeError, match=r"linear\.onnx does not run") as caught:
        Network(path).run(inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_what_is_no_network_is_a_named_refusal(content: bytes | None, path: Path) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(BundleShapeError, match=r"linear\.onnx is not a network") as caught:
        Network(path)
    assert "\n" not in str(caught.value)


def test_the_signature_is_compared_name_by_name(path: Path) -> None:
    network = Network(path)
    network.check_signature({"x": ((None, 3), "float32")}, ("doubled", "sum"))
    network.check_signature({"x": ((None, 3), "float32")}, ("sum",))  # more outputs than asked for do no harm
    for inputs, outputs, words in [
        ({"y": ((None, 3), "float32")}, (), "lacks the input 'y'"),
        ({}, (), "wants an unknown input 'x'"),
        ({"x": ((None, 4), "float32")}, (), "takes 'x' as"),
        ({"x": ((None, None), "float32")}, (), "takes 'x' as"),
        ({"x": ((None, 3, 1), "float32")}, (), "takes 'x' as"),
        ({"x": ((None, 3), "uint8")}, (), "takes 'x' as"),
        ({"x": ((None, 3), "float32")}, ("tripled",), "lacks the output 'tripled'"),
    ]:
        with pytest.raises(BundleShapeError, match=words):
            network.check_signature(inputs, outputs)


def test_without_onnx_runtime_the_line_that_installs_it_is_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # what an absent package looks like to `import`
    with pytest.raises(MissingExtraError, match=r"pip install safe_o2o_ros\[cpu\]"):
        Network(path)
