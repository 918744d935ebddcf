"""onnxruntime.quantization's static quantization, with each of its calibrators."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import onnx
import onnx.version_converter
import onnxsim
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {"CalibPercentile": 99.999}),
    "entropy": (CalibrationMethod.Entropy, {}),
}
MOST_BYTES = 8e9
CHANNELS_OPSET = 13
# What one image's activations take, in floats, for a network of this many MACs.
FLOATS_A_MAC = 0.06


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Any, name: str) -> None:
        self.images, self.name = iter(images), name

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self.images, None)
        return None if image is None else {self.name: image}


def simplify(model: onnx.ModelProto, path: Path) -> Path:
    """Write the model as users simplify it."""
    # Weights with a scale a channel are not in older opsets.
    if model.opset_import[0].version < CHANNELS_OPSET:
        model = onnx.version_converter.convert_version(model, CHANNELS_OPSET)
    simple, proven = onnxsim.simplify(model)
    if not proven:
        raise RuntimeError("onnxsim changed the network's results")
    onnx.save(simple, path)
    return path


def affordable(macs: int, images: int) -> tuple[str, ...]:
    """The calibrators that do not need too much memory; those that do are told of."""
    needed = 4 * FLOATS_A_MAC * macs * images
    if needed <= MOST_BYTES:
        return tuple(METHODS)
    # The others keep every activation of every image.
    print(f"only minmax: the others would take {needed / 1e9:.0f} GB", file=sys.stderr)
    return ("minmax",)


def quantize(
    model: Path, images: Iterable[NDArray[np.float32]], folder: Path, methods: Iterable[str]
) -> dict[str, Path]:
    """A QDQ file a calibrator, with uint8 activations and a weight scale a channel."""
    prepared = folder / "prepared.onnx"
    quant_pre_process(model, prepared)
    name = onnx.load(model, load_external_data=False).graph.input[0].name
    paths = {}
    for method in methods:
        calibrator, extra = METHODS[method]
        paths[f"quantize_static {method}"] = folder / f"{method}.onnx"
        quantize_static(
            prepared,
            folder / f"{method}.onnx",
            _Reader(images, name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=calibrator,
            extra_options=extra,
        )
    return paths
