"""Build ExecuTorch's fp32, fp16 and int8 programs for XNNPACK; peers.py runs this.

    python executorch_build.py --exported FILE.pt2 --calibration FILE.npy --out FOLDER

Its Python needs `executorch`, `torch` and `torchao`. int8 is static PT2E, per channel, symmetric
weights, as ExecuTorch's documentation has it.
"""

from __future__ import annotations

import argparse
import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--exported", type=Path, required=True, help="saved by torch.export")
    parser.add_argument("--calibration", type=Path, required=True, help=".npy, (n, 3, h, w)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    images = [torch.from_numpy(image)[None] for image in np.load(options.calibration)]
    program = torch.export.load(options.exported)
    with torch.no_grad():
        save(program, options.out / "executorch_fp32.pte")
        half = copy.deepcopy(program.module()).half()
        save(torch.export.export(half, (images[0].half(),)), options.out / "executorch_fp16.pte")
        save(quantized(program.module(), images), options.out / "executorch_int8.pte")


def save(program: torch.export.ExportedProgram, path: Path) -> None:
    """Lower a program to XNNPACK, and write it."""
    exir: Any = import_module("executorch.exir")
    xnnpack: Any = import_module("executorch.backends.xnnpack.partition.xnnpack_partitioner")
    lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def quantized(module: torch.nn.Module, images: list[torch.Tensor]) -> torch.export.ExportedProgram:
    """The program with int8 weights and activations."""
    quantizers: Any = import_module("executorch.backends.xnnpack.quantizer.xnnpack_quantizer")
    pt2e: Any = import_module("torchao.quantization.pt2e.quantize_pt2e")
    quantizer = quantizers.XNNPACKQuantizer()
    quantizer.set_global(quantizers.get_symmetric_quantization_config(is_per_channel=True))
    prepared = pt2e.prepare_pt2e(module, quantizer)
    for image in images:
        prepared(image)
    return torch.export.export(pt2e.convert_pt2e(prepared), (images[0],))


if __name__ == "__main__":
    main()
