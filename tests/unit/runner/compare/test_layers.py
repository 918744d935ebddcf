"""When a layer is wrong: too much error against float, or formats that are steps apart."""

from __future__ import annotations

import numpy as np
import pytest

from edgeshuffle.errors import ModelError
from edgeshuffle.runner.compare.layers import LayerErrors, StepDifference
from edgeshuffle.runner.compare.quantization_error import QuantizationError


def layer(*, operator="Conv", between=None, **found):
    errors = {}
    for kind, factor in found.items():
        errors[kind] = QuantizationError(same_values=True)
        errors[kind].add(np.full((1, 10), 1.0), np.full((1, 10), factor))
    return LayerErrors(
        name="made", operator=operator, of_float=errors, between=between or StepDifference()
    )


def test_a_ratio_below_the_limit_is_wrong():
    # An error of a tenth is 20 dB.
    assert layer(onnx=1.1).judged(19.9, 2).wrong is None
    judged = layer(onnx=1.1, tflite=1.0).judged(20.1, 2)
    assert judged.wrong == "onnx has 20.0 dB of 20.1"
    assert judged.sqnr_db["tflite"] is None
    assert judged.sqnr_db["onnx"] == pytest.approx(20)


def test_steps_beyond_the_limit_are_wrong():
    between = StepDifference()
    between.add(np.array([-128, 0, 5], np.int8), np.array([127, 0, 4], np.int8))
    between.add(np.array([1, 1, 1], np.int8), np.array([1, 1, 1], np.int8))
    judged = layer(onnx=1.0, between=between).judged(10, 254)
    assert (judged.steps, judged.differing) == (255, pytest.approx(100 / 3))
    assert judged.wrong == "the formats are 255 steps apart, of 254"
    assert layer(onnx=1.0, between=between).judged(10, 255).wrong is None


def test_one_format_has_no_steps():
    judged = layer(onnx=1.0).judged(10, 0)
    assert (judged.steps, judged.differing, judged.wrong) == (None, None, None)


@pytest.mark.parametrize(
    ("operator", "moves"), [("Concat", True), ("MaxPool", True), ("Conv", False)]
)
def test_what_only_moves_is_told_apart(operator, moves):
    assert layer(operator=operator, onnx=1.0).judged(10, 2).moves == moves


def test_an_error_where_float_is_zero_throughout_is_no_ratio():
    error = QuantizationError(same_values=True)
    error.add(np.zeros((1, 4)), np.ones((1, 4)))
    judged = LayerErrors(name="made", operator="Conv", of_float={"onnx": error}).judged(-100, 2)
    assert judged.sqnr_db == {}
    assert "not zero where float is zero" in judged.wrong


def test_a_layer_of_nan_is_named():
    with pytest.raises(ModelError, match="'made' holds NaN"):
        layer(onnx=float("nan")).judged(10, 2)
