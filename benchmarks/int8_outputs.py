#!/usr/bin/env python3
r"""INT8 error of every output of any ONNX model, side by side with onnxruntime.quantization.

All start from the same model and the same calibration images, and run on the same test images; the
SQNR of an output is that against the given float model in ONNX Runtime.

    python benchmarks/int8_outputs.py --onnx FILE --calib FILE.npz --test FILE.npz \
        [--channels bgr] [--mean b,g,r --std b,g,r] \
        [--recipe accurate] [--limit N] [--json]

Also told: by how many steps of an output's scale our ONNX and TFLite files differ at most.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from static_quantization import affordable, quantize, simplify

from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.dataset import open_images
from edgeshuffle.metrics import decibels, energies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.artifact import Artifact, ModelFile, TensorInfo

Array = np.ndarray


def main() -> int:
    options = _options()
    given = {"mean": options.mean, "std": options.std, "channels": options.channels}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        artifact = export(
            ExportOptions(
                **{name: value for name, value in given.items() if value},
                onnx=options.onnx,
                int8=True,
                calib=options.calib,
                calib_limit=options.limit,
                recipe=options.recipe,
                output=place / "ours",
            )
        ).artifact
        manifest = artifact.manifest
        images = list(open_images(options.calib, manifest.preprocess, limit=options.limit))
        tested = list(open_images(options.test, manifest.preprocess, limit=options.limit))
        stock = simplify(_with_fixed_input(options.onnx, images[0].shape), place / "stock.onnx")
        expected = _onnx(stock, tested)
        ours = {
            file.format: _ours(artifact, file, tested, list(expected))
            for file in manifest.files
            if file.precision == "int8"
        }
        found = {f"edgeshuffle {kind}": outputs for kind, outputs in ours.items()}
        stock_int8 = quantize(stock, images, place, affordable(manifest.macs, len(images)))
        for maker, path in stock_int8.items():
            found[maker] = _onnx(path, tested)
        steps = _apart(ours, artifact)
    table = {
        output: {
            maker: decibels(*energies(reference, outputs[output]))
            for maker, outputs in found.items()
        }
        for output, reference in expected.items()
    }
    if options.json:
        print(json.dumps({"sqnr_db": table, "steps": steps}, indent=2))
        return 0
    print(f"SQNR in dB on {len(tested)} images")
    for output, by_maker in table.items():
        apart = f", formats at most {steps[output]:.1f} steps apart" if steps else ""
        print(f"{output} {list(expected[output].shape[1:])}{apart}")
        for maker, sqnr in by_maker.items():
            print(f"  {maker:28}{sqnr:8.1f}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--onnx", type=Path, required=True, help="float model")
    parser.add_argument("--calib", type=Path, required=True, help=".npz or folder")
    parser.add_argument("--test", type=Path, required=True, help=".npz or folder")
    parser.add_argument("--channels", help="bgr, gray or rgba")
    parser.add_argument("--mean", type=_numbers)
    parser.add_argument("--std", type=_numbers)
    parser.add_argument("--recipe", default="accurate")
    parser.add_argument("--limit", type=int, help="images of each to use")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _with_fixed_input(path: Path, shape: Sequence[int]) -> onnx.ModelProto:
    model = onnx.load(path)
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = size
    return model


def _onnx(path: Path, images: Sequence[Array]) -> dict[str, Array]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    source = session.get_inputs()[0].name
    rows = [session.run(None, {source: image}) for image in images]
    return {name: np.concatenate(of) for name, *of in zip(names, *rows, strict=True)}


def _ours(
    artifact: Artifact, file: ModelFile, images: Sequence[Array], names: list[str]
) -> dict[str, Array]:
    """Outputs as floats, in the layout of the given model, under its names."""
    run = _litert if file.format == "tflite" else _ort
    rows = [run(artifact.path(file), _integers(image, file.input)) for image in images]
    return {
        name: np.concatenate([_reals(value, info) for value in of])
        for name, info, *of in zip(names, file.outputs, *rows, strict=True)
    }


def _ort(path: Path, image: Array) -> list[Array]:
    session = _sessions.setdefault(path, onnxruntime.InferenceSession(path))
    outputs: list[Array] = session.run(None, {session.get_inputs()[0].name: image})
    return outputs


def _litert(path: Path, image: Array) -> list[Array]:
    if path not in _sessions:
        _sessions[path] = Interpreter(model_path=str(path))
        _sessions[path].allocate_tensors()
    interpreter = _sessions[path]
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [np.asarray(interpreter.get_tensor(one["index"])) for one in details]


_sessions: dict[Path, Any] = {}


def _integers(image: Array, info: TensorInfo) -> Array:
    if info.layout == "NHWC":
        image = image.transpose(0, 2, 3, 1)
    if info.scale is None or info.zero_point is None:
        return image
    limits = np.iinfo(info.dtype)
    steps = np.rint(image / np.float32(info.scale)) + info.zero_point
    integers: Array = np.clip(steps, limits.min, limits.max).astype(info.dtype)
    return integers


def _reals(value: Array, info: TensorInfo) -> Array:
    if info.scale is not None and info.zero_point is not None:
        value = (value.astype(np.float32) - info.zero_point) * np.float32(info.scale)
    return value.transpose(0, 3, 1, 2) if info.layout == "NHWC" else value


def _apart(ours: dict[str, dict[str, Array]], artifact: Artifact) -> dict[str, float]:
    """How many steps our two formats differ by at most, by output."""
    if len(ours) < 2:
        return {}
    (file, *_) = (f for f in artifact.manifest.files if f.precision == "int8")
    first, second = ours.values()
    return {
        name: float(np.abs(first[name] - second[name]).max()) / (info.scale or 1.0)
        for name, info in zip(first, file.outputs, strict=True)
    }


if __name__ == "__main__":
    sys.exit(main())
