from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from networks import Graph, noise, relative_error, run_ir, run_onnx
from onnx import helper
from operator_check import check_model

from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import PASSES, run_passes
from edgeshuffle.converter.passes.outcome import Outcome
from edgeshuffle.errors import PassError


def ops(model):
    return [node.op_type for node in model.graph]


def add_norm(graph, x):
    c = graph.channels[x]
    stats = [
        graph.random.uniform(0.5, 1.5, c),
        graph.random.standard_normal(c),
        graph.random.standard_normal(c),
        graph.random.uniform(0.1, 2, c),
    ]
    names = [graph.constant(stat.astype(np.float32)) for stat in stats]
    made = graph.add("BatchNormalization", x, *names, epsilon=1e-3)[0]
    return graph._like(made, x)


@pytest.mark.parametrize("with_bias", [True, False])
def test_batch_norm_folds_into_a_convolution(with_bias):
    graph = Graph()
    x = graph.conv("input", 6, 3)
    if not with_bias:
        del graph.nodes[-1].input[2]
    x = graph.relu(add_norm(graph, x))
    x = add_norm(graph, graph.depthwise(x))
    proto = graph.classifier(x)
    model = to_ir(proto)
    assert ops(model).count("BatchNormalization") == 2
    assert PASSES["fold_batchnorm"].run(model).rewrites == 2
    assert "BatchNormalization" not in ops(model)
    assert relative_error(run_onnx(proto, noise(8)), run_ir(model, noise(8))) < 1e-5
    assert PASSES["fold_batchnorm"].run(model).rewrites == 0


@pytest.mark.parametrize("branches", [False, True])
def test_a_batch_norm_that_cannot_fold_is_a_factor_and_an_offset(branches):
    graph = Graph()
    x = graph.conv("input", 6)
    x = graph.concat(x, add_norm(graph, x)) if branches else add_norm(graph, graph.relu(x))
    proto = graph.classifier(x)
    model = to_ir(proto)
    PASSES["fold_batchnorm"].run(model)
    assert [node.op_type for node in model.graph][1:4].count("Mul") == 1
    assert relative_error(run_onnx(proto, noise(8)), run_ir(model, noise(8))) < 1e-5


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_automatic_padding_becomes_numbers(mode, size, stride):
    graph = Graph(size=size)
    x = graph.conv("input", 4, 3, stride)
    node = graph.nodes[-1]
    kept = [a for a in node.attribute if a.name != "pads"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("auto_pad", mode)])
    proto = graph.model(graph.add("Relu", x)[0])
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    assert PASSES["explicit_padding"].run(model).rewrites == 1
    assert "auto_pad" not in next(iter(model.graph)).attributes
    np.testing.assert_allclose(
        run_onnx(proto, noise(size)), run_ir(model, noise(size)), rtol=1e-5, atol=1e-5
    )
    assert PASSES["explicit_padding"].run(model).rewrites == 0


@pytest.mark.parametrize("keepdims", [0, 1])
def test_a_mean_over_the_picture_becomes_a_pool(keepdims):
    graph = Graph()
    x = graph.conv("input", 4)
    proto = graph.model(graph.add("ReduceMean", x, graph.ints(-1, 2), keepdims=keepdims)[0])
    model = to_ir(proto)
    assert PASSES["keepdims_mean"].run(model).rewrites == 1
    assert "ReduceMean" not in ops(model)
    reference = run_onnx(proto, noise(8))
    assert run_ir(model, noise(8)).shape == reference.shape
    np.testing.assert_allclose(run_ir(model, noise(8)), reference, rtol=1e-5, atol=1e-6)
    assert PASSES["keepdims_mean"].run(model).rewrites == 0


def test_an_average_pool_of_the_whole_picture_becomes_global():
    graph = Graph()
    x = graph.conv("input", 4)
    proto = graph.model(graph.add("AveragePool", x, kernel_shape=[8, 8])[0])
    model = to_ir(proto)
    assert PASSES["keepdims_mean"].run(model).rewrites == 1
    np.testing.assert_allclose(
        run_ir(model, noise(8)), run_onnx(proto, noise(8)), rtol=1e-5, atol=1e-6
    )


def test_a_mean_over_channels_is_left_alone():
    graph = Graph()
    x = graph.conv("input", 4)
    model = to_ir(graph.model(graph.add("ReduceMean", x, graph.ints(1))[0]))
    assert PASSES["keepdims_mean"].run(model).rewrites == 0


@pytest.mark.parametrize("keepdims", [0, 1, None])
def test_the_largest_of_the_picture_becomes_a_pool(tmp_path, keepdims):
    def largest(graph, x):
        if keepdims is None:
            return graph.add("GlobalMaxPool", x)[0]
        return graph.add("ReduceMax", x, graph.ints(-1, 2), keepdims=keepdims)[0]

    graph = Graph(size=16)
    x = graph.shuffle(graph.relu(graph.conv("input", 8)))
    x = graph.relu(graph.conv(x, 6))
    x = largest(graph, x)
    flat = x if keepdims == 0 else graph.add("Flatten", x)[0]
    weight = graph.constant(graph.random.standard_normal((6, 5)).astype(np.float32))
    proto = graph.model(graph.add("Gemm", flat, weight)[0])
    check_model(tmp_path, proto, steps=2, recipes=("fast",))


