"""ONNX Runtime, in one place: named inputs and outputs, explicit threads, explicit providers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from safe_o2o_ros.errors import BundleShapeError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_DTYPES = {"tensor(float)": np.dtype(np.float32), "tensor(uint8)": np.dtype(np.uint8)}


class Network:
    """One ONNX graph, run on one thread.

    One intra-op thread: at batch 1 a second never helped and its spinning takes half a core from
    the rest of the robot.
    """

    def __init__(self, path: Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> None:
        """Load `path`. Raises MissingExtraError, UsageError (provider not built in) or BundleShapeError."""
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise MissingExtraError(
                "ONNX Runtime is not installed: run `pip install safe_o2o_ros[cpu]` (or `[gpu]`, never both)"
            ) from error
        missing = [p for p in providers if p not in ort.get_available_providers()]
        if missing:
            raise UsageError(
                f"execution provider {missing[0]} is not in this ONNX Runtime: "
                f"choose among {', '.join(ort.get_available_providers())}"
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # By path and not from bytes: bytes stall other threads for 100 ms and more.
            self._session = ort.InferenceSession(str(path), options, providers=list(providers))
        except Exception as error:  # ONNX Runtime's exception classes share no public base
            reason = str(error).splitlines()[0]
            raise BundleShapeError(f"{path.name} is not a network ONNX Runtime can load: {reason}") from error
        self.name = path.name
        self.provider: str = self._session.get_providers()[0]
        self.inputs: dict[str, tuple[list[Any], str]] = {
            i.name: (i.shape, i.type) for i in self._session.get_inputs()
        }
        self.outputs: list[str] = [o.name for o in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Evaluate. Arrays must have the graph's dtypes; leading axis is the batch. Returns outputs by name.

        Raises BundleShapeError when the graph cannot take them.
        """
        try:
            values = self._session.run(None, dict(inputs))
        except Exception as error:  # ONNX Runtime's exception classes share no public base
            reason = str(error).splitlines()[0]
            raise BundleShapeError(f"{self.name} does not run ({reason}): export the bundle again") from error
        return dict(zip(self.outputs, values, strict=True))

    def check_signature(
        self, inputs: Mapping[str, tuple[tuple[int | None, ...], str]], outputs: Sequence[str]
    ) -> None:
        """Compare with what the manifest promises.

        `inputs` maps a name to (shape with None for a free axis, "float32" | "uint8"). The first axis, the
        batch, may be fixed in the graph, another free one may not.
        Raises BundleShapeError naming the first difference.
        """
        for name, (shape, dtype) in inputs.items():
            if name not in self.inputs:
                raise BundleShapeError(f"{self.name} lacks the input '{name}': export the bundle again")
            got_shape, got_type = self.inputs[name]
            fixed = [d if isinstance(d, int) else None for d in got_shape]
            same = len(fixed) == len(shape) and all(
                a is None or a == b or (b is None and axis == 0)
                for axis, (a, b) in enumerate(zip(fixed, shape, strict=True))
            )
            if not same or _DTYPES.get(got_type) != np.dtype(dtype):
                raise BundleShapeError(
                    f"{self.name} takes '{name}' as {got_type}{got_shape}, but the manifest promises "
                    f"{dtype}{list(shape)}: export the bundle again"
                )
        extra = sorted(set(self.inputs) - set(inputs))
        if extra:
            raise BundleShapeError(
                f"{self.name} wants an unknown input '{extra[0]}': export the bundle again"
            )
        missing = [o for o in outputs if o not in self.outputs]
        if missing:
            raise BundleShapeError(f"{self.name} lacks the output '{missing[0]}': export the bundle again")
