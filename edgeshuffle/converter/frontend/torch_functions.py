"""The torch functions that the zoo's networks call, each as the ONNX nodes that compute it.

Methods have the functions' names and parameters, after the shapes of what a call gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx
    import torch

    Shape = tuple[int, ...]
    Shapes = Sequence[Shape]
    Sides = int | Sequence[int]


class Functions:
    """Nodes in the order of the calls, constants and static shapes by name.

    `value_of` gives a tensor's name.
    """

    def __init__(self, value_of: Callable[[torch.Tensor], str]) -> None:
        self.value_of = value_of
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.shapes: dict[str, Shape] = {}

    def conv2d(
        self,
        shapes: Shapes,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        stride: Sides = 1,
        padding: Sides = 0,
        dilation: Sides = 1,
        groups: int = 1,
    ) -> list[str]:
        """Conv."""
        return self._with_parameters(
            "Conv",
            shapes,
            (x, weight, bias),
            kernel_shape=list(weight.shape[2:]),
            strides=_pair(stride),
            pads=_pair(padding) * 2,
            dilations=_pair(dilation),
            group=groups,
        )

    def batch_norm(
        self,
        shapes: Shapes,
        x: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        *,
        weight: torch.Tensor,
        bias: torch.Tensor,
        eps: float,
        **_: Any,
    ) -> list[str]:
        """BatchNormalization."""
        given = (x, weight, bias, mean, variance)
        return self._with_parameters("BatchNormalization", shapes, given, epsilon=eps)

    def linear(
        self,
        shapes: Shapes,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
    ) -> list[str]:
        """Gemm."""
        return self._with_parameters("Gemm", shapes, (x, weight, bias), transB=1)

    def relu(self, shapes: Shapes, x: torch.Tensor, **_: Any) -> list[str]:
        """Relu."""
        return self._add("Relu", "relu", shapes, (x,))

    def leaky_relu(
        self, shapes: Shapes, x: torch.Tensor, negative_slope: float, **_: Any
    ) -> list[str]:
        """LeakyRelu."""
        return self._add("LeakyRelu", "leaky_relu", shapes, (x,), alpha=negative_slope)

    def silu(self, shapes: Shapes, x: torch.Tensor, **_: Any) -> list[str]:
        """Sigmoid and Mul."""
        (gate,) = self.sigmoid(shapes, x)
        return self._add("Mul", "silu", shapes, (x, gate))

    def hardswish(self, shapes: Shapes, x: torch.Tensor, **_: Any) -> list[str]:
        """HardSwish."""
        return self._add("HardSwish", "hardswish", shapes, (x,))

    def sigmoid(self, shapes: Shapes, x: torch.Tensor) -> list[str]:
        """Sigmoid."""
        return self._add("Sigmoid", "sigmoid", shapes, (x,))

    def hardsigmoid(self, shapes: Shapes, x: torch.Tensor, **_: Any) -> list[str]:
        """HardSigmoid."""
        return self._add("HardSigmoid", "hardsigmoid", shapes, (x,), alpha=1 / 6, beta=0.5)

    def max_pool2d(
        self,
        shapes: Shapes,
        x: torch.Tensor,
        kernel_size: Sides,
        *,
        stride: Sides,
        padding: Sides,
        ceil_mode: bool,
        **_: Any,
    ) -> list[str]:
        """MaxPool."""
        window = _window(kernel_size, stride, padding)
        return self._add("MaxPool", "max_pool2d", shapes, (x,), **window, ceil_mode=int(ceil_mode))

    def avg_pool2d(
        self, shapes: Shapes, x: torch.Tensor, kernel_size: Sides, stride: Sides, padding: Sides
    ) -> list[str]:
        """AveragePool, in which padding counts."""
        window = _window(kernel_size, stride, padding)
        return self._add("AveragePool", "avg_pool2d", shapes, (x,), **window, count_include_pad=1)

    def mean(
        self, shapes: Shapes, x: torch.Tensor, dim: Sequence[int], *, keepdim: bool = False
    ) -> list[str]:
        """ReduceMean."""
        axes = self._numbers(dim)
        return self._add("ReduceMean", "mean", shapes, (x, axes), keepdims=int(keepdim))

    def mul(self, shapes: Shapes, x: torch.Tensor, other: torch.Tensor) -> list[str]:
        """Mul."""
        return self._add("Mul", "mul", shapes, (x, other))

    def add(self, shapes: Shapes, x: torch.Tensor, other: torch.Tensor) -> list[str]:
        """Add."""
        return self._add("Add", "add", shapes, (x, other))

    def cat(self, shapes: Shapes, tensors: Sequence[torch.Tensor], dim: int) -> list[str]:
        """Concat."""
        return self._add("Concat", "cat", shapes, tensors, axis=dim)

    def chunk(self, shapes: Shapes, x: torch.Tensor, chunks: int, dim: int) -> list[str]:
        """Split."""
        return self._add("Split", "chunk", shapes, (x,), axis=dim, num_outputs=chunks)

    def view(self, shapes: Shapes, x: torch.Tensor, *_: int) -> list[str]:
        """Reshape."""
        return self._add("Reshape", "view", shapes, (x, self._numbers(shapes[0])))

    reshape = view

    def transpose(self, shapes: Shapes, x: torch.Tensor, first: int, second: int) -> list[str]:
        """Transpose."""
        order = list(range(x.ndim))
        order[first], order[second] = second, first
        return self._add("Transpose", "transpose", shapes, (x,), perm=order)

    def flatten(self, shapes: Shapes, x: torch.Tensor, start_dim: int) -> list[str]:
        """Flatten."""
        return self._add("Flatten", "flatten", shapes, (x,), axis=start_dim)

    def _with_parameters(
        self, kind: str, shapes: Shapes, inputs: Sequence[torch.Tensor | None], **attributes: Any
    ) -> list[str]:
        """A node named by the submodule whose parameters its inputs after the first are."""
        given = [value for value in inputs if value is not None]
        name, _, _ = self.value_of(given[1]).rpartition(".")
        return self._add(kind, name, shapes, given, **attributes)

    def _add(
        self,
        kind: str,
        name: str,
        shapes: Shapes,
        inputs: Sequence[torch.Tensor | str],
        **attributes: Any,
    ) -> list[str]:
        """A node; its outputs' names are its own, with a number where that is not enough."""
        name = self._unused(name)
        outputs = [name, *(f"{name}.{number}" for number in range(1, len(shapes)))]
        sources = [one if isinstance(one, str) else self.value_of(one) for one in inputs]
        self.nodes.append(helper.make_node(kind, sources, outputs, name, **attributes))
        self.shapes.update(zip(outputs, shapes, strict=True))
        return outputs

    def _unused(self, name: str) -> str:
        number, found = 0, name
        while found in self.shapes:
            number += 1
            found = f"{name}_{number}"
        return found

    def _numbers(self, values: Sequence[int]) -> str:
        """A constant."""
        name = "x".join(map(str, values))
        self.constants[name] = np.array(values, np.int64)
        return name


def _pair(sides: Sides) -> list[int]:
    return [sides, sides] if isinstance(sides, int) else list(sides)


def _window(kernel: Sides, stride: Sides, padding: Sides) -> dict[str, list[int]]:
    return {
        "kernel_shape": _pair(kernel),
        "strides": _pair(stride),
        "pads": _pair(padding) * 2,
    }
