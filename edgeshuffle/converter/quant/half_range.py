"""Whether a float network can be computed in float16, whose largest number is 65,504.

With products w x of a convolution added up in float16, in an order that only the runtime knows, no
part of the sum is larger than

    |b| + sum |w| |x|

which is what the same convolution gives of magnitudes. That bound, the weights and all values of
the network are looked at on images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact.half_range import HalfRange
from edgeshuffle.converter import graph as g
from edgeshuffle.converter.operators.conv import convolve
from edgeshuffle.converter.operators.move import argument
from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import onnx_ir as ir

    from edgeshuffle.progress import Progress

LARGEST: Final = 65_504.0
# Other images go further than those that were seen.
NEAR: Final = LARGEST / 4
RANDOM_IMAGES: Final = 4
SEED: Final = 2018


def half_range(model: ir.Model, images: Sequence[np.ndarray], progress: Progress) -> HalfRange:
    """What the network reaches on images (1, C, H, W) and on seeded noise.

    Raises ModelError, with the place, where float16 does not hold it, and for NaN and infinity.
    """
    random = np.random.default_rng(SEED)
    shape = g.shape_of(model.graph.inputs[0])
    noise = [random.standard_normal(shape, dtype=np.float32) for _ in range(RANDOM_IMAGES)]
    values = dict(_weights(model))
    sums: dict[str, float] = {}
    convs = [node for node in model.graph if node.op_type == "Conv"]
    made = (value for node in model.graph for value in node.outputs)
    run = FloatRun(model, [value.name or "" for value in made if g.is_float(value)])
    for done, image in enumerate((*noise, *images)):
        progress("ranges", done, len(noise) + len(images))
        found = run(image)
        _raise_to(values, ((name, _largest(value)) for name, value in found.items()))
        _raise_to(sums, ((node.outputs[0].name or "", _sum(node, found)) for node in convs))
    largest = max(values, key=lambda name: values[name])
    widest = max(sums, key=lambda name: sums[name], default=None)
    top = 0.0 if widest is None else sums[widest]
    for what, where, reached in (("numbers", largest, values[largest]), ("sums", widest, top)):
        if reached > LARGEST:
            raise ModelError(
                f"`fp16`: {what} of '{where}' reach {reached:.3g}, and float16 ends at "
                f"{LARGEST:.0f}. Leave `fp16` out, or normalise the input to a smaller range."
            )
    return HalfRange(
        images=len(images),
        random_images=RANDOM_IMAGES,
        seed=SEED,
        # The last digits depend on how a machine adds up.
        largest_value=float(f"{values[largest]:.3g}"),
        largest_sum=float(f"{top:.3g}"),
    )


def _weights(model: ir.Model) -> Iterator[tuple[str, float]]:
    for name, value in model.graph.initializers.items():
        array = g.constant(value)
        if array is not None and array.dtype == np.float32:
            yield name, _largest(array)


def _sum(node: ir.Node, found: dict[str, np.ndarray]) -> float:
    """The most that a part of a sum of a Conv can be."""
    import torch

    source, weight, bias = node.inputs[0], argument(node, 1), argument(node, 2)
    assert source is not None
    assert weight is not None
    x, w, b = (
        None if array is None else torch.from_numpy(np.abs(array))
        for array in (found[source.name or ""], weight, bias)
    )
    assert x is not None
    assert w is not None
    return float(convolve(node, x, w, b).max())


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0))


def _raise_to(known: dict[str, float], found: Iterable[tuple[str, float]]) -> None:
    for name, value in found:
        known[name] = max(known.get(name, 0.0), value)
