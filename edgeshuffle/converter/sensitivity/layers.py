"""Each convolution in INT8 while all others are floats, run in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter.emit.onnx_session import OnnxSession
from edgeshuffle.converter.operators import operator_of
from edgeshuffle.converter.operators.conv import kind_of
from edgeshuffle.metrics import agreement, decibels, energies, none_if_equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.plan import QuantPlan

    Outputs = list[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """One convolution in INT8, by the name of its output, and all others in float.

    `kind` is `dense`, `pointwise` or `depthwise`, `macs` counts multiply-accumulates an image.
    `sqnr_db` is the signal to quantization noise ratio of the outputs, None without any noise,
    `noise_share` the percentage of the sum of all layers' quantization noise, and `agreement` the
    percentage of images with the float model's largest class, None of what is no classifier.
    """

    name: str
    kind: str
    macs: int
    sqnr_db: float | None
    noise_share: float
    agreement: float | None


def outputs(run: OnnxSession, images: Iterable[np.ndarray]) -> Outputs:
    """Each output's values (n, ...) for float32 (1, C, H, W) images."""
    rows = [run.outputs(image) for image in images]
    return [np.stack(values) for values in zip(*rows, strict=True)]


def noise(expected: Outputs, found: Outputs) -> float:
    """Quantization noise over signal, the mean of all outputs that have a signal."""
    each = [energies(one, other) for one, other in zip(expected, found, strict=True)]
    return float(np.mean([error / signal for signal, error in each if signal]))


def agreed(expected: Outputs, found: Outputs, *, classifies: bool) -> float | None:
    """Percent of the images with the same largest class, of a classifier."""
    return agreement(expected[0], found[0]) if classifies else None


def rank(
    model: ir.Model,
    plan: QuantPlan,
    images: Sequence[np.ndarray],
    expected: Outputs,
    progress: Callable[[int, int], None],
    *,
    classifies: bool,
) -> tuple[LayerSensitivity, ...]:
    """Layers of the plan, the most sensitive first; `expected` is what the float model gives."""
    nodes = [node for node in model.graph if (node.outputs[0].name or "") in plan.convs]
    noises, agreements = [], []
    for done, node in enumerate(nodes):
        progress(done, len(nodes))
        found = outputs(OnnxSession(model, plan.only([node.outputs[0].name or ""])), images)
        noises.append(noise(expected, found))
        agreements.append(agreed(expected, found, classifies=classifies))
    progress(len(nodes), len(nodes))
    total = sum(noises) or 1.0
    layers = [
        LayerSensitivity(
            name=node.outputs[0].name or "",
            kind=kind_of(node),
            macs=operator_of(node).cost(node).macs,
            sqnr_db=none_if_equal(decibels(1.0, alone)),
            noise_share=100 * alone / total,
            agreement=same,
        )
        for node, alone, same in zip(nodes, noises, agreements, strict=True)
    ]
    return tuple(sorted(layers, key=lambda layer: -layer.noise_share))
