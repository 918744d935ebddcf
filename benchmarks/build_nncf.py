"""Build NNCF's own int8 model; int8_accuracy.py runs this with that package's Python."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="float .onnx")
    parser.add_argument("--calibration", type=Path, required=True, help=".npy, (n, 3, h, w)")
    parser.add_argument("--out", type=Path, required=True, help=".onnx")
    options = parser.parse_args()
    images = np.load(options.calibration)
    model = onnx.load(options.model)
    name = model.graph.input[0].name

    # The peer package is not installed where these files are type-checked.
    nncf: Any = import_module("nncf")
    data = nncf.Dataset(images, lambda image: {name: image[None]})
    # Its most careful settings: biases corrected layer by layer, and all images.
    quantized = nncf.quantize(model, data, subset_size=len(images), fast_bias_correction=False)
    onnx.save(quantized, options.out)


if __name__ == "__main__":
    main()
