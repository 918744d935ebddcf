"""ncnn, as the agent loads a runtime: needs numpy and the package `ncnn`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import ncnn
import numpy as np


class NcnnSession:
    """One model; a file whose name ends in `_fp16` computes in fp16 where the processor can."""

    version = importlib.metadata.version("ncnn")

    def __init__(self, path: str, threads: int) -> None:
        half = Path(path).stem.endswith("_fp16")
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.opt.use_fp16_packed = half
        self._net.opt.use_fp16_storage = half
        self._net.opt.use_fp16_arithmetic = half
        self._net.load_param(str(Path(path).with_suffix(".param")))
        self._net.load_model(path)
        self.input_shape = tuple(np.load(Path(path).with_name("shape.npy")).tolist())

    def stage(self, images: np.ndarray) -> None:
        """Put one float32 (1, C, H, W) image in place."""
        # A Mat does not keep the array alive whose memory it takes.
        kept = np.ascontiguousarray(images[0], np.float32)
        self._image = ncnn.Mat(kept).clone()

    def invoke(self) -> Any:
        """One inference: this is what is timed."""
        extractor = self._net.create_extractor()
        extractor.input("in0", self._image)
        return extractor.extract("out0")[1]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The logits of one image, (1, classes)."""
        self.stage(images)
        return [np.array(self.invoke(), np.float32).reshape(1, -1)]


def open_session(path: str, threads: int) -> NcnnSession:
    """Load a .bin file and the .param beside it."""
    return NcnnSession(path, threads)