@pytest.mark.parametrize("between", [True, False])
def test_a_gather_by_one_number_each_becomes_one_of_channels(between):
    graph = Graph()
    x = graph.relu(graph.conv("input", 4))
    numbers = graph.constant(np.array([[2], [-4], [1], [3]]))
    if between:
        front = graph.add("Transpose", x, perm=[1, 0, 2, 3])[0]
        picked = graph.add("GatherND", front, numbers)[0]
        x = graph._like(graph.add("Transpose", picked, perm=[1, 0, 2, 3])[0], x)
    else:
        x = graph._like(graph.add("GatherND", x, graph.constant(np.array([[0]])))[0], x)
    proto = graph.model(graph.conv(x, 5))
    model = to_ir(proto)
    assert PASSES["usual_kinds"].run(model).rewrites == 1
    assert PASSES["usual_kinds"].ensures(model) is None
    assert "Transpose" not in ops(model)
    np.testing.assert_allclose(
        run_ir(model, noise(8)), run_onnx(proto, noise(8)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("spelling", ["gemm", "gemm_plain", "scaled", "matmul", "matmul_add"])
def test_classifiers_become_convolutions(spelling):
    graph = Graph()
    x = graph.conv("input", 6)
    flat = graph.add("Flatten", graph.add("GlobalAveragePool", x)[0])[0]
    weight = graph.random.standard_normal((6, 5)).astype(np.float32)
    bias = graph.constant(graph.random.standard_normal(5).astype(np.float32))
    if spelling == "gemm":
        out = graph.add("Gemm", flat, graph.constant(weight.T.copy()), bias, transB=1)[0]
    elif spelling == "gemm_plain":
        out = graph.add("Gemm", flat, graph.constant(weight))[0]
    elif spelling == "scaled":
        out = graph.add("Gemm", flat, graph.constant(weight), bias, alpha=0.5, beta=2.0)[0]
    else:
        out = graph.add("MatMul", flat, graph.constant(weight))[0]
        if spelling == "matmul_add":
            out = graph.add("Add", out, bias)[0]
    proto = graph.model(out)
    model = to_ir(proto)
    assert PASSES["gemm_to_conv"].run(model).rewrites == 1
    assert not {"Gemm", "MatMul", "Add"} & set(ops(model))
    np.testing.assert_allclose(
        run_ir(model, noise(8)), run_onnx(proto, noise(8)), rtol=1e-4, atol=1e-5
    )
    assert PASSES["gemm_to_conv"].run(model).rewrites == 0


def test_the_output_keeps_its_name_and_the_passes_their_order():
    graph = Graph()
    proto = graph.classifier(graph.shuffle(graph.conv("input", 6)))
    model = to_ir(proto)
    seen = []
    logs = run_passes(model, after=lambda name, _: seen.append(name))
    assert model.graph.outputs[0].name == proto.graph.output[0].name
    assert seen == list(PASSES) == [log.name for log in logs]


def test_a_pass_that_breaks_the_model_is_named(monkeypatch):
    graph = Graph()
    model = to_ir(graph.classifier(graph.conv("input", 6)))

    def cut(model):
        model.graph.outputs[0].name = ""
        raise ValueError("no such thing")

    monkeypatch.setattr(PASSES["keepdims_mean"], "run", cut)
    with pytest.raises(PassError, match="keepdims_mean failed after explicit_padding"):
        run_passes(model)


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_that_does_nothing_breaks_its_postcondition(monkeypatch, name):
    graph = Graph()
    x = graph.relu(add_norm(graph, graph.conv("input", 6, 3)))
    x = graph.conv(graph._like(graph.add("Pad", x, graph.ints(0, 0, 1, 1, 0, 0, 1, 1))[0], x), 6)
    numbers = [graph.constant(np.float32(n)) for n in (2, 0)]
    x = graph._like(graph.add("Div", x, numbers[0])[0], x)
    x = graph._like(graph.add("Clip", x, numbers[1])[0], x)
    x = graph.relu(graph.concat(x, graph.conv(x, 6)))
    x = graph.conv(x, 6)
    graph.sizes[x] += 2
    graph.nodes[0].attribute.remove(next(a for a in graph.nodes[0].attribute if a.name == "pads"))
    graph.nodes[0].attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))
    turned = np.eye(6, dtype=np.float32)[::-1, :, None, None].copy()
    x = graph._like(graph.add("Conv", x, graph.constant(turned))[0], x)
    heads = [graph.add("Sigmoid", part)[0] for part in graph.split(graph.conv(x, 5), 2, 3)]
    mean = graph.add("ReduceMean", graph.shuffle(x), graph.ints(2, 3), keepdims=0)[0]
    heads.append(graph.add("GlobalMaxPool", x)[0])
    out = graph.add("Gemm", mean, graph.constant(np.ones((6, 4), np.float32)))[0]
    model = ir.from_proto(onnx.shape_inference.infer_shapes(graph.model(out, *heads)))
    run_passes(model.clone())
    before = ", ".join(list(PASSES)[: list(PASSES).index(name)]) or "no other pass"
    monkeypatch.setattr(PASSES[name], "run", lambda model: Outcome(0))
    with pytest.raises(PassError, match=f"The pass {name}, after {before}, left its post"):
        run_passes(model)


def test_a_pass_that_breaks_what_another_ensured_is_named(monkeypatch):
    graph = Graph()
    model = to_ir(graph.classifier(graph.conv("input", 6, 3)))

    def pad_again(model):
        node = next(iter(model.graph))
        del node.attributes["pads"]
        node.attributes["auto_pad"] = ir.AttrString("auto_pad", "SAME_UPPER")
        return Outcome(0)

    monkeypatch.setattr(PASSES["keepdims_mean"], "run", pad_again)
    with pytest.raises(PassError, match=r"keepdims_mean, .* left that of explicit_padding broken"):
        run_passes(model)
