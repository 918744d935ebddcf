"""Build ncnn's fp32, fp16 and int8 models; peers.py runs this with ncnn's Python, and pnnx's.

    python ncnn_build.py --traced FILE.pt --calibration FILE.npy --out FOLDER

The wheels have no quantizer: int8 is written here as ncnn's own `ncnn2int8` does it, with weights
per output channel, activations by their largest absolute value, and integers handed from a
convolution to the next one where nothing else reads them.
"""

from __future__ import annotations

import argparse
import struct
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
FLOAT32_TAG, INT8_TAG = 0, 0x000D4B38
# ncnn's `int8_scale_term`: the weights' form, and 100 more where the outputs are int8, too.
PER_CHANNEL = {"Convolution": 2, "ConvolutionDepthWise": 1, "InnerProduct": 2}
INT8_OUTPUT = 100


@dataclass
class Layer:
    """A line of the .param file, with the weights that belong to it in the .bin file."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    settings: dict[str, str]
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None

    def line(self) -> str:
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        counts = [str(len(self.inputs)), str(len(self.outputs))]
        return " ".join([self.kind, self.name, *counts, *self.inputs, *self.outputs, *settings])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--traced", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True, help=".npy, (n, 3, h, w)")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    images = np.load(options.calibration)
    pnnx: Any = import_module("pnnx")
    for precision in ("fp32", "fp16"):
        pnnx.convert(
            str(options.traced),
            inputs=torch.from_numpy(images[:1]),
            ncnnparam=str(options.out / f"ncnn_{precision}.param"),
            ncnnbin=str(options.out / f"ncnn_{precision}.bin"),
            fp16=precision == "fp16",
        )
    header, layers = read(options.out / "ncnn_fp32")
    largest = ranges(options.out / "ncnn_fp32", layers, images)
    write(options.out / "ncnn_int8", header, layers, largest)


def read(path: Path) -> tuple[list[str], list[Layer]]:
    """The two lines of the header, and the layers, of a float model."""
    lines = path.with_suffix(".param").read_text().splitlines()
    data, position, layers = path.with_suffix(".bin").read_bytes(), 0, []

    def floats(count: int) -> np.ndarray:
        nonlocal position
        values = np.frombuffer(data, "<f4", count, position)
        position += 4 * count
        return values

    for words in (line.split() for line in lines[2:] if line.strip()):
        kind, name, inputs, outputs = words[0], words[1], int(words[2]), int(words[3])
        settings = dict(word.split("=", 1) for word in words[4 + inputs + outputs :])
        names = words[4 : 4 + inputs + outputs]
        layer = Layer(kind, name, names[:inputs], names[inputs:], settings)
        if kind in WEIGHTED:
            (tag,) = struct.unpack_from("<I", data, position)
            if tag != FLOAT32_TAG:
                raise ValueError(f"{name}: weights of kind {tag:#x}, not float32")
            position += 4
            dense = kind == "InnerProduct"
            layer.weights = floats(int(settings["2" if dense else "6"]))
            if settings.get("1" if dense else "5") == "1":
                layer.bias = floats(int(settings["0"]))
        layers.append(layer)
    if position != len(data):
        raise ValueError(f"{path}.bin has {len(data)} bytes, the layers take {position}")
    return lines[:2], layers


def ranges(path: Path, layers: list[Layer], images: np.ndarray) -> dict[str, float]:
    """The largest absolute value of every input of a layer with weights."""
    ncnn: Any = import_module("ncnn")
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(path.with_suffix(".param")))
    net.load_model(str(path.with_suffix(".bin")))
    read_by = {layer.inputs[0] for layer in layers if layer.weights is not None}
    largest = dict.fromkeys(read_by, 0.0)
    for image in images:
        extractor = net.create_extractor()
        extractor.set_light_mode(False)
        # A Mat does not keep the array alive whose memory it takes.
        kept = np.ascontiguousarray(image)
        extractor.input("in0", ncnn.Mat(kept).clone())
        for name in read_by:
            value = image if name == "in0" else np.array(extractor.extract(name)[1])
            largest[name] = max(largest[name], float(np.abs(value).max()))
    return largest


def write(path: Path, header: list[str], layers: list[Layer], largest: dict[str, float]) -> None:
    """The int8 model, in ncnn's own format."""
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    lines, data = list(header), b""
    for layer in layers:
        if layer.weights is None:
            lines.append(layer.line())
            continue
        rows = layer.weights.reshape(int(layer.settings["0"]), -1)
        scales = (127 / np.maximum(np.abs(rows).max(1), 1e-9)).astype(np.float32)
        integers = np.clip(np.rint(rows * scales[:, None]), -127, 127).astype(np.int8).tobytes()
        # Each part of the file begins at a multiple of 4 bytes.
        data += struct.pack("<I", INT8_TAG) + integers + b"\0" * (-len(integers) % 4)
        if layer.bias is not None:
            data += layer.bias.tobytes()
        data += scales.tobytes() + struct.pack("<f", 127 / largest[layer.inputs[0]])
        term = PER_CHANNEL[layer.kind]
        after = readers.get(layer.outputs[0], [])
        if len(after) == 1 and after[0].kind in WEIGHTED[:2] and layer.kind != "InnerProduct":
            term += INT8_OUTPUT
            data += struct.pack("<f", 127 / largest[layer.outputs[0]])
        quantized = {**layer.settings, "8": str(term)}
        lines.append(Layer(layer.kind, layer.name, layer.inputs, layer.outputs, quantized).line())
    path.with_suffix(".param").write_text("\n".join(lines) + "\n")
    path.with_suffix(".bin").write_bytes(data)


if __name__ == "__main__":
    main()
