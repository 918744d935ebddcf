"""Run the float graph on calibration images and find each group's range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.float_run import FloatRun
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import onnx_ir as ir

    from edgeshuffle.converter.quant.ties import Group


def collect(
    model: ir.Model,
    groups: Sequence[Group],
    images: Iterable[np.ndarray],
    calibrator: str,
    progress: Callable[[int], None] | None = None,
) -> list[tuple[float, float]]:
    """One (low, high) real range a group. Raises DataError and ModelError (NaN, infinity)."""
    run = FloatRun(model, [value.name or "" for group in groups for value in group.sources])
    calibrators = [CALIBRATORS[calibrator].make() for _ in groups]
    seen = 0
    for image in images:
        values = run(image)
        for group, found in zip(groups, calibrators, strict=True):
            arrays = [values[source.name or ""].reshape(-1) for source in group.sources]
            found.update(np.concatenate(arrays))
        seen += 1
        if progress is not None:
            progress(seen)
    if seen == 0:
        raise DataError("There are no calibration images. Give some with --calib.")
    return [found.range() for found in calibrators]
