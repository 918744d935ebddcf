"""The graph of a model that reads pixels: normalisation inside, and probabilities at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx_ir as ir

from edgeshuffle.converter import graph as g
from edgeshuffle.converter.export.pixel_grid import PIXELS, pixel_conv
from edgeshuffle.converter.lower.draft import Draft
from edgeshuffle.converter.lower.view import can_view, view
from edgeshuffle.converter.operators import operator_of
from edgeshuffle.converter.plan import QConv, QuantPlan

if TYPE_CHECKING:
    from edgeshuffle.artifact import Preprocess

INPUT: Final = "pixels"
PROBABILITIES: Final = "probabilities"


def with_pixels(
    model: ir.Model,
    plan: QuantPlan | None,
    preprocess: Preprocess,
    format_name: str,
    *,
    softmax: bool,
) -> tuple[ir.Model, QuantPlan | None]:
    """A copy that reads pixels of 0 to 255, with `softmax` of the logits that it gives.

    They are normalised before anything pads them, so that borders stay what they are. How, is what
    takes the fewest instructions in the format's runtime.
    """
    taken = g.free_name(model.graph, INPUT)
    draft = Draft(model, None if plan is None else _knowing(plan, taken))
    graph = draft.graph
    (normalised,) = graph.inputs
    pixels = g.new_value(taken, g.shape_of(normalised))
    graph.inputs[:] = [pixels]
    conv = None
    if plan is not None:
        conv = pixel_conv(preprocess, plan.activations[normalised.name or ""])
    if plan is None and format_name == "onnx":
        _scale_and_add(draft, pixels, normalised, preprocess)
    else:
        _convolve(draft, pixels, normalised, preprocess, conv)
    if softmax:
        _classify(draft)
    return draft.model, draft.plan


def _knowing(plan: QuantPlan, pixels: str) -> QuantPlan:
    return replace(plan, activations={**plan.activations, pixels: PIXELS})


def _factors(preprocess: Preprocess) -> tuple[np.ndarray, np.ndarray]:
    """Of a pixel and to be added, (C,) float32 each."""
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)
    return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


def _scale_and_add(
    draft: Draft, pixels: ir.Value, normalised: ir.Value, preprocess: Preprocess
) -> None:
    """Mul and Add, which ONNX Runtime computes a whole channel at once."""
    factor, offset = _factors(preprocess)
    scaled = draft.value(f"{pixels.name}_scaled", g.shape_of(pixels), pixels)
    first = draft.graph[0]
    for kind, source, array, result in (
        ("Mul", pixels, factor, scaled),
        ("Add", scaled, offset, normalised),
    ):
        name = f"{result.name}_{kind.lower()}"
        constant = g.new_constant(draft.graph, name, array.reshape(1, -1, 1, 1))
        draft.insert(kind, [source, constant], result, first)


def _convolve(
    draft: Draft,
    pixels: ir.Value,
    normalised: ir.Value,
    preprocess: Preprocess,
    conv: QConv | None,
) -> None:
    """A depthwise convolution of one weight a channel.

    It reads a row of an image as one pixel of as many channels as the row has numbers: kernels
    compute channels side by side, and there are few in a pixel.
    """
    first = draft.graph[0]
    _, channels, height, width = g.shape_of(pixels)
    count = width if can_view(pixels) else 1
    weight, bias = (np.tile(one, count) for one in _factors(preprocess))
    if conv is not None:
        conv = QConv(
            weight=np.tile(conv.weight, (count, 1, 1, 1)),
            scales=np.tile(conv.scales, count),
            bias=np.tile(conv.bias, count),
            bias_scales=np.tile(conv.bias_scales, count),
        )
    if count == 1:
        draft.depthwise(pixels, weight, bias, conv, normalised, first)
        return
    rows = view(draft, pixels, (1, height, width * channels), f"{pixels.name}_rows", first)
    made = draft.value(f"{normalised.name}_rows", g.shape_of(rows), normalised)
    draft.depthwise(rows, weight, bias, conv, made, first)
    name = f"{normalised.name}_pixels"
    view(draft, made, (height, width, channels), name, first, normalised)


def _classify(draft: Draft) -> None:
    """Probabilities of the classes, along the axis that an image has them on."""
    (logits,) = draft.graph.outputs
    shape = g.shape_of(logits)
    axis = 1 + int(np.argmax(shape[1:]))
    made = g.new_value(PROBABILITIES, shape, draft.graph)
    node = ir.Node(
        "", "Softmax", [logits], [ir.AttrInt64("axis", axis)], outputs=[made], name=PROBABILITIES
    )
    draft.graph.append(node)
    draft.graph.outputs[:] = [made]
    draft.know(made, operator_of(node).grid(node))
