"""OpenVINO, as the agent loads a runtime: needs numpy and the package `openvino`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import openvino


class OpenVinoSession:
    """One model; a file whose name ends in `_fp16` computes in fp16 where the processor can."""

    version = importlib.metadata.version("openvino")

    def __init__(self, path: str, threads: int) -> None:
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f16" if Path(path).stem.endswith("_fp16") else "f32",
        }
        model = openvino.Core().compile_model(path, "CPU", settings)
        self._request = model.create_infer_request()
        self.input_shape = tuple(model.inputs[0].shape)

    def stage(self, images: np.ndarray) -> None:
        """Put one float32 (1, C, H, W) image in place."""
        self._request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(images, np.float32)))

    def invoke(self) -> None:
        """One inference: this is what is timed."""
        self._request.infer()

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The logits of one image, (1, classes)."""
        self.stage(images)
        self.invoke()
        return [np.array(self._request.get_output_tensor(0).data, np.float32).reshape(1, -1)]


def open_session(path: str, threads: int) -> OpenVinoSession:
    """Load an .xml file and the .bin beside it."""
    return OpenVinoSession(path, threads)
