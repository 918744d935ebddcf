"""ONNX Runtime. Stands alone: needs numpy and onnxruntime only, Python 3.9 or later."""

from __future__ import annotations

import numpy as np
import onnxruntime


class OrtSession:
    """One ONNX model on the CPU."""

    version = onnxruntime.__version__

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        entry = self._session.get_inputs()[0]
        self._name = entry.name
        self.input_shape = tuple(entry.shape)
        self._feed: dict[str, np.ndarray] = {}

    def stage(self, image: np.ndarray) -> None:
        """Put a float32 (1, 3, H, W) image in place for `invoke`."""
        self._feed = {self._name: np.ascontiguousarray(image, dtype=np.float32)}

    def invoke(self) -> None:
        """One inference on the staged image: this is what is timed."""
        self._session.run(None, self._feed)

    def run(self, image: np.ndarray) -> np.ndarray:
        """Float32 logits (num_classes,) of a float32 (1, 3, H, W) image."""
        self.stage(image)
        return np.asarray(self._session.run(None, self._feed)[0]).reshape(-1)


def open_session(path: str, threads: int) -> OrtSession:
    """Load an .onnx file; raises what onnxruntime raises."""
    return OrtSession(path, threads)
