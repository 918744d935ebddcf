"""What the networks of the family are built of: (N, C, H, W) in, (N, C, H, W) out."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from edgeshuffle.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.1, inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "hard_swish": lambda: nn.Hardswish(inplace=True),
}
ACTIVATIONS: Final = tuple(_ACTIVATIONS)


def activation(name: str) -> nn.Module:
    """One of `ACTIVATIONS`, or `leaky_relu:SLOPE`; raises UnknownNameError."""
    kind, _, slope = name.partition(":")
    if kind == "leaky_relu" and slope:
        with contextlib.suppress(ValueError):
            if math.isfinite(number := float(slope)):
                return nn.LeakyReLU(number, inplace=True)
        raise UnknownNameError(f"`activation={name}` has no number as its slope.")
    if kind not in _ACTIVATIONS or slope:
        raise UnknownNameError(
            f"Unknown activation '{name}'. Known: {', '.join(ACTIVATIONS)}, leaky_relu:SLOPE."
        )
    return _ACTIVATIONS[kind]()


def conv_bn(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    eps: float = 1e-5,
) -> list[nn.Module]:
    """A convolution that keeps the size at stride 1, and its batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs, eps)]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave `groups` equal channel groups of (N, C, H, W) (arXiv:1707.01083, 3.1)."""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def channel_deal(x: Tensor, groups: int) -> Tensor:
    """Deal channels out to `groups` groups in turn: the inverse of `channel_shuffle`."""
    n, c, h, w = x.shape
    return x.view(n, c // groups, groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class SqueezeExcite(nn.Module):
    """Channels weighed by their means (Hu et al. 2017, arXiv:1709.01507).

    `gate` is `sigmoid`, the paper's, or `hard_sigmoid`, ReLU6(x + 3) / 6.
    """

    def __init__(
        self, channels: int, squeezed: int, *, bias: bool, norm: bool, gate: str, eps: float
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1, bias=bias)
        self.norm = nn.BatchNorm2d(squeezed, eps) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(squeezed, channels, 1, bias=bias)
        self.gate = nn.Hardsigmoid() if gate == "hard_sigmoid" else nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean([2, 3], keepdim=True)
        weights: Tensor = self.gate(self.expand(self.relu(self.norm(self.reduce(means)))))
        return x * weights


@dataclass(frozen=True)
class Dense:
    """A fully connected layer of a head."""

    outputs: int
    bias: bool


def head(inputs: int, layers: Sequence[Dense], between: str) -> nn.Module:
    """A Linear, or several with an activation between; dropout does nothing in evaluation."""
    made: list[nn.Module] = []
    for layer in layers:
        if made:
            made.append(activation(between))
        made.append(nn.Linear(inputs, layer.outputs, bias=layer.bias))
        inputs = layer.outputs
    return made[0] if len(made) == 1 else nn.Sequential(*made)


def head_keys(count: int) -> list[str]:
    """The names that the Linear layers of `head` have in it, with the dot that follows."""
    return [""] if count == 1 else [f"{2 * index}." for index in range(count)]


def pooled(x: Tensor) -> Tensor:
    """Means over height and width: (N, C, H, W) to (N, C)."""
    return torch.mean(x, [2, 3])
