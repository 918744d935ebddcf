"""Convert an ONNX file for MNN; peers.py runs this with a Python that has `MNN`.

    python mnn_build.py --onnx FILE --out FOLDER

The package's own commands report to their maker when they are run, so the converter in it is called
instead. Its quantizer aborts in the package of 3.6.1, so there is no int8.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--onnx", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tools: Any = import_module("_tools")
    convert = ["mnnconvert", "-f", "ONNX", "--modelFile", str(options.onnx), "--bizCode", "none"]
    for precision, extra in (("fp32", []), ("fp16", ["--fp16"])):
        target = options.out / f"mnn_{precision}.mnn"
        tools.mnnconvert([*convert, "--MNNModel", str(target), *extra])


if __name__ == "__main__":
    main()
