from __future__ import annotations

import pytest
from onnx import helper

from edgeshuffle.runner.inspect.onnx_kinds import kind_of
from edgeshuffle.runner.operators import known


@pytest.mark.parametrize(
    ("op", "inputs", "name", "data", "weights"),
    [
        ("Conv", "xwb", "Conv", "x", "wb"),
        ("Conv", "xw", "Conv", "x", "w"),
        ("QLinearConv", "xszwszszb", "Conv", "x", "wb"),
        ("QLinearMatMul", "xszwszsz", "MatMul", "x", "xw"),
        ("QGemm", "xszwszb", "Gemm", "x", "wb"),
        ("QLinearConcat", "szastbstcst", "Concat", "abc", ""),
        ("Concat", "abc", "Concat", "abc", ""),
        ("ConvTranspose", "xwb", "ConvTranspose", "x", "wb"),
        ("BatchNormalization", "xabcd", "BatchNormalization", "x", "abcd"),
        ("Strange", "xy", "Strange", "x", ""),
    ],
)
def test_what_a_node_reads(op, inputs, name, data, weights):
    kind = kind_of(helper.make_node(op, list(inputs), ["y"]))
    assert (kind.name, "".join(kind.data), "".join(kind.weights)) == (name, data, weights)


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "macs"),
    [
        ("Conv", ((1, 6, 8, 8), (4, 3, 3, 3)), (1, 4, 8, 8), 4 * 64 * 27),
        ("MatMul", ((2, 3), (3, 5)), (2, 5), 30),
        ("MatMul", ((7, 2, 3), (7, 3, 5)), (7, 2, 5), 7 * 30),
        ("MatMul", ((3,), (3, 5)), (5,), 15),
        ("MatMul", ((2, 3), (3,)), (2,), 6),
        ("MatMul", ((0, 3), (3, 5)), (0, 5), 0),
        ("Gemm", ((2, 3), (5, 3)), (2, 5), 30),
        ("Gemm", ((3, 2), (3, 5)), (2, 5), 30),
        ("Relu", ((2, 3),), (2, 3), 0),
    ],
)
def test_multiply_accumulates_follow_from_shapes(kind, inputs, output, macs):
    operator = known(kind)
    assert operator.macs(inputs, output) == macs
    assert operator.multiplies or macs == 0


def test_what_the_converter_has_no_operator_for_is_unknown():
    assert known("ConvTranspose") is None
