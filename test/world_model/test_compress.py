"""Weights stored as float16 compute the same."""

import numpy as np
import onnx
import torch
from torch import nn

from safe_o2o_ros.inference import Network
from safe_o2o_ros.world_model.compress import LEAST_ELEMENTS, round_weights
from safe_o2o_ros.world_model.export import to_onnx


def test_rounded_weights_are_stored_in_half_the_space_and_give_equal_outputs(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)).eval()
    round_weights(net)
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(net, (torch.zeros(2, 64),), ["x"], ["y"]))
    stored = {t.name: t for t in onnx.load(path).graph.initializer}
    types = {t.data_type for t in stored.values() if np.prod(t.dims) >= LEAST_ELEMENTS}
    assert types == {onnx.TensorProto.FLOAT16}
    x = torch.randn(5, 64)
    out = Network(path).run({"x": x.numpy()})["y"]
    assert np.abs(out - net(x).detach().numpy()).max() < 1e-6


def test_small_tensors_and_float16_values_are_left_as_they_are():
    net = nn.Linear(64, 64)
    bias = net.bias.detach().clone()
    round_weights(net)
    assert torch.equal(net.bias, bias)
    once = net.weight.detach().clone()
    round_weights(net)
    assert torch.equal(net.weight, once)
