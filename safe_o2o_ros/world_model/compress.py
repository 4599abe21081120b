"""Half the size of a bundle: weights stored as float16, computed as float32.

The weights are rounded before the export, so torch and ONNX Runtime still compute with equal numbers.
"""

from __future__ import annotations

import torch
from torch import nn

LEAST_ELEMENTS = 1024
"""Smaller tensors (biases, norms) stay float32: they weigh nothing."""


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round the large weights of `module` to what float16 holds, in place."""
    for parameter in module.parameters():
        if parameter.numel() >= LEAST_ELEMENTS:
            parameter.copy_(parameter.half().to(parameter.dtype))


def store_as_float16(model: bytes) -> bytes:
    """An ONNX graph with its large float32 weights stored as float16 and cast back when it is loaded.

    Notes of the exporter are left out.

    ONNX Runtime folds the casts at load time, so running costs the same. Exact for rounded weights.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    proto = onnx.load_model_from_string(model)
    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < LEAST_ELEMENTS:
            continue
        half = numpy_helper.from_array(values.astype("float16"), f"{tensor.name}.float16")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(half)
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    # Shapes that the exporter noted for the weights would contradict their new type.
    weights = {node.output[0] for node in casts}
    kept = [info for info in proto.graph.value_info if info.name not in weights]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(kept)
    # The exporter notes source paths of the machine it ran on; they are nobody's business.
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.initializer):
        del part.metadata_props[:]
    onnx.checker.check_model(proto)
    return proto.SerializeToString()
