"""Every pass on real ShuffleNetV2s: float-equal to the exported network in ONNX Runtime."""

from __future__ import annotations

import pytest
import torch
from networks import network, noise, relative_error, run_ir, run_onnx

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.frontend.torch_module import to_onnx
from edgeshuffle.converter.passes import PASSES, run_passes

pytestmark = pytest.mark.slow

# Units times two: each reads half its input in new order and joins its two halves for the next.
SPLITS = CONCATS = 16


@pytest.mark.parametrize(
    ("width", "num_classes", "stem", "resolution"),
    [
        (0.5, 1000, "imagenet", 224),
        (0.5, 10, "cifar", 32),
        (1.0, 10, "imagenet", 160),
        (1.0, 100, "cifar", 64),
        (1.5, 37, "imagenet", 96),
        (1.5, 2, "cifar", 48),
        (2.0, 1000, "imagenet", 128),
        (2.0, 5, "cifar", 40),
    ],
)
def test_every_pass_keeps_the_result(width, num_classes, stem, resolution):
    module = network(width, num_classes, stem)
    image = noise(resolution)
    with torch.no_grad():
        expected = module(torch.from_numpy(image)).numpy()
    proto = to_onnx(module, (3, resolution, resolution))
    assert relative_error(expected, run_onnx(proto, image)) < 1e-5
    model = to_ir(proto)
    seen = []

    def check(name, changed):
        assert relative_error(expected, run_ir(changed, image)) < 1e-5, name
        assert PASSES[name].run(changed).rewrites == 0, f"{name} finds more in a second run"
        seen.append(name)

    run_passes(model, after=check)
    assert seen == list(PASSES)
    ops = [node.op_type for node in model.graph]
    assert not {"Transpose", "Reshape", "Gather", "BatchNormalization", "Gemm"} & set(ops)
    assert ops.count("Split") + ops.count("Slice") <= SPLITS
    assert ops.count("Concat") == CONCATS
    assert ops.count("Conv") == 57
