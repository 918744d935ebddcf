"""Convert an ONNX file for OpenVINO, fp32, fp16 and int8 by NNCF; peers.py runs this.

    python openvino_build.py --onnx FILE --calibration FILE.npy --out FOLDER

Its Python needs `openvino`, `nncf` and `onnx`.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True, help=".npy, (n, 3, h, w)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    openvino: Any = import_module("openvino")
    nncf: Any = import_module("nncf")
    images = np.load(options.calibration)
    model = openvino.convert_model(str(options.onnx))
    model.reshape([1, *images.shape[1:]])
    for precision in ("fp32", "fp16"):
        target = options.out / f"openvino_{precision}.xml"
        openvino.save_model(model, target, compress_to_fp16=precision == "fp16")
    quantized = nncf.quantize(
        model,
        nncf.Dataset([image[None] for image in images]),
        subset_size=len(images),
        target_device=nncf.TargetDevice.CPU,
    )
    openvino.save_model(quantized, options.out / "openvino_int8.xml", compress_to_fp16=False)


if __name__ == "__main__":
    main()
