"""Tiny real models with several outputs, of any rank and type, and with batches."""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper
from small_models import BUILTIN, TYPES, OnnxGraph, TfliteGraph

from edgeshuffle.artifact import (
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    ModelFile,
    Preprocess,
    TensorInfo,
    sha256,
)

GRID = (0.5, 3)
SIDES = (4, 5)


def onnx_detector(path, batch=1, grid=None):
    """The images, doubled and on `grid`, their means, and where the largest channel is."""
    graph = OnnxGraph((batch, 3, *SIDES))
    doubled = graph.node("Add", ["input", "input"], ["map" if grid is None else "sum"])
    if grid:
        doubled = graph.quantize(doubled, grid[0], np.int8(grid[1]))
        doubled = graph.node("Identity", [doubled], ["map"])
    graph.node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0)
    graph.node("ArgMax", ["input"], ["which"], axis=1, keepdims=0)
    graph.save(path, "map", "mean", "which")
    proto = onnx.load(path)
    proto.graph.output[2].CopyFrom(
        helper.make_tensor_value_info("which", onnx.TensorProto.INT64, None)
    )
    onnx.save(proto, path)


def tflite_detector(path, batch=1, grid=None):
    """The same."""
    graph = TfliteGraph()
    image = graph.tensor("input", (batch, *SIDES, 3))
    doubled = graph.tensor("sum" if grid else "map", (batch, *SIDES, 3))
    graph.op(BUILTIN.ADD, [image, image], [doubled], schema.AddOptionsT())
    if grid:
        real, doubled = doubled, graph.tensor("map", (batch, *SIDES, 3), TYPES.INT8, grid=grid)
        graph.op(BUILTIN.QUANTIZE, [real], [doubled], schema.QuantizeOptionsT())
    mean = graph.tensor("mean", (batch, 3))
    graph.op(BUILTIN.MEAN, [image, graph.ints("axes", [1, 2])], [mean], schema.ReducerOptionsT())
    which = graph.tensor("which", (batch, *SIDES), TYPES.INT32)
    options = schema.ArgMaxOptionsT()
    options.outputType = TYPES.INT32
    graph.op(BUILTIN.ARG_MAX, [image, graph.ints("axis", [3])], [which], options)
    graph.save(path, doubled, mean, which)


DETECTORS = {"onnx": onnx_detector, "tflite": tflite_detector}


def expected_outputs(images, grid=None):
    """What a detector gives for (N, 3, H, W) images, as NCHW."""
    doubled = 2 * images
    if grid:
        steps = np.clip(np.rint(doubled / grid[0]) + grid[1], -128, 127)
        doubled = (steps - grid[1]) * grid[0]
    return [doubled, images.mean((2, 3)), images.argmax(1)]


def detector(folder, batch=1):
    """Write an artifact of float and INT8 files of both formats; returns it loaded."""
    folder.mkdir(parents=True)
    files = []
    for name, write in DETECTORS.items():
        nchw = name == "onnx"
        for precision, grid in (("fp32", None), ("int8", GRID)):
            path = folder / f"model_{precision}.{name}"
            write(path, batch, grid)
            image = (batch, 3, *SIDES) if nchw else (batch, *SIDES, 3)
            layout = "NCHW" if nchw else "NHWC"
            ends = (
                ("map", image, layout),
                ("mean", (batch, 3), "NC"),
                ("which", (batch, *SIDES), "ND"),
            )
            files.append(
                ModelFile(
                    path=path.name,
                    format=name,
                    precision=precision,
                    bytes=path.stat().st_size,
                    sha256=sha256(path),
                    input=TensorInfo(name="input", shape=image, dtype="float32", layout=layout),
                    outputs=tuple(
                        TensorInfo(name=name, shape=shape, dtype="float32", layout=order)
                        for name, shape, order in ends
                    ),
                    ops={},
                )
            )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model="detector",
        source={"kind": "test"},
        num_classes=None,
        preprocess=Preprocess(resize=4, crop=SIDES, mean=(0.0,) * 3, std=(1.0,) * 3),
        passes=(),
        quantization={"outputs": {"map": {"scale": GRID[0], "zero_point": GRID[1]}}},
        metrics={},
        macs=0,
        parameters=0,
        tools={},
        files=tuple(files),
    )
    (folder / "manifest.json").write_text(manifest.to_json())
    return Artifact.load(folder)
