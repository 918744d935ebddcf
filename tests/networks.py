"""Networks for tests: seeded ShuffleNetV2s with realistic statistics, ShuffleNet-like graphs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from edgeshuffle.converter.zoo.cards import card_of_width
from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Small layers on many threads wait for each other, long on a machine that has other work.
torch.set_num_threads(1)


def network(
    width: float = 0.5,
    num_classes: int = 10,
    stem: str = "imagenet",
    seed: int = 0,
    resolution: int = 64,
    channels: tuple[int, int, int, int, int] | None = None,
) -> ShuffleNetV2:
    """A random network whose batch norms have seen random pictures, so that signals keep a size."""
    torch.manual_seed(seed)
    module = ShuffleNetV2(channels or card_of_width(width).channels, num_classes, stem)
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.2)
        norm.momentum = 0.5
    module.train()
    with torch.no_grad():
        for _ in range(4):
            module(torch.randn(4, 3, resolution, resolution))
    return module.eval()


def run_onnx(proto: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    """The only output for one image, in ONNX Runtime."""
    return run_onnx_each(proto, [image])[0]


def run_all(model: onnx.ModelProto | ir.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every output of an ONNX or IR model by name, without graph optimization."""
    proto = model if isinstance(model, onnx.ModelProto) else ir.to_proto(model)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    given = session.get_inputs()[0].name
    return dict(zip(names, session.run(names, {given: image}), strict=True))


