"""ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164, section 3 and table 5), also with squeeze and
excitation (section 4; its gate is a sigmoid unless the form says otherwise).

State-dict keys equal torchvision's `shufflenet_v2_x*`. Sizes are any that weights can have: the
branches of a unit differ in width in Megvii's networks, and have more convolutions in its V2+.
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
from edgeshuffle.converter.zoo.network import Form, Shape, ShuffleNet, Squeeze, squeeze_excite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.converter.zoo.cards import Card
    from edgeshuffle.converter.zoo.network import Stem
    from edgeshuffle.converter.zoo.sizes import Sizes

STAGE_REPEATS: Final = (4, 8, 4)
# What the stem's max-pool comes before, with its batch norm.
AFTER_STEM: Final = ("stage2.0.branch2.0", "stage2.0.branch2.1")


@dataclass(frozen=True)
class Layer:
    """A convolution of a branch; a depthwise one has as many outputs as inputs."""

    outputs: int
    kernel: int
    depthwise: bool


@dataclass(frozen=True, kw_only=True)
class V2Unit:
    """The basic unit (stride 1, figure 3c) or the down-sampling unit (stride 2, figure 3d)."""

    inputs: int
    main: tuple[Layer, ...]
    proj: tuple[Layer, ...] = ()
    squeeze: Squeeze | None = None

    @property
    def stride(self) -> int:
        """Only a unit with two branches halves the size."""
        return 2 if self.proj else 1

    @property
    def outputs(self) -> int:
        """What is kept, or comes of the projection, and what comes of the main branch."""
        kept = self.proj[-1].outputs if self.proj else self.inputs // 2
        return kept + self.main[-1].outputs


class InvertedResidual(nn.Module):
    """A unit of that shape."""

    def __init__(self, unit: V2Unit, act: str, form: Form) -> None:
        super().__init__()
        self.stride = unit.stride
        self.order = form.order
        inputs = unit.inputs if unit.stride == 2 else unit.inputs // 2
        self.branch1 = nn.Sequential(*_branch(inputs, unit.proj, 2, act, form.eps))
        self.branch2 = nn.Sequential(*_branch(inputs, unit.main, unit.stride, act, form.eps))
        self.se: nn.Module = nn.Sequential()
        if unit.squeeze is not None:
            self.se = squeeze_excite(unit.main[-1].outputs, unit.squeeze, form)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            kept, x = (channel_deal(x, 2) if self.order == "split" else x).chunk(2, dim=1)
        else:
            kept = self.branch1(x)
        joined = torch.cat((kept, self.se(self.branch2(x))), dim=1)
        if self.order == "split":
            return joined
        return (channel_shuffle if self.order == "shuffle" else channel_deal)(joined, 2)


def _branch(
    inputs: int, layers: Sequence[Layer], stride: int, act: str, eps: float
) -> list[nn.Module]:
    """Convolutions; an activation follows those that are not depthwise."""
    made: list[nn.Module] = []
    for layer in layers:
        if layer.depthwise:
            made += conv_bn(inputs, inputs, layer.kernel, stride, inputs, eps)
            stride = 1
        else:
            made += [*conv_bn(inputs, layer.outputs, layer.kernel, eps=eps), activation(act)]
        inputs = layer.outputs
    return made


class ShuffleNetV2(ShuffleNet):
    """ShuffleNetV2 classifier with the sizes of table 5.

    `channels` are the outputs of conv1, stage 2, 3, 4 and conv5. The `cifar` stem keeps the input's
    resolution: conv1 has stride 1 and there is no max-pool.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        num_classes: int = 1000,
        stem: Stem = "imagenet",
    ) -> None:
        shape = sizes_of(channels, num_classes)
        super().__init__(shape, Form(stem=stem), InvertedResidual)


def sizes_of(channels: tuple[int, ...], num_classes: int, reduction: int = 0) -> Shape:
    """Table 5; `reduction` is squeeze and excitation's, 0 for none."""
    width = channels[0]
    stages = []
    for outputs, repeats in zip(channels[1:4], STAGE_REPEATS, strict=True):
        half = outputs // 2
        main = (Layer(half, 1, False), Layer(half, 3, True), Layer(half, 1, False))
        squeeze = None
        if reduction:
            squeeze = Squeeze(channels=half // reduction, bias=True, norm=False)
        proj = (Layer(width, 3, True), Layer(half, 1, False))
        first = V2Unit(inputs=width, main=main, proj=proj, squeeze=squeeze)
        rest = V2Unit(inputs=outputs, main=main, squeeze=squeeze)
        stages.append((first, *(rest for _ in range(repeats - 1))))
        width = outputs
    return Shape(
        inputs=3,
        stem=channels[0],
        kernel=3,
        stages=tuple(stages),
        last=channels[4],
        head=(Dense(num_classes, True),),
    )


def of_card(card: Card) -> Shape:
    """The sizes of a card."""
    return sizes_of(card.channels, card.num_classes, card.reduction)


def read(sizes: Sizes) -> Shape:
    """The sizes of a state dict."""
    return sizes.network(read_unit)


def read_unit(sizes: Sizes, name: str) -> V2Unit:
    """The sizes of one unit."""
    down = any(sizes.has(f"{name}.branch1.{index}") for index in (0, 2))
    first, group, _ = sizes.conv(f"{name}.branch2.0")
    inputs = first if _is_depthwise(sizes, f"{name}.branch2", 0) else group
    return V2Unit(
        inputs=inputs if down else 2 * inputs,
        main=_read_branch(sizes, f"{name}.branch2", 3),
        proj=_read_branch(sizes, f"{name}.branch1", 2) if down else (),
        squeeze=sizes.squeeze(f"{name}.se"),
    )


def _read_branch(sizes: Sizes, name: str, least: int) -> tuple[Layer, ...]:
    """Convolutions in their order; `least` are there, though their weights may be missing."""
    layers: list[Layer] = []
    place = 0
    while sizes.has(f"{name}.{place}") or len(layers) < least:
        outputs, _, kernel = sizes.conv(f"{name}.{place}")
        depthwise = _is_depthwise(sizes, name, place)
        layers.append(Layer(outputs, kernel, depthwise))
        place += 2 if depthwise else 3
    return tuple(layers)


def _is_depthwise(sizes: Sizes, name: str, place: int) -> bool:
    """No activation follows its batch norm: the next convolution is 2 places on, not 3."""
    return sizes.is_conv(f"{name}.{place + 2}") or sizes.is_norm(f"{name}.{place + 3}")


def build(shape: Shape, form: Form) -> ShuffleNet:
    """A network without weights."""
    return ShuffleNet(shape, form, InvertedResidual)
