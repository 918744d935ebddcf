"""Tables 1 to 4 of the paper: what is timed, what it should show, and what its authors measured.

Ma, Zhang, Zheng and Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture
Design", ECCV 2018, arXiv 1807.11164, section 3. Each table stacks a block ten times on an input of
56x56 pixels and changes one thing of it, at equal work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from edgeshuffle.runner.guidelines.blocks import (
    Block,
    Network,
    bottleneck,
    fragmented_block,
    grouped_block,
    ratio_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GuidelineName = Literal["g1", "g2", "g3", "g4"]
SizeName = Literal["x1", "x2", "x4", "small"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A column of the tables: (height, width) in pixels, and how often the block is repeated.

    `column` is the place of the paper's figures; None where it has no such column.
    """

    pixels: tuple[int, int] = (56, 56)
    blocks: int = 10
    column: int | None = None


SIZES: Final[Mapping[SizeName, Size]] = {
    "x1": Size(column=0),
    "x2": Size(column=1),
    "x4": Size(column=2),
    # To try everything in a minute; it says little of a device.
    "small": Size(pixels=(14, 14), blocks=2),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A variant, which makes a block of a width, and its speed in the paper at x1, x2 and x4.

    `arm` is images a second of a Snapdragon 810 with one thread, `gpu` batches a second of a
    GeForce GTX 1080Ti.
    """

    name: str
    block: Callable[[int], Block]
    arm: tuple[float, float, float]
    gpu: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Guideline:
    """A table: all rows should be slower than its first one or, where `removes` cost, faster.

    `varied` says what differs. `widths` are the first row's channels; `layers` is how many of the
    paper's blocks one of ours is.
    """

    title: str
    varied: str
    widths: Mapping[SizeName, int]
    rows: tuple[Row, ...]
    removes: bool = False
    layers: int = 1

    def network(self, row: Row, size: SizeName) -> Network:
        """What a row times."""
        chosen = SIZES[size]
        return Network(
            block=row.block(self.widths[size]),
            pixels=chosen.pixels,
            blocks=chosen.blocks // self.layers,
        )


_NARROW: Final[Mapping[SizeName, int]] = {"x1": 32, "x2": 64, "x4": 128, "small": 32}
_WIDE: Final[Mapping[SizeName, int]] = {"x1": 64, "x2": 128, "x4": 256, "small": 34}


def _row(
    name: str,
    block: Callable[[int], Block],
    arm: tuple[float, float, float],
    gpu: tuple[int, int, int],
) -> Row:
    return Row(name=name, block=block, arm=arm, gpu=gpu)


def _fragments(count: int, *, parallel: bool = False) -> Callable[[int], Block]:
    return partial(fragmented_block, fragments=count, parallel=parallel)


def _unit(*, relu: bool, shortcut: bool) -> Callable[[int], Block]:
    return partial(bottleneck, relu=relu, shortcut=shortcut)


GUIDELINES: Final[Mapping[GuidelineName, Guideline]] = {
    "g1": Guideline(
        title="Equal channel width minimizes memory access cost",
        varied="c1:c2",
        widths=_NARROW,
        rows=(
            _row("1:1", partial(ratio_block, ratio=1), (76.2, 21.7, 5.3), (1480, 723, 232)),
            _row("1:2", partial(ratio_block, ratio=2), (72.9, 20.5, 5.1), (1296, 586, 206)),
            _row("1:6", partial(ratio_block, ratio=6), (69.1, 17.9, 4.6), (876, 489, 189)),
            _row("1:12", partial(ratio_block, ratio=12), (57.6, 15.1, 4.4), (748, 392, 163)),
        ),
    ),
    "g2": Guideline(
        title="Excessive group convolution increases memory access cost",
        varied="groups",
        widths=_WIDE,
        rows=(
            _row("1", partial(grouped_block, groups=1), (40.0, 10.2, 2.3), (2451, 1289, 437)),
            _row("2", partial(grouped_block, groups=2), (35.0, 9.5, 2.2), (1725, 873, 341)),
            _row("4", partial(grouped_block, groups=4), (32.9, 8.7, 2.1), (1026, 644, 338)),
            _row("8", partial(grouped_block, groups=8), (27.8, 7.5, 1.8), (634, 445, 230)),
        ),
        layers=2,
    ),
    "g3": Guideline(
        title="Network fragmentation reduces degree of parallelism",
        varied="fragments",
        widths=_WIDE,
        rows=(
            _row("1", _fragments(1), (40.2, 10.1, 2.3), (2446, 1274, 434)),
            _row("2 series", _fragments(2), (38.6, 10.1, 2.2), (1790, 909, 336)),
            _row("4 series", _fragments(4), (38.4, 10.1, 2.3), (752, 745, 349)),
            _row("2 parallel", _fragments(2, parallel=True), (33.4, 9.1, 2.2), (1537, 803, 320)),
            _row("4 parallel", _fragments(4, parallel=True), (35.0, 8.4, 2.1), (691, 572, 292)),
        ),
    ),
    "g4": Guideline(
        title="Element-wise operations are non-negligible",
        varied="with",
        widths=_NARROW,
        rows=(
            _row(
                "ReLU, shortcut",
                _unit(relu=True, shortcut=True),
                (56.7, 16.9, 5.0),
                (2427, 2066, 1436),
            ),
            _row(
                "ReLU",
                _unit(relu=True, shortcut=False),
                (61.9, 18.8, 5.2),
                (2647, 2256, 1735),
            ),
            _row(
                "shortcut",
                _unit(relu=False, shortcut=True),
                (57.3, 18.2, 5.1),
                (2672, 2121, 1458),
            ),
            _row(
                "neither",
                _unit(relu=False, shortcut=False),
                (66.3, 20.2, 5.4),
                (2842, 2376, 1782),
            ),
        ),
        removes=True,
    ),
}
