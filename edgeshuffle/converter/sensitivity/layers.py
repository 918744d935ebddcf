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


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """One convolution in INT8, by the name of its output, and all others in float.

    `kind` is `dense`, `pointwise` or `depthwise`, `macs` counts multiply-accumulates an image.
    `sqnr_db` is the signal to quantization noise ratio of the logits, None without any,
    `noise_share` the percentage of the sum of all layers' quantization noise, and `agreement` the
    percentage of images with the float model's largest class.
    """

    name: str
    kind: str
    macs: int
    sqnr_db: float | None
    noise_share: float
    agreement: float


def logits(run: OnnxSession, images: Iterable[np.ndarray]) -> np.ndarray:
    """Logits (n, num_classes) of float32 (1, 3, R, R) images."""
    return np.stack([run(image) for image in images])


def rank(
    model: ir.Model,
    plan: QuantPlan,
    images: Sequence[np.ndarray],
    expected: np.ndarray,
    progress: Callable[[int, int], None],
) -> tuple[LayerSensitivity, ...]:
    """Layers of the plan, the most sensitive first; `expected` are the float model's logits."""
    nodes = [node for node in model.graph if (node.outputs[0].name or "") in plan.convs]
    noises, agreements = [], []
    for done, node in enumerate(nodes):
        progress(done, len(nodes))
        found = logits(OnnxSession(model, plan.only([node.outputs[0].name or ""])), images)
        noises.append(energies(expected, found)[1])
        agreements.append(agreement(expected, found))
    progress(len(nodes), len(nodes))
    signal, total = energies(expected, expected)[0], sum(noises) or 1.0
    layers = [
        LayerSensitivity(
            name=node.outputs[0].name or "",
            kind=kind_of(node),
            macs=operator_of(node).cost(node).macs,
            sqnr_db=none_if_equal(decibels(signal, noise)),
            noise_share=100 * noise / total,
            agreement=agreed,
        )
        for node, noise, agreed in zip(nodes, noises, agreements, strict=True)
    ]
    return tuple(sorted(layers, key=lambda layer: -layer.noise_share))