def run_onnx_each(proto: onnx.ModelProto, images: Sequence[np.ndarray]) -> np.ndarray:
    """The outputs for some images, one after another."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: image})[0] for image in images])


def run_ir(model: ir.Model, image: np.ndarray) -> np.ndarray:
    """Likewise for an IR model."""
    return run_onnx(ir.to_proto(model), image)


def relative_error(reference: np.ndarray, output: np.ndarray) -> float:
    """Largest difference in standard deviations of the reference; 0 where all is equal."""
    largest = float(np.abs(reference - output).max())
    return largest / float(reference.std()) if largest else 0.0


def noise(resolution: int, seed: int = 1, channels: int = 3) -> np.ndarray:
    """A random (1, C, R, R) image."""
    shape = (1, channels, resolution, resolution)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@dataclass
class Graph:
    """Writes a small float ONNX model; every method returns the new value's name."""

    size: int = 8
    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=lambda: {"input": 3})
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.sizes["input"] = self.size

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes)
        )
        return names

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def _like(self, name: str, source: str, channels: int | None = None) -> str:
        self.channels[name] = self.channels[source] if channels is None else channels
        self.sizes[name] = self.sizes[source]
        return name

    def conv(self, x: str, outputs: int, kernel: int = 1, stride: int = 1) -> str:
        c = self.channels[x]
        weight = self.random.standard_normal((outputs, c, kernel, kernel)) / np.sqrt(c) / kernel
        return self._conv(x, weight, outputs, kernel, stride, 1)

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1) -> str:
        c = self.channels[x]
        weight = self.random.standard_normal((c, 1, kernel, kernel)) / kernel
        return self._conv(x, weight, c, kernel, stride, c)

    def grouped(self, x: str, outputs: int, groups: int) -> str:
        weight = self.random.standard_normal((outputs, self.channels[x] // groups, 1, 1))
        return self._conv(x, weight, outputs, 1, 1, groups)

    def _conv(
        self, x: str, weight: np.ndarray, outputs: int, kernel: int, stride: int, group: int
    ) -> str:
        bias = self.random.standard_normal(outputs)
        made = self.add(
            "Conv",
            x,
            self.constant(weight.astype(np.float32)),
            self.constant(bias.astype(np.float32)),
            kernel_shape=[kernel, kernel],
            pads=[kernel // 2] * 4,
            strides=[stride, stride],
            group=group,
        )[0]
        self._like(made, x, outputs)
        self.sizes[made] = (self.sizes[x] + 2 * (kernel // 2) - kernel) // stride + 1
        return made

    def relu(self, x: str) -> str:
        return self._like(self.add("Relu", x)[0], x)

    def both(self, op: str, x: str, y: str) -> str:
        """An element-wise operator of two values, or of one and a constant."""
        made = self.add(op, x, y)[0]
        whole = [name for name in (x, y) if name in self.channels]
        return self._like(made, max(whole, key=lambda n: (self.channels[n], self.sizes[n])))

    def max_pool(self, x: str) -> str:
        made = self.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])[0]
        self._like(made, x)
        self.sizes[made] = (self.sizes[x] - 1) // 2 + 1
        return made

    def concat(self, *xs: str) -> str:
        made = self.add("Concat", *xs, axis=1)[0]
        return self._like(made, xs[0], sum(self.channels[x] for x in xs))

    def split(self, x: str, *counts: int) -> list[str]:
        made = self.add("Split", x, self.ints(*counts), outputs=len(counts), axis=1)
        return [self._like(name, x, count) for name, count in zip(made, counts, strict=True)]

    def cut(self, x: str, start: int, stop: int, step: int = 1) -> str:
        limits = [self.ints(n) for n in (start, stop, 1, step)]
        made = self.add("Slice", x, *limits)[0]
        return self._like(made, x, len(range(start, stop, step)))

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.ints(*shape))[0]

    def transpose(self, x: str, *perm: int) -> str:
        return self.add("Transpose", x, perm=list(perm))[0]

    def shuffle(self, x: str, form: str = "5d", groups: int = 2) -> str:
        """A channel shuffle in one of the spellings exporters use."""
        c, s = self.channels[x], self.sizes[x]
        if form == "gather":
            order = np.arange(c).reshape(groups, -1).T.reshape(-1)
            made = self.add("Gather", x, self.constant(order), axis=1)[0]
        elif form == "4d":
            y = self.transpose(self.reshape(x, 1, groups, c // groups, s * s), 0, 2, 1, 3)
            made = self.reshape(y, 1, c, s, s)
        elif form == "3d":
            y = self.transpose(self.reshape(x, groups, c // groups, s * s), 1, 0, 2)
            made = self.reshape(y, 1, c, s, s)
        else:
            y = self.transpose(self.reshape(x, 1, groups, c // groups, s, s), 0, 2, 1, 3, 4)
            made = self.reshape(y, 1, c, s, s)
        return self._like(made, x)

    def deinterleave(self, x: str) -> tuple[str, str]:
        """Even and odd channels, as the paper's authors' code writes shuffle and split in one."""
        c, s = self.channels[x], self.sizes[x]
        y = self.reshape(x, c // 2, 2, s * s)
        y = self.reshape(self.transpose(y, 1, 0, 2), 2, 1, c // 2, s, s)
        parts = [self.add("Gather", y, self.constant(np.array(i)), axis=0)[0] for i in (0, 1)]
        even, odd = (self._like(part, x, c // 2) for part in parts)
        return even, odd

    def model(self, *outputs: str, opset: int = 20) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "test",
            [
                helper.make_tensor_value_info(
                    "input", TensorProto.FLOAT, [1, 3, self.size, self.size]
                )
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        proto.ir_version = 10
        return onnx.shape_inference.infer_shapes(proto)

    def classifier(self, x: str, classes: int = 5, others: Iterable[str] = ()) -> onnx.ModelProto:
        """Mean, Gemm, and the finished model; `others` are outputs, too."""
        pooled = self.add("GlobalAveragePool", x)[0]
        flat = self.add("Flatten", pooled)[0]
        weight = self.random.standard_normal((classes, self.channels[x])).astype(np.float32)
        bias = self.random.standard_normal(classes).astype(np.float32)
        out = self.add("Gemm", flat, self.constant(weight), self.constant(bias), transB=1)[0]
        return self.model(out, *others)
