"""What all ShuffleNets have in common: a stem, stages of units, perhaps a last convolution, a head.

`Shape` is what weights tell of a network, `Form` what they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

from torch import Tensor, nn

from edgeshuffle.converter.zoo.layers import (
    Dense,
    SqueezeExcite,
    activation,
    conv_bn,
    head,
    pooled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# conv1's stride of 2 and a max-pool; neither; the one; the other.
Stem = Literal["imagenet", "cifar", "nopool", "stride1"]
STEMS: Final[tuple[str, ...]] = get_args(Stem)


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a network's weights do not tell.

    `order` is where channels change places (`shuffle` after a unit's concatenation, `deal` there
    but dealt out in turn, `split` dealt out at the next unit's input; `shufflenet_v1` says what it
    is there). `pool` follows the stem:
    `pad` (padding 1), `ceil` (none, rounded up) or `none`. `gate` is squeeze-and-excitation's.
    `first` is the first stage's activation where it differs, `between` the head's.
    """

    activation: str = "relu"
    first: str | None = None
    between: str = "relu"
    gate: str = "sigmoid"
    order: str = "shuffle"
    pool: str = "pad"
    stem: Stem = "imagenet"
    eps: float = 1e-5


class Unit(Protocol):
    """The shape of a unit; `stride` is 2 or 1, `inputs` and `outputs` count all channels."""

    @property
    def stride(self) -> int: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Squeeze:
    """The shape of a squeeze-and-excitation."""

    channels: int
    bias: bool
    norm: bool


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A network's sizes. `last` is 0 without a last convolution, `head` empty without a head."""

    inputs: int
    stem: int
    kernel: int
    stages: tuple[tuple[Any, ...], ...]
    last: int = 0
    squeeze: Squeeze | None = None
    head: tuple[Dense, ...] = ()

    @property
    def channels(self) -> tuple[int, ...]:
        """Outputs of the stem, of every stage and, where there is one, the last convolution."""
        last = (self.last,) if self.last else ()
        return (self.stem, *(stage[-1].outputs for stage in self.stages), *last)

    @property
    def num_classes(self) -> int | None:
        """Outputs of the head."""
        return self.head[-1].outputs if self.head else None


class ShuffleNet(nn.Module):
    """(N, C, H, W) float32 images to (N, num_classes) logits, or to the outputs of stages.

    `output_names` tells which; state-dict keys are torchvision's where it has such a network.
    """

    def __init__(
        self, shape: Shape, form: Form, unit: Callable[[Any, str, Form], nn.Module]
    ) -> None:
        super().__init__()
        eps = form.eps
        self.shape = shape
        self.form = form
        conv = conv_bn(shape.inputs, shape.stem, shape.kernel, 2, eps=eps)
        self.conv1 = nn.Sequential(*conv, activation(form.activation))
        self.use_stem(form.stem)
        for index, units in enumerate(shape.stages):
            early = form.first if index == 0 else None
            made = [unit(one, early or form.activation, form) for one in units]
            setattr(self, f"stage{index + 2}", nn.Sequential(*made))
        width = shape.stages[-1][-1].outputs
        self.conv5: nn.Module = nn.Sequential()
        if shape.last:
            last = conv_bn(width, shape.last, 1, eps=eps)
            self.conv5 = nn.Sequential(*last, activation(form.activation))
            width = shape.last
        self.se: nn.Module = nn.Sequential()
        if shape.squeeze is not None:
            self.se = squeeze_excite(width, shape.squeeze, form)
        self.fc: nn.Module = head(width, shape.head, form.between) if shape.head else nn.Identity()
        self.output_names: tuple[str, ...] = ("logits",)

    def use_stem(self, stem: Stem) -> None:
        """Change the stem, which has the same weights either way."""
        stride = 1 if stem in ("cifar", "stride1") else 2
        pooled = stem in ("imagenet", "stride1")
        first = self.conv1[0]
        assert isinstance(first, nn.Conv2d)
        first.stride = (stride, stride)
        self.maxpool: nn.Module = nn.Identity()
        if pooled and self.form.pool != "none":
            ceil = self.form.pool == "ceil"
            self.maxpool = nn.MaxPool2d(3, 2, 0 if ceil else 1, ceil_mode=ceil)

    def use_features(self, names: Sequence[str]) -> None:
        """Give the outputs of these modules, such as `stage3`, instead of logits."""
        self.output_names = tuple(names)

    @property
    def stages(self) -> list[str]:
        """The names of the stages: `stage2` follows the stem."""
        return [f"stage{index + 2}" for index in range(len(self.shape.stages))]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.maxpool(self.conv1(x))
        found = {}
        for name in self.stages:
            x = found[name] = getattr(self, name)(x)
        if self.output_names == ("logits",):
            x = self.conv5(x)
            if self.shape.squeeze is None:
                x = pooled(x)
            else:
                x = self.se(x.mean([2, 3], keepdim=True)).flatten(1)
            logits: Tensor = self.fc(x)
            return logits
        if "conv5" in self.output_names:
            found["conv5"] = self.conv5(x)
        outputs = tuple(found[name] for name in self.output_names)
        return outputs if len(outputs) > 1 else outputs[0]


def squeeze_excite(channels: int, squeeze: Squeeze, form: Form) -> SqueezeExcite:
    """The module for a shape."""
    return SqueezeExcite(
        channels,
        squeeze.channels,
        bias=squeeze.bias,
        norm=squeeze.norm,
        gate=form.gate,
        eps=form.eps,
    )
