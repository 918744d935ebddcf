"""Tiny real models: graphs by onnx.helper, and TFLite files by the flatbuffer schema."""

import dataclasses
import hashlib

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

from edgeshuffle.artifact import (
    SCHEMA_VERSION,
    Artifact,
    Manifest,
    ModelFile,
    Preprocess,
    TensorInfo,
    sha256,
)
from edgeshuffle.artifact.class_names import class_names_text
from edgeshuffle.artifact.manifest import LabelsFile
from edgeshuffle.cli import main

BUILTIN = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
TYPES = schema.TensorType


class OnnxGraph:
    """Nodes, constants and one float input and output, in the order of the calls."""

    def __init__(self, shape):
        self.nodes = []
        self.constants = []
        self.inputs = [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, shape)]

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, op, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[0]

    def quantize(self, name, scale, zero_point):
        """`name` through QuantizeLinear and DequantizeLinear."""
        ends = [
            self.constant(f"{name}_scale", np.float32(scale)),
            self.constant(f"{name}_zero", zero_point),
        ]
        self.node("QuantizeLinear", [name, *ends], [f"{name}_q"])
        return self.node("DequantizeLinear", [f"{name}_q", *ends], [f"{name}_dq"])

    def save(self, path, *outputs):
        outputs = [
            helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
            for output in outputs
        ]
        graph = helper.make_graph(self.nodes, "g", self.inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)


class TfliteGraph:
    """Tensors and operators in the order of the calls; tensors are named by index."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name, shape, kind=TYPES.FLOAT32, *, data=None, grid=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if grid is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([grid[0]], np.float32)
            tensor.quantization.zeroPoint = np.array([grid[1]], np.int64)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def ints(self, name, values):
        values = np.array(values, np.int32)
        return self.tensor(name, values.shape, TYPES.INT32, data=values)

    def op(self, code, inputs, outputs, options=None, version=1):
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.version = code, version
        entry.deprecatedBuiltinCode = min(code, 127)
        self.model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(OPTIONS, name)
        self.graph.operators.append(operator)
        return outputs[0]

    def save(self, path, *outputs):
        self.graph.inputs, self.graph.outputs = [0], list(outputs)
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def onnx_classifier(path, weight, bias, size, grid=None):
    """Mean colour times `weight` (classes, 3) plus `bias`; logits on `grid` (scale, zero)."""
    graph = OnnxGraph((1, 3, size, size))
    graph.node("GlobalAveragePool", ["input"], ["mean"])
    graph.node("Flatten", ["mean"], ["flat"])
    ends = ["flat", graph.constant("w", weight.T.copy()), graph.constant("b", bias)]
    output = graph.node("Gemm", ends, ["logits"])
    if grid:
        output = graph.quantize("logits", grid[0], np.uint8(grid[1]))
    graph.save(path, output)


def tflite_classifier(path, weight, bias, size):
    """The same in float."""
    graph = TfliteGraph()
    image = graph.tensor("input", (1, size, size, 3))
    mean = graph.tensor("mean", (1, 3))
    axes = graph.ints("axes", [1, 2])
    graph.op(BUILTIN.MEAN, [image, axes], [mean], schema.ReducerOptionsT())
    inputs = [
        mean,
        graph.tensor("w", weight.shape, data=weight),
        graph.tensor("b", bias.shape, data=bias),
    ]
    logits = graph.tensor("logits", (1, len(bias)))
    graph.op(BUILTIN.FULLY_CONNECTED, inputs, [logits], schema.FullyConnectedOptionsT())
    graph.save(path, logits)


def artifact(folder, files, *, num_classes, size, source=None):
    """Write a manifest round `files`, (name, precision) pairs, that lie in `folder`."""
    entries = []
    for name, precision in files:
        layout = "NCHW" if name.endswith(".onnx") else "NHWC"
        shape = (1, 3, size, size) if layout == "NCHW" else (1, size, size, 3)
        logits = TensorInfo(name="logits", shape=(1, num_classes), dtype="float32", layout="NC")
        entries.append(
            ModelFile(
                path=name,
                format=name.rsplit(".")[-1],
                precision=precision,
                bytes=(folder / name).stat().st_size,
                sha256=sha256(folder / name),
                input=TensorInfo(name="input", shape=shape, dtype="float32", layout=layout),
                outputs=(logits,),
                ops={},
            )
        )
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        model="small",
        source=source or {"kind": "test"},
        num_classes=num_classes,
        preprocess=Preprocess(resize=size, crop=(size, size), mean=(0.0,) * 3, std=(1.0,) * 3),
        passes=(),
        quantization=None,
        metrics={},
        macs=0,
        parameters=0,
        tools={},
        files=tuple(entries),
    )
    (folder / "manifest.json").write_text(manifest.to_json())
    return Artifact.load(folder)


def named(folder, names):
    """The artifact in `folder` with these class names."""
    manifest = Artifact.load(folder).manifest
    raw = class_names_text(names)
    (folder / "labels.txt").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    labels = LabelsFile(path="labels.txt", count=len(names), sha256=digest)
    manifest = dataclasses.replace(manifest, labels=labels)
    (folder / "manifest.json").write_text(manifest.to_json())
    return Artifact.load(folder)


def without_classes(folder):
    """Make the artifact in `folder` one of a model that is no classifier."""
    manifest = Artifact.load(folder).manifest
    (folder / "labels.txt").unlink(missing_ok=True)
    files = []
    for file in manifest.files:
        (end,) = file.outputs
        end = dataclasses.replace(end, shape=(1, 2, end.shape[-1] // 2), layout="ND")
        files.append(dataclasses.replace(file, outputs=(end,)))
    manifest = dataclasses.replace(manifest, num_classes=None, labels=None, files=tuple(files))
    (folder / "manifest.json").write_text(manifest.to_json())


THREE_MODELS = [
    ("model_fp32.onnx", "fp32"),
    ("model_int8.onnx", "int8"),
    ("model_fp32.tflite", "fp32"),
]


def three_models(folder):
    """Make an artifact of models that take microseconds; returns its folder."""
    folder.mkdir(parents=True)
    weight = np.random.default_rng(5).standard_normal((10, 3)).astype(np.float32)
    bias = np.zeros(10, np.float32)
    onnx_classifier(folder / "model_fp32.onnx", weight, bias, 4)
    onnx_classifier(folder / "model_int8.onnx", weight, bias, 4, (0.25, 128))
    tflite_classifier(folder / "model_fp32.tflite", weight, bias, 4)
    artifact(folder, THREE_MODELS, num_classes=10, size=4)
    return folder


def run(*arguments):
    """The command line's exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code or 0
    raise AssertionError("the command line always exits")
