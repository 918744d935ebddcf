"""ONNX Runtime. Stands alone: needs numpy and onnxruntime only, Python 3.9 or later."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np

# Its thread wakes now and then, in the middle of what is timed or counted, and calls home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
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
        self._path, self._options = path, options
        self._session = self._open()
        entry = self._session.get_inputs()[0]
        self._name = entry.name
        batch, *image = entry.shape
        # A batch that is left open is one image.
        self.input_shape = (batch if isinstance(batch, int) else 1, *image)
        self._feed: dict[str, np.ndarray] = {}

    def _open(self) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(
            self._path, self._options, providers=["CPUExecutionProvider"]
        )

    def stage(self, images: np.ndarray) -> None:
        """Put float32 (N, C, H, W) images in place for `invoke`."""
        self._feed = {self._name: np.ascontiguousarray(images, dtype=np.float32)}

    def invoke(self) -> None:
        """One inference on the staged images: this is what is timed."""
        self._session.run(None, self._feed)

    def profile(self, n: int) -> list[dict[str, object]]:
        """Mean time of each operator over `n` inferences on the staged image, the longest first.

        A session of its own is profiled, as profiling slows down what is not profiled, too.
        """
        with tempfile.TemporaryDirectory() as folder:
            self._options.enable_profiling = True
            self._options.profile_file_prefix = str(Path(folder) / "profile")
            try:
                session = self._open()
            finally:
                self._options.enable_profiling = False
            session.run(None, self._feed)
            for _ in range(n):
                session.run(None, self._feed)
            events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        calls: dict[tuple[str, str], list[int]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                key = (event["name"][: -len("_kernel_time")], event["args"]["op_name"])
                calls.setdefault(key, []).append(1000 * int(event["dur"]))
        # The first call sets things up.
        means = {key: sum(times[1:]) // max(1, len(times) - 1) for key, times in calls.items()}
        longest = sorted(means, key=lambda key: -means[key])
        return [{"name": name, "op": op, "ns": means[name, op]} for name, op in longest]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """All outputs, as float32, for float32 (N, C, H, W) images."""
        self.stage(images)
        return [np.asarray(value, np.float32) for value in self._session.run(None, self._feed)]


def open_session(path: str, threads: int) -> OrtSession:
    """Load an .onnx file; raises what onnxruntime raises."""
    return OrtSession(path, threads)
