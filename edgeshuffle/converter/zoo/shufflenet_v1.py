"""ShuffleNetV1 (Zhang et al. 2017, arXiv:1707.01083, section 3 and table 1).

A unit's first convolution has no groups in the first unit of stage 2. With the order `shuffle`, the
channels change places before the depthwise convolution, and a unit of stride 2 has the
average-pooled input after what it makes. With `late`, OpenMMLab's, and `deal`, Megvii's, they are
shuffled or dealt out after the depthwise convolution, and the pooled input comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from edgeshuffle.converter.zoo.layers import (
    Dense,
    activation,
    channel_deal,
    channel_shuffle,
    conv_bn,
)
from edgeshuffle.converter.zoo.network import Form, Shape, ShuffleNet

if TYPE_CHECKING:
    from edgeshuffle.converter.zoo.cards import Card
    from edgeshuffle.converter.zoo.sizes import Sizes

STAGE_REPEATS: Final = (4, 8, 4)
# What the stem's max-pool comes before, with its batch norm.
AFTER_STEM: Final = ("stage2.0.compress.0", "stage2.0.compress.1")


@dataclass(frozen=True, kw_only=True)
class V1Unit:
    """Figure 2b (stride 1) or 2c (stride 2); `made` are the outputs of the last convolution."""

    inputs: int
    middle: int
    made: int
    kernel: int
    compress_groups: int
    groups: int
    stride: int

    @property
    def outputs(self) -> int:
        """At stride 2, the input is there, too."""
        return self.made + (self.inputs if self.stride == 2 else 0)


class ShuffleUnit(nn.Module):
    """A unit of that shape."""

    def __init__(self, unit: V1Unit, act: str, form: Form) -> None:
        super().__init__()
        self.unit = unit
        self.order = form.order
        middle, eps = unit.middle, form.eps
        first = nn.Conv2d(unit.inputs, middle, 1, groups=unit.compress_groups, bias=False)
        self.compress = nn.Sequential(first, nn.BatchNorm2d(middle, eps), activation(act))
        self.depthwise = nn.Sequential(
            *conv_bn(middle, middle, unit.kernel, unit.stride, middle, eps)
        )
        last = nn.Conv2d(middle, unit.made, 1, groups=unit.groups, bias=False)
        self.expand = nn.Sequential(last, nn.BatchNorm2d(unit.made, eps))
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        made = self.compress(x)
        groups = self.unit.groups
        if groups > 1 and self.order == "shuffle":
            made = self.depthwise(channel_shuffle(made, groups))
        else:
            made = self.depthwise(made)
            if groups > 1:
                made = (channel_deal if self.order == "deal" else channel_shuffle)(made, groups)
        made = self.expand(made)
        if self.unit.stride == 1:
            added: Tensor = self.act(made + x)
            return added
        # Nothing is negative in the pooled input, so that a ReLU may come before or after.
        kept = nn.functional.avg_pool2d(x, 3, 2, 1)
        parts = (made, kept) if self.order == "shuffle" else (kept, made)
        joined: Tensor = self.act(torch.cat(parts, dim=1))
        return joined


def sizes_of(channels: tuple[int, ...], groups: int, num_classes: int) -> Shape:
    """Table 1; a bottleneck has a quarter of the outputs, or the next multiple of `groups`."""
    width = channels[0]
    stages = []
    for stage, outputs in enumerate(channels[1:4]):
        middle = -(-(outputs // 4) // groups) * groups
        units = []
        for index in range(STAGE_REPEATS[stage]):
            stride = 2 if index == 0 else 1
            units.append(
                V1Unit(
                    inputs=width,
                    middle=middle,
                    made=outputs - width if stride == 2 else outputs,
                    kernel=3,
                    compress_groups=1 if stage == index == 0 else groups,
                    groups=groups,
                    stride=stride,
                )
            )
            width = outputs
        stages.append(tuple(units))
    return Shape(
        inputs=3,
        stem=channels[0],
        kernel=3,
        stages=tuple(stages),
        head=(Dense(num_classes, True),),
    )


def of_card(card: Card) -> Shape:
    """The sizes of a card."""
    return sizes_of(card.channels, card.groups, card.num_classes)


def read(sizes: Sizes) -> Shape:
    """The sizes of a state dict."""
    return sizes.network(read_unit)


def read_unit(sizes: Sizes, name: str) -> V1Unit:
    """The sizes of one unit; the first of a stage has stride 2."""
    middle, group, _ = sizes.conv(f"{name}.compress.0")
    _, _, kernel = sizes.conv(f"{name}.depthwise.0")
    made, of_middle, _ = sizes.conv(f"{name}.expand.0")
    groups = max(middle // max(of_middle, 1), 1)
    inputs = sizes.conv("conv1.0")[0] if name == "stage2.0" else group * groups
    return V1Unit(
        inputs=inputs,
        middle=middle,
        made=made,
        kernel=kernel,
        compress_groups=max(inputs // max(group, 1), 1),
        groups=groups,
        stride=2 if name.endswith(".0") else 1,
    )


def build(shape: Shape, form: Form) -> ShuffleNet:
    """A network without weights."""
    return ShuffleNet(shape, form, ShuffleUnit)
