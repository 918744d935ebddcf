"""The model that was given, run as it is: what every written file has to agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgeshuffle.artifact import sha256
from edgeshuffle.errors import ModelError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from pathlib import Path

    import onnxruntime as ort
    import torch


class Reference(Protocol):
    """Every output of float32 (`batch`, C, H, W) images; `name` says what computes them."""

    @property
    def name(self) -> str: ...

    @property
    def batch(self) -> int: ...

    def __call__(self, image: np.ndarray) -> list[np.ndarray]: ...


class TorchReference:
    """The torch module that was exported."""

    name = "the torch module"
    batch = 1

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Float32 outputs for one image."""
        import torch

        with torch.inference_mode():
            found = self._module(torch.from_numpy(image))
        return [output.numpy() for output in (found if isinstance(found, tuple) else (found,))]


class BeforeNormalisation:
    """What reads x where the written files read (x - mean) / std."""

    def __init__(
        self, reference: Reference, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        self._reference = reference
        self._mean, self._std = (
            np.array(numbers, np.float32)[:, None, None] for numbers in (mean, std)
        )

    @property
    def name(self) -> str:
        """What computes them."""
        return self._reference.name

    @property
    def batch(self) -> int:
        """How many images it takes at once."""
        return self._reference.batch

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Float32 outputs for one image."""
        return self._reference(image * self._std + self._mean)


class OnnxReference:
    """A user's file in ONNX Runtime, with no graph optimization; opened when first called.

    With `logits` it is what `drop_probabilities` leaves of it.

    Where the file is of an opset or IR version that ONNX Runtime does not know, what `read_onnx`
    converts it to. Raises ModelError where that does not run either, or the file was changed.
    """

    def __init__(
        self, path: Path, digest: str, resolution: tuple[int, int] | None, *, logits: bool = False
    ) -> None:
        self.name = "the given ONNX file in ONNX Runtime, not optimized"
        self._path, self._digest, self._resolution = path, digest, resolution
        self._logits = logits
        self._session: ort.InferenceSession | None = None

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """Float32 outputs for `batch` images."""
        session = self._opened()
        try:
            found = session.run(None, {session.get_inputs()[0].name: image})
        except Exception as err:  # onnxruntime has many types of its own
            raise ModelError(
                f"{self._path} cannot be run for {image.shape[-1]} pixels ({quoted(str(err))}), so "
                "its export cannot be checked. Export the model anew."
            ) from err
        return [np.asarray(output, np.float32) for output in found]

    @property
    def batch(self) -> int:
        """How many images the file takes at once: 1 where it leaves that open."""
        size = self._opened().get_inputs()[0].shape[0]
        return size if isinstance(size, int) else 1

    def _opened(self) -> ort.InferenceSession:
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> ort.InferenceSession:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        providers = ["CPUExecutionProvider"]
        try:
            if self._logits:
                session = self._open_converted(options, providers)
            else:
                session = ort.InferenceSession(str(self._path), options, providers=providers)
        except ModelError:
            raise
        except Exception:
            session = self._open_converted(options, providers)
        if sha256(self._path) != self._digest:
            raise ModelError(f"{self._path} was changed while it was exported. Export it again.")
        return session

    def _open_converted(
        self, options: ort.SessionOptions, providers: list[str]
    ) -> ort.InferenceSession:
        import onnxruntime as ort

        from edgeshuffle.converter.frontend.logits import drop_probabilities
        from edgeshuffle.converter.frontend.onnx_file import read_onnx
        from edgeshuffle.converter.operators import IR_VERSION, OPSET

        proto = read_onnx(self._path, self._resolution)
        if self._logits:
            proto, _ = drop_probabilities(proto)
        proto.ir_version = IR_VERSION
        self.name = f"the given ONNX file as opset {OPSET} in ONNX Runtime, not optimized"
        try:
            return ort.InferenceSession(proto.SerializeToString(), options, providers=providers)
        except Exception as err:
            raise ModelError(
                f"{self._path} cannot be run by ONNX Runtime ({quoted(str(err))}), so its export "
                "cannot be checked. Export the model anew."
            ) from err
