"""fp16 files on emulated boards: where fp16 arithmetic is, it is used, and holds what it has to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from networks import Graph, noise, relative_error

from edgeshuffle.converter.export.files import Form, write_models
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.lower.measure import measure
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.progress import silent

pytestmark = pytest.mark.device

SIZE = 32


def prepared():
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 64, 3))
    model = to_ir(graph.classifier(graph.relu(graph.conv(graph.relu(graph.conv(x, 64)), 64))))
    run_passes(model)
    return model


def written(model, folder):
    """fp32 and fp16."""
    forms = [Form("fp32", model, None), Form("fp16", model, None)]
    files = write_models(forms, "small", {"tflite": {}}, folder)
    return [(file, Path(folder) / file.path) for file in files]


def outputs(device, file, path, image):
    session = open_agent(device, file, path)
    try:
        return session.run(image, [(1, 5)])[0]
    finally:
        session.close()


def test_a_pi_5_computes_in_fp16_and_a_pi_4_does_not(tmp_path):
    files = written(prepared(), tmp_path)
    for board, least, most in (("pi5", 0.0, 0.7), ("pi4", 0.97, 1.03)):
        with open_device(f"emulated://{board}") as device:
            unit, (plain, half) = measure(device, files, silent)
            assert unit == "instructions"
            assert least < half.value / plain.value < most
            one, other = (outputs(device, *file, noise(SIZE)) for file in files)
            assert 0 < relative_error(one, other) < 2e-2


def test_means_are_added_up_beyond_float16(tmp_path):
    """The sum of the pixels of a channel, 1024 times 1000."""
    model = prepared()
    last = [node for node in model.graph if node.op_type == "Conv"][2]
    for place, value in ((1, 0.0), (2, 1000.0)):
        shape = last.inputs[place].const_value.numpy().shape
        last.inputs[place].const_value = ir.tensor(np.full(shape, value, np.float32))
    files = written(model, tmp_path)
    with open_device("emulated://pi5") as device:
        one, other = (outputs(device, *file, noise(SIZE)) for file in files)
    assert np.abs(one).max() > 1000
    assert relative_error(one, other) < 5e-3
