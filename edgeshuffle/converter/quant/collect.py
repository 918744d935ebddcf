"""Run the float graph on calibration images and find each group's range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.converter.quant.images import count_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.quant.images import Images
    from edgeshuffle.converter.quant.ties import Group


def collect(
    model: ir.Model,
    groups: Sequence[Group],
    images: Images,
    calibrator: str,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[float, float]]:
    """One (low, high) real range a group. Raises DataError and ModelError (NaN, infinity)."""
    run = FloatRun(model, [value.name or "" for group in groups for value in group.sources])
    calibrators = [CALIBRATORS[calibrator].make() for _ in groups]
    count_images(images)
    for seen, image in enumerate(images, 1):
        values = run(image)
        for group, found in zip(groups, calibrators, strict=True):
            arrays = [values[source.name or ""].reshape(-1) for source in group.sources]
            found.update(np.concatenate(arrays))
        if progress is not None:
            progress(seen)
    return [found.range() for found in calibrators]
