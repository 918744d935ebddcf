"""ONNX Runtime on a graph and a plan, without writing a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort

from edgeshuffle.converter.emit.onnx import emit

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan


class OnnxSession:
    """A session on the model as it would be written: float without a plan, INT8 with one."""

    def __init__(self, model: ir.Model, plan: QuantPlan | None) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            emit(model, plan).data, options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The first output's float32 values in one row, for a float32 (1, C, H, W) image."""
        return self.outputs(image)[0]

    def outputs(self, image: np.ndarray) -> list[np.ndarray]:
        """Each output's float32 values in one row."""
        found = self._session.run(None, {self._name: image})
        return [np.asarray(value, np.float32).reshape(-1) for value in found]
