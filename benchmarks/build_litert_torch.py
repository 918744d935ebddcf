"""Build litert-torch's own fp32 and int8 models; stock.py runs this with that package's Python."""

from __future__ import annotations

import argparse
import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="module that stock.py saved")
    parser.add_argument("--calibration", type=Path, required=True, help=".npy, (n, 3, h, w)")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    options = parser.parse_args()
    images = [torch.from_numpy(image)[None] for image in np.load(options.calibration)]
    # Written by stock.py a moment ago: a module, not a checkpoint of somebody's.
    model = torch.load(options.model, map_location="cpu", weights_only=False)

    # Neither peer package is installed where these files are type-checked.
    litert_torch: Any = import_module("litert_torch")
    example = (images[0].permute(0, 2, 3, 1).contiguous(),)
    channel_last = litert_torch.to_channel_last_io(model, args=[0])
    litert_torch.convert(channel_last.eval(), example).export(
        str(options.out / "litert_torch_fp32.tflite")
    )
    quantized, config = _quantize(channel_last, images)
    litert_torch.convert(quantized, example, quant_config=config).export(
        str(options.out / "litert_torch_int8.tflite")
    )


def _quantize(model: torch.nn.Module, images: list[torch.Tensor]) -> tuple[Any, Any]:
    """Static int8 with PT2E, per channel, as litert-torch's documentation has it."""
    pt2e: Any = import_module("torchao.quantization.pt2e.quantize_pt2e")
    quantizers: Any = import_module("litert_torch.quantize.pt2e_quantizer")
    configs: Any = import_module("litert_torch.quantize.quant_config")
    quantizer = quantizers.PT2EQuantizer().set_global(
        quantizers.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    )
    channels_last = [image.permute(0, 2, 3, 1).contiguous() for image in images]
    captured = torch.export.export(copy.deepcopy(model), (channels_last[0],)).module()
    prepared = pt2e.prepare_pt2e(captured, quantizer)
    for image in channels_last:
        prepared(image)
    return pt2e.convert_pt2e(prepared, fold_quantize=False), configs.QuantConfig(
        pt2e_quantizer=quantizer
    )


if __name__ == "__main__":
    main()
