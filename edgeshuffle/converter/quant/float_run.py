"""Run the float graph and see any of its values: ONNX Runtime is the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from edgeshuffle.converter import graph as g
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEED: Final = 0


class FloatRun:
    """A session that returns the values of the given names, and the graph's outputs.

    Several threads may call it.
    """

    def __init__(self, model: ir.Model, wanted: Sequence[str] = ()) -> None:
        proto = ir.to_proto(model)
        self.outputs = [value.name for value in proto.graph.output]
        given = {value.name for value in proto.graph.output} | {model.graph.inputs[0].name}
        proto.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in dict.fromkeys(wanted)
            if name not in given
        )
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # Images are spread over the cores, not the layers of one.
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._names = [value.name for value in self._session.get_outputs()]
        self._feed = self._session.get_inputs()[0].name

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Every value by name, the input included; raises ModelError for NaN and infinity."""
        found = dict(
            zip(self._names, self._session.run(self._names, {self._feed: image}), strict=True)
        )
        for name, value in found.items():
            if not np.isfinite(value).all():
                raise ModelError(
                    f"The float network computes NaN or infinity at '{name}'. Check its weights, "
                    "and the mean and std of the input."
                )
        found[self._feed] = image
        return found


def check_finite(model: ir.Model) -> None:
    """Raise ModelError where the network gives NaN or infinity for a random image."""
    shape = g.shape_of(model.graph.inputs[0])
    FloatRun(model)(np.random.default_rng(_SEED).standard_normal(shape, dtype=np.float32))
