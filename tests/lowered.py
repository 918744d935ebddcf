"""What lowering must not change: the outputs of both formats' files, float and INT8."""

from __future__ import annotations

import numpy as np
from networks import relative_error

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.lower import lower

RUNTIME_OF = {"onnx": "ort", "tflite": "litert"}


def outputs(folder, name, model, plan, images, **choices):
    """The first output for each image."""
    path = folder / f"model{EMITTERS[name].SUFFIX}"
    path.write_bytes(EMITTERS[name].emit(model, plan, **choices).data)
    session = RUNTIMES[RUNTIME_OF[name]].open_session(str(path), 1)
    return np.stack([session.run(image)[0].reshape(-1) for image in images])


def check_lowering(folder, model, quantized, lowering, images):
    """Assert that files are the same with the lowering, INT8 to the bit; return what was made."""
    counts = lower(model, None, lowering).counts
    assert counts == lower(quantized.model, quantized.plan, lowering).counts
    for name in EMITTERS:
        for graph, plan in ((model, None), (quantized.model, quantized.plan)):
            made = lower(graph, plan, lowering)
            one = outputs(folder, name, graph, plan, images)
            other = outputs(folder, name, made.model, made.plan, images)
            if plan is None:
                assert relative_error(one, other) < 1e-5, name
            else:
                assert np.array_equal(one, other), name
    return counts
