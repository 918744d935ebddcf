"""What the tables time: a block of convolutions, repeated; and how wide it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edgeshuffle.memory_access import memory_access_cost

# How far the work of a table's rows may be apart, as a share of its first row's.
TOLERANCE: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution of stride 1 that keeps the size, with a ReLU behind it or none."""

    inputs: int
    outputs: int
    kernel: int = 1
    groups: int = 1
    relu: bool = False

    @property
    def weights(self) -> int:
        """How many, without the bias."""
        return self.kernel**2 * self.inputs * self.outputs // self.groups


@dataclass(frozen=True, kw_only=True)
class Block:
    """The sum of branches that all read the block's input, and of this input with a `shortcut`;
    with a `relu`, behind the sum.
    """

    branches: tuple[tuple[Conv, ...], ...]
    shortcut: bool = False
    relu: bool = False

    @property
    def channels(self) -> int:
        """Of the input, and of the output."""
        return self.branches[0][0].inputs

    @property
    def convs(self) -> tuple[Conv, ...]:
        """Of all branches."""
        return tuple(conv for branch in self.branches for conv in branch)


@dataclass(frozen=True, kw_only=True)
class Network:
    """`blocks` times the same block, on an input of (height, width) `pixels`."""

    block: Block
    pixels: tuple[int, int]
    blocks: int

    @property
    def channels(self) -> tuple[int, ...]:
        """Those that differ from each other, in order."""
        return tuple(dict.fromkeys(conv.inputs for conv in self.block.convs))

    @property
    def macs(self) -> int:
        """Multiply-accumulates an image, which the paper calls FLOPs."""
        return self.blocks * math.prod(self.pixels) * sum(c.weights for c in self.block.convs)

    @property
    def memory_access(self) -> int:
        """Elements that all convolutions read and write, which the paper calls MAC."""
        hw = math.prod(self.pixels)
        return self.blocks * sum(
            memory_access_cost(
                read=hw,
                written=hw,
                inputs=conv.inputs,
                outputs=conv.outputs,
                taps=conv.kernel**2,
                groups=conv.groups,
            )
            for conv in self.block.convs
        )


def ratio_block(width: int, ratio: int) -> Block:
    """G1: from c1 to c2 channels and back."""
    c1, c2 = equal_work(width**2, ratio)
    return Block(branches=((Conv(inputs=c1, outputs=c2), Conv(inputs=c2, outputs=c1)),))


def grouped_block(width: int, groups: int) -> Block:
    """G2: two layers, as one cannot always have the same channels, and equal work, at both ends."""
    c1, c2 = equal_work(width**2, groups=groups)
    there = Conv(inputs=c1, outputs=c2, groups=groups)
    back = Conv(inputs=c2, outputs=c1, groups=groups)
    return Block(branches=((there, back),))


def fragmented_block(width: int, fragments: int, *, parallel: bool) -> Block:
    """G3: convolutions behind each other, or beside each other and summed up."""
    channels, _ = equal_work(width**2 / fragments)
    conv = Conv(inputs=channels, outputs=channels)
    return Block(branches=((conv,),) * fragments if parallel else ((conv,) * fragments,))


def bottleneck(width: int, *, relu: bool, shortcut: bool) -> Block:
    """G4: ResNet's unit (He et al., CVPR 2016), whose 3x3 has a quarter of the channels."""
    inner = width // 4
    convs = (
        Conv(inputs=width, outputs=inner, relu=relu),
        Conv(inputs=inner, outputs=inner, kernel=3, relu=relu),
        Conv(inputs=inner, outputs=width),
    )
    return Block(branches=(convs,), shortcut=shortcut, relu=relu)


def equal_work(weights: float, ratio: int = 1, groups: int = 1) -> tuple[int, int]:
    """Channels c1 and c2, multiples of `groups`, so that c1 c2 / groups is about `weights`.

    They are the paper's, whose c1 is rounded down and whose c2 is `ratio` times c1, where that is
    near enough; else c2 is what comes nearest.
    """
    # Roots of squares may be a little too small.
    first = int(math.sqrt(weights * groups / ratio) + 1e-9) // groups * groups
    second = ratio * first
    if abs(first * second / groups / weights - 1) > TOLERANCE:
        second = round(weights / first) * groups
    return first, second
