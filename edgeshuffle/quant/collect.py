"""Run the float graph on calibration images and find each group's range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort

from edgeshuffle.errors import DataError
from edgeshuffle.quant.calibrators import CALIBRATORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgeshuffle.quant.ties import Group


def collect(
    model: ir.Model,
    groups: Sequence[Group],
    images: Iterable[np.ndarray],
    calibrator: str,
    progress: Callable[[], None] | None = None,
) -> list[tuple[float, float]]:
    """One (low, high) real range a group; ONNX Runtime is the reference. Raises DataError."""
    proto = ir.to_proto(model)
    wanted = [value.name or "" for group in groups for value in group.sources]
    given = {value.name for value in proto.graph.output} | {model.graph.inputs[0].name}
    proto.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in wanted
        if name not in given
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    feed = session.get_inputs()[0].name
    calibrators = [CALIBRATORS[calibrator].make() for _ in groups]
    seen = 0
    for image in images:
        values = dict(zip(names, session.run(names, {feed: image}), strict=True))
        values[feed] = image
        for group, found in zip(groups, calibrators, strict=True):
            arrays = [values[source.name].reshape(-1) for source in group.sources]
            found.update(np.concatenate(arrays))
        seen += 1
        if progress is not None:
            progress()
    if seen == 0:
        raise DataError("There are no calibration images. Give some with --calib.")
    return [found.range() for found in calibrators]
