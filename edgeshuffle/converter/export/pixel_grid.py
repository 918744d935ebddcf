"""Integers by which a depthwise convolution makes an INT8 model's input of pixels, to the bit.

A pixel p of channel c becomes rint(A p + B) + zero point, with A = 1 / (255 std scale) and
B = -mean / (std scale). A depthwise convolution of one weight gives rint(m (w p + b)) + zero point,
with whole w and b and a real m, the same for

    A = m w,   |B - m b| <= how far A p + B stays from where rounding changes, for every p

which is about 1/256, and m = A / w is about 1/127: nearly every second w has such a b.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from edgeshuffle.converter.plan import QMAX, QMIN, QConv, QParams

if TYPE_CHECKING:
    from edgeshuffle.artifact import Preprocess

# Scale 1, so that a pixel stands for its number.
PIXELS: Final = QParams(1.0, QMIN)
LEVELS: Final = np.arange(256)
# Beyond, no mean of pixels lies; sums stay in int32.
_FAR: Final = 2**30


class _Channel(NamedTuple):
    """Weight, bias and the weight's scale of one channel; what each pixel becomes, and how many of
    them another integer than is wanted.
    """

    weight: int
    bias: int
    scale: np.float32
    made: np.ndarray
    wrong: int


def pixel_conv(preprocess: Preprocess, params: QParams) -> QConv:
    """A depthwise convolution, (C, 1, 1, 1), of `PIXELS` to the input's `params`."""
    found = _channels(preprocess, params)
    scales = np.array([one.scale for one in found], np.float32)
    weight = np.array([one.weight for one in found], np.int8).reshape(-1, 1, 1, 1)
    bias = np.array([one.bias for one in found], np.int32)
    return QConv(weight, scales, bias, scales)


def other_levels(preprocess: Preprocess, params: QParams) -> int:
    """How many of the 256 C pixels become another integer than without the convolution: none but
    where the input's own grid puts many just between two, and float32 decides.
    """
    return sum(one.wrong for one in _channels(preprocess, params))


def levels_of(preprocess: Preprocess, params: QParams | None) -> np.ndarray:
    """What a file makes of each pixel in each channel, (C, 256) float32: with `params`, the reals
    that its integers stand for.
    """
    if params is None:
        return normalised_levels(preprocess)
    return params.dequantize(np.stack([one.made for one in _channels(preprocess, params)]))


def normalised_levels(preprocess: Preprocess) -> np.ndarray:
    """What each pixel becomes in each channel, (C, 256) float32, as `dataset.prepare` does it."""
    mean, std = (
        np.array(values, np.float32)[:, None] for values in (preprocess.mean, preprocess.std)
    )
    made: np.ndarray = (LEVELS.astype(np.float32) / np.float32(255) - mean) / std
    return made


@lru_cache(maxsize=4)
def _channels(preprocess: Preprocess, params: QParams) -> tuple[_Channel, ...]:
    wanted = params.quantize(normalised_levels(preprocess))
    return tuple(
        _channel(row, mean, std, params)
        for row, mean, std in zip(wanted, preprocess.mean, preprocess.std, strict=True)
    )


def _channel(wanted: np.ndarray, mean: float, std: float, params: QParams) -> _Channel:
    """The best of all weights with the biases next to the real one, as runtimes compute them: sums
    in int32, one float32 factor, rounding to nearest.
    """
    slope, offset = 1 / (255 * std * params.scale), -mean / (std * params.scale)
    weight = np.repeat(np.arange(1, QMAX + 1), 2)
    bias = np.clip(np.floor(offset * weight / slope), -_FAR, _FAR).astype(np.int64)
    bias[1::2] += 1
    scale = (slope / weight * params.scale).astype(np.float32)
    factor = scale / np.float32(params.scale)
    sums = weight[:, None] * LEVELS + bias[:, None]
    real = sums.astype(np.float32) * factor[:, None]
    made = np.clip(np.rint(real) + params.zero_point, QMIN, QMAX)
    wrong = (made != wanted).sum(axis=1)
    margin = np.abs(real - np.floor(real) - 0.5).min(axis=1)
    best = int(np.lexsort((-margin, wrong))[0])
    return _Channel(
        weight=int(weight[best]),
        bias=int(bias[best]),
        scale=scale[best],
        made=made[best].astype(np.int8),
        wrong=int(wrong[best]),
    )
