"""MNN, as the agent loads a runtime: needs numpy and the package `MNN`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import MNN
import numpy as np


class MnnSession:
    """One model; a file whose name ends in `_fp16` computes in fp16 where the processor can."""

    version = importlib.metadata.version("MNN")

    def __init__(self, path: str, threads: int) -> None:
        self._interpreter = MNN.Interpreter(path)
        half = Path(path).stem.endswith("_fp16")
        settings = {"backend": "CPU", "numThread": threads, "precision": "low" if half else "high"}
        self._session = self._interpreter.createSession(settings)
        self._input = self._interpreter.getSessionInput(self._session)
        self.input_shape = tuple(self._input.getShape())

    def stage(self, images: np.ndarray) -> None:
        """Put one float32 (1, C, H, W) image in place."""
        values = np.ascontiguousarray(images, np.float32)
        kind = (MNN.Halide_Type_Float, values, MNN.Tensor_DimensionType_Caffe)
        self._input.copyFrom(MNN.Tensor(self.input_shape, *kind))

    def invoke(self) -> None:
        """One inference: this is what is timed."""
        self._interpreter.runSession(self._session)

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The logits of one image, (1, classes)."""
        self.stage(images)
        self.invoke()
        output = self._interpreter.getSessionOutput(self._session)
        shape = output.getShape()
        values = np.zeros(shape, np.float32)
        kind = (MNN.Halide_Type_Float, values, MNN.Tensor_DimensionType_Caffe)
        copied = MNN.Tensor(shape, *kind)
        output.copyToHostTensor(copied)
        return [np.array(copied.getNumpyData(), np.float32).reshape(1, -1)]


def open_session(path: str, threads: int) -> MnnSession:
    """Load a .mnn file."""
    return MnnSession(path, threads)
