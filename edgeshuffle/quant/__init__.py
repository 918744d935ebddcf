"""Post-training INT8 quantization: float graph and images to one plan that every format follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    import onnx_ir as ir

    from edgeshuffle.quant.plan import QuantPlan, Recipe


def quantize(
    model: ir.Model,
    images: Iterable[np.ndarray],
    recipe: Recipe,
    progress: Callable[[], None] | None = None,
) -> QuantPlan:
    """Run the float model on `images` ((1, 3, R, R) float32 each) and plan its INT8 form.

    Raises DataError without images. `progress` is called after each image.
    """
    from edgeshuffle.quant.assign import assign  # noqa: PLC0415
    from edgeshuffle.quant.collect import collect  # noqa: PLC0415
    from edgeshuffle.quant.ties import tie  # noqa: PLC0415

    groups = tie(model.graph)
    ranges = collect(model, groups, images, recipe.calibrator, progress)
    return assign(model.graph, groups, ranges)
