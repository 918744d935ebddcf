"""ShuffleNetV2+ (Megvii's ShuffleNet-Series): ShuffleNetV2 with HardSwish from the second stage on,
squeeze and excitation (its gate a hard sigmoid) from the third, and kernels of 3, 5 or 7.

There is no max-pool but one more stage, and the pooled outputs pass a squeeze and excitation and a
fully connected layer before the classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.converter.zoo import shufflenet_v2
from edgeshuffle.converter.zoo.layers import Dense
from edgeshuffle.converter.zoo.network import Shape, Squeeze
from edgeshuffle.converter.zoo.shufflenet_v2 import Layer, V2Unit

if TYPE_CHECKING:
    from edgeshuffle.converter.zoo.cards import Card

_REPEATS: Final = (4, 4, 8, 4)
_REDUCTION: Final = 4
_FIRST_SQUEEZED: Final = 2
AFTER_STEM: Final = None

build = shufflenet_v2.build
read = shufflenet_v2.read


def of_card(card: Card) -> Shape:
    """The sizes of a card; `blocks` are the units' kernels, or `xception`, one after another."""
    blocks = iter(card.blocks)
    width = card.channels[0]
    stages = []
    for stage, repeats in enumerate(_REPEATS):
        outputs = card.channels[stage + 1]
        units = []
        for index in range(repeats):
            inputs, squeezed = width if index == 0 else outputs, stage >= _FIRST_SQUEEZED
            unit = _unit(next(blocks), inputs, outputs, down=index == 0, squeezed=squeezed)
            units.append(unit)
        width = outputs
        stages.append(tuple(units))
    last = card.channels[-1]
    return Shape(
        inputs=3,
        stem=card.channels[0],
        kernel=3,
        stages=tuple(stages),
        last=last,
        squeeze=Squeeze(channels=last // _REDUCTION, bias=False, norm=True),
        head=(Dense(last, False), Dense(card.num_classes, False)),
    )


def _unit(block: str, inputs: int, outputs: int, *, down: bool, squeezed: bool) -> V2Unit:
    read = inputs if down else inputs // 2
    half, made = outputs // 2, outputs - read
    kernel = 3 if block == "xception" else int(block)
    main: tuple[Layer, ...]
    if block == "xception":
        main = (
            *(Layer(read, 3, True), Layer(half, 1, False)),
            *(Layer(half, 3, True), Layer(half, 1, False)),
            *(Layer(half, 3, True), Layer(made, 1, False)),
        )
    else:
        main = (Layer(half, 1, False), Layer(half, kernel, True), Layer(made, 1, False))
    proj = (Layer(read, kernel, True), Layer(read, 1, False)) if down else ()
    squeeze = None
    if squeezed:
        squeeze = Squeeze(channels=made // _REDUCTION, bias=False, norm=True)
    return V2Unit(inputs=inputs, main=main, proj=proj, squeeze=squeeze)
