"""LiteRT (TFLite). Stands alone: needs numpy and ai-edge-litert only, Python 3.9 or later.

Where there is no ai-edge-litert (32-bit ARM), its predecessor tflite-runtime serves.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from ai_edge_litert.interpreter import Interpreter

    VERSION = importlib.metadata.version("ai-edge-litert")
except ModuleNotFoundError as missing:
    try:
        from tflite_runtime.interpreter import Interpreter
    except ModuleNotFoundError:
        raise missing from None

    VERSION = importlib.metadata.version("tflite-runtime")


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what the native library writes to stderr while it loads a model.

    The agent stands alone on the board, so this is not `quiet.quiet_stderr`.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


class LiteRtSession:
    """One TFLite model on the CPU, by XNNPACK where it can."""

    version = VERSION

    def __init__(self, path: str, threads: int) -> None:
        self._path, self._threads = path, threads
        with quiet():
            self._interpreter = Interpreter(model_path=path, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        dtype, (scale, _) = self._input["dtype"], self._input["quantization"]
        if dtype not in (np.float32, np.uint8) and not scale:
            raise ValueError(f"its input is {np.dtype(dtype).name} without a scale")
        n, height, width, channels = (int(size) for size in self._input["shape"])
        self.input_shape = (n, channels, height, width)

    def stage(self, images: np.ndarray) -> None:
        """Put float32 (N, C, H, W) images in place, as NHWC and quantized if need be.

        Where the model reads uint8, they are pixels of 0 to 255, which stay what they are.
        """
        value = np.ascontiguousarray(images.transpose(0, 2, 3, 1), dtype=np.float32)
        dtype = self._input["dtype"]
        if dtype != np.float32:
            scale, zero_point = self._input["quantization"] if dtype != np.uint8 else (1, 0)
            limits = np.iinfo(dtype)
            steps = np.rint(value / np.float32(scale)) + zero_point
            value = np.clip(steps, limits.min, limits.max).astype(dtype)
        self._staged = value
        self._interpreter.set_tensor(self._input["index"], value)

    def invoke(self) -> None:
        """One inference on the staged images: this is what is timed."""
        self._interpreter.invoke()

    def cut(self, changes: list[tuple[int, bytes]]) -> None:
        """Run the file with these bytes put at these offsets from now on, on the same images.

        It has to have the same input. Raises ValueError or RuntimeError for what is no model then.
        """
        content = bytearray(Path(self._path).read_bytes())
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        with quiet():
            self._interpreter = Interpreter(model_content=bytes(content), num_threads=self._threads)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._input["index"], self._staged)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """All outputs for float32 (N, C, H, W) images, as float32; those of rank 4 as NCHW."""
        self.stage(images)
        self._interpreter.invoke()
        return [self._value(details) for details in self._outputs]

    def _value(self, details: dict[str, Any]) -> np.ndarray:
        value: np.ndarray = self._interpreter.get_tensor(details["index"])
        scale, zero_point = details["quantization"]
        # There is no scale for floats, and for integers that are none in disguise, as of ARG_MAX.
        if scale:
            value = (value.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)
        if value.ndim == 4:
            value = value.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(value, np.float32)


def open_session(path: str, threads: int) -> LiteRtSession:
    """Load a .tflite file; raises ValueError or RuntimeError for a bad one."""
    return LiteRtSession(path, threads)
