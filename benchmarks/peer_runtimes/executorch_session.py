"""ExecuTorch, as the agent loads a runtime: needs numpy, and a library beside the model.

`executorch_module.so` is compiled from `executorch_module.cc`. The package's own Python runtime
needs torch, which is too large for a board.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np


class ExecuTorchSession:
    """One program; a file whose name ends in `_fp16` takes fp16 images."""

    version = "1.5.1"

    def __init__(self, path: str, threads: int) -> None:
        self._library = ctypes.CDLL(str(Path(path).with_name("executorch_module.so")))
        for name in ("open_module", "output"):
            getattr(self._library, name).restype = ctypes.c_void_p
        self._session = ctypes.c_void_p(self._library.open_module(path.encode(), threads))
        if self._session.value is None:
            raise ValueError(f"ExecuTorch does not load {path}")
        self._dtype = np.float16 if Path(path).stem.endswith("_fp16") else np.float32
        self.input_shape = tuple(np.load(Path(path).with_name("shape.npy")).tolist())

    def stage(self, images: np.ndarray) -> None:
        """Put one float32 (1, C, H, W) image in place."""
        values = np.ascontiguousarray(images, self._dtype)
        shape = (ctypes.c_int32 * values.ndim)(*values.shape)
        data = ctypes.c_void_p(values.ctypes.data)
        size = ctypes.c_size_t(values.nbytes)
        half = int(self._dtype == np.float16)
        self._library.stage(self._session, data, size, shape, values.ndim, half)

    def invoke(self) -> None:
        """One inference: this is what is timed."""
        error = self._library.invoke(self._session)
        if error:
            raise RuntimeError(f"ExecuTorch's error {error}")

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The logits of one image, (1, classes)."""
        self.stage(images)
        self.invoke()
        size = ctypes.c_size_t()
        data = self._library.output(self._session, ctypes.byref(size))
        values = np.frombuffer(ctypes.string_at(data, size.value), self._dtype)
        return [values.astype(np.float32).reshape(1, -1)]


def open_session(path: str, threads: int) -> ExecuTorchSession:
    """Load a .pte file."""
    return ExecuTorchSession(path, threads)
