"""What float16 has to hold, bounded from above, and refused where it cannot."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from networks import Graph, noise
from onnx import TensorProto, helper, shape_inference

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant.half_range import half_range
from edgeshuffle.errors import ModelError
from edgeshuffle.progress import silent

SIZE = 8


def model(change=np.copy):
    """A network whose first convolution has weights that a function makes of (4, 3, 3, 3)."""
    graph = Graph(size=SIZE)
    made = to_ir(graph.classifier(graph.relu(graph.conv("input", 4, 3))))
    run_passes(made)
    conv = next(node for node in made.graph if node.op_type == "Conv")
    weight = change(conv.inputs[1].const_value.numpy())
    conv.inputs[1].const_value = ir.tensor(weight)
    return made


def test_a_sum_is_bounded_in_any_order():
    """Of an image of ones, the magnitudes of weights and bias."""
    made = model(lambda weight: 100 * weight)
    conv = next(node for node in made.graph if node.op_type == "Conv")
    weight, bias = (abs(value.const_value.numpy()) for value in conv.inputs[1:])
    ones = np.full((1, 3, SIZE, SIZE), 40, np.float32)
    found = half_range(made, [ones], silent)
    assert found.images == 1
    expected = (40 * weight.sum((1, 2, 3)) + bias).max()
    assert found.largest_sum == pytest.approx(expected, rel=0.006)
    assert 40 <= found.largest_value < found.largest_sum


def test_a_weight_beyond_it_is_refused():
    def one(weight):
        changed = weight.copy()
        changed[0, 0, 0, 0] = 1e5
        return changed

    with pytest.raises(ModelError, match=r"`fp16`: numbers of '.*' reach .*e\+05, and float16"):
        half_range(model(one), [], silent)


def test_a_sum_beyond_it_is_refused_although_it_ends_small():
    """Large parts that cancel each other."""

    def cancelling(weight):
        changed = np.zeros_like(weight)
        changed[:, :, :, 0], changed[:, :, :, 2] = 500, -500
        return changed

    image = np.full((1, 3, SIZE, SIZE), 10, np.float32)
    made = model(cancelling)
    with pytest.raises(ModelError, match=r"sums of '.*' reach 9e\+04"):
        half_range(made, [image], silent)
    assert half_range(made, [0 * image], silent).largest_sum < 65_504


def test_numbers_of_classes_are_none_of_it():
    """They are integers, on whichever way to the end."""
    graph = Graph(size=SIZE)
    proto = graph.classifier(graph.relu(graph.conv("input", 4, 3)))
    logits = proto.graph.output[0].name
    proto.graph.node.append(helper.make_node("ArgMax", [logits], ["class"], axis=1))
    proto.graph.node.append(helper.make_node("Flatten", ["class"], ["flat"]))
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.INT64, None))
    made = to_ir(shape_inference.infer_shapes(proto))
    run_passes(made)
    assert half_range(made, [], silent).largest_sum > 0


def test_noise_is_the_same_each_time():
    assert half_range(model(), [], silent) == half_range(model(), [], silent)
    assert half_range(model(), [noise(SIZE)], silent).random_images == 4
