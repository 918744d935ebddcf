"""ONNX Runtime. Stands alone: needs numpy and onnxruntime only, Python 3.9 or later."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# Its thread wakes now and then, in the middle of what is timed or counted, and calls home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

# Longer names are told by their beginning; the host shortens its own, too.
NAME = 1000
CONSTANTS = "constants"


class OrtSession:
    """One ONNX model on the CPU."""

    version = onnxruntime.__version__

    def __init__(self, path: str, threads: int) -> None:
        self._path, self._threads = path, threads
        self._session = self._open(path, self._options())
        entry = self._session.get_inputs()[0]
        self._name = entry.name
        batch, *image = entry.shape
        # Pixels are read as they come, NHWC.
        self._reads_pixels = entry.type == "tensor(uint8)"
        if self._reads_pixels:
            image = [image[-1], *image[:-1]]
        # A batch that is left open is one image.
        self.input_shape = (batch if isinstance(batch, int) else 1, *image)
        self._feed: dict[str, np.ndarray] = {}
        # Of `graph`, and what is cut from it.
        self._graph: bytes | None = None
        self._constants = b""
        self._cut: onnxruntime.InferenceSession | None = None

    def _options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # What fails is raised, too.
        options.log_severity_level = 4
        return options

    @staticmethod
    def _open(path: str, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def _open_made(
        self, content: bytes, options: onnxruntime.SessionOptions
    ) -> onnxruntime.InferenceSession:
        """Open what `graph` told, or a part of it, as it is: all that there is to do was done."""
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / CONSTANTS).write_bytes(self._constants)
            (Path(folder) / "made.onnx").write_bytes(content)
            return self._open(str(Path(folder) / "made.onnx"), options)

    def stage(self, images: np.ndarray) -> None:
        """Put float32 (N, C, H, W) images, or such pixels of 0 to 255, in place for `invoke`."""
        value = images
        if self._reads_pixels:
            value = np.rint(images.transpose(0, 2, 3, 1)).clip(0, 255)
        kind = np.uint8 if self._reads_pixels else np.float32
        self._feed = {self._name: np.ascontiguousarray(value, dtype=kind)}

    def invoke(self) -> None:
        """One inference on the staged images: this is what is timed."""
        if self._cut is None:
            self._session.run(None, self._feed)
        else:
            # All nodes run, but the other outputs are large, and copying them would count.
            self._cut.run(self._first, self._feed)

    def profile(self, n: int) -> list[dict[str, Any]]:
        """Time of each operator, the longest first, and the shapes that it gives.

        Of `n` inferences on the staged image, the mean of the middle half. A session of its own is
        profiled, as profiling slows down what is not profiled, too. Once `graph` was asked for, it
        is of this very graph: ONNX Runtime numbers what it makes anew in every session.
        """
        with tempfile.TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            if self._graph is None:
                session = self._open(self._path, options)
            else:
                session = self._open_made(self._graph, options)
            # The first one sets things up.
            for _ in range(n + 1):
                session.run(None, self._feed)
            events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        calls: dict[tuple[str, str], list[int]] = {}
        shapes: dict[tuple[str, str], list[list[int]]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name, told = event["name"][: -len("_kernel_time")], event["args"]
                key = (name[:NAME], told["op_name"])
                calls.setdefault(key, []).append(int(event["dur"]))
                given = told.get("output_type_shape", [])
                shapes[key] = [shape for one in given for shape in one.values()]
        times = {key: _middle(durations[-n:]) for key, durations in calls.items()}
        found = [
            {"name": key[0], "op": key[1], "ns": times[key], "order": order, "shapes": shapes[key]}
            for order, key in enumerate(times)
        ]
        return sorted(found, key=lambda one: -one["ns"])

    def graph(self) -> bytes:
        """The graph as it is run, an ONNX file whose larger constants are kept here."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            options = self._options()
            options.optimized_model_filepath = str(path)
            entry = "session.optimized_model_external_initializers_"
            options.add_session_config_entry(entry + "file_name", CONSTANTS)
            options.add_session_config_entry(entry + "min_size_in_bytes", "1024")
            self._open(self._path, options)
            constants = Path(folder) / CONSTANTS
            self._constants = constants.read_bytes() if constants.exists() else b""
            self._graph = path.read_bytes()
        return self._graph

    def cut(self, changes: list[tuple[int, bytes]]) -> None:
        """Run a part of `graph()` from now on, which is given whole; raises ValueError else.

        Only its first output is fetched.
        """
        (offset, content), *others = changes
        if offset or others or self._graph is None:
            raise ValueError("a graph can only be replaced, and after it was asked for")
        self._cut = self._open_made(content, self._options())
        self._first = [self._cut.get_outputs()[0].name]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """All outputs, as float32, for float32 (N, C, H, W) images."""
        self.stage(images)
        return [np.asarray(value, np.float32) for value in self._session.run(None, self._feed)]


def _middle(durations: list[int]) -> int:
    """The mean in ns without the shortest and the longest quarter, of whole microseconds.

    Their fractions were cut off; half of one is what is missing on average.
    """
    quarter = len(durations) // 4
    kept = sorted(durations)[quarter : len(durations) - quarter]
    return round(1000 * (sum(kept) / len(kept) + 0.5)) if kept else 0


def open_session(path: str, threads: int) -> OrtSession:
    """Load an .onnx file; raises what onnxruntime raises."""
    return OrtSession(path, threads)
