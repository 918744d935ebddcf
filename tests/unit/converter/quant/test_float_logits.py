"""Classifiers of integers whose sums are floats: exact in both formats, by integer kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import Graph, noise
from onnx import helper
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.export.batch import with_batch
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.precision import classifiers
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.converter.quant.simulate import quantized_outputs

SIZE = 8
IMAGES = [noise(SIZE, seed) for seed in range(6)]
STYLES = [("onnx", "qdq"), ("onnx", "qoperator"), ("tflite", None)]


def network(classes=5, end=None):
    graph = Graph(size=SIZE)
    proto = graph.classifier(graph.relu(graph.conv("input", 6, 3)), classes)
    if end is not None:
        before = proto.graph.output[0].name
        proto.graph.node.append(helper.make_node(end, [before], ["end"], axis=1))
        proto.graph.output[0].name = "end"
    model = to_ir(proto)
    run_passes(model)
    return model


def quantized(model, logits="float32"):
    return quantize(model, IMAGES, replace(load_recipe("fast"), logits=logits))


def emit(name, style, made, batch=1):
    model = made.model if batch == 1 else with_batch(made.model, batch)
    return EMITTERS[name].emit(model, made.plan, **({} if style is None else {"style": style}))


def logits(folder, name, emitted, images):
    path = folder / f"model{EMITTERS[name].SUFFIX}"
    path.write_bytes(emitted.data)
    session = RUNTIMES["ort" if name == "onnx" else "litert"].open_session(str(path), 1)
    return np.concatenate([session.run(image)[0] for image in images])


@pytest.mark.parametrize(("name", "style"), STYLES)
@pytest.mark.parametrize("batch", [1, 3])
def test_they_are_the_sums_of_the_integers(name, style, batch, tmp_path):
    made = quantized(network())
    emitted = emit(name, style, made, batch)
    images = [np.concatenate(IMAGES[at : at + batch]) for at in range(0, len(IMAGES), batch)]
    found = logits(tmp_path, name, emitted, images)
    wanted = quantized_outputs(made.model, made.plan, torch.from_numpy(np.concatenate(IMAGES)))
    np.testing.assert_allclose(found, wanted[0].numpy(), rtol=1e-5, atol=1e-5)
    assert emitted.outputs[0].dtype == "float32"
    assert emitted.outputs[0].scale is None


@pytest.mark.parametrize(("name", "style"), STYLES)
def test_int8_ones_are_these_rounded(name, style, tmp_path):
    model = network()
    exact, rounded = quantized(model), quantized(model, "int8")
    params = rounded.plan.activations[model.graph.outputs[0].name]
    found = [logits(tmp_path, name, emit(name, style, made), IMAGES) for made in (exact, rounded)]
    off = np.abs(params.dequantize(params.quantize(found[0])) - found[1])
    assert (off <= params.scale * 1.001).all()
    assert (off < params.scale / 2).mean() > 0.9
    assert not np.array_equal(*found)


@pytest.mark.parametrize("style", ["qdq", "qoperator"])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_onnx_runtime_multiplies_integers(style, kind, tmp_path):
    made = quantized(network())
    data = EMITTERS["onnx"].emit(made.model, made.plan, style=style, activations=kind).data
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    settings.log_severity_level = 3
    onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert "QGemm" in kinds
    assert not {"Gemm", "MatMul", "MatMulInteger"} & {*kinds}


def test_tflite_keeps_its_weights_in_8_bits():
    made = quantized(network())
    sizes = [len(emit("tflite", None, one).data) for one in (made, quantized(network(), "int8"))]
    assert sizes[0] < sizes[1] + 2000
    assert emit("tflite", None, made).ops["DEQUANTIZE"] == 1


def test_probabilities_are_made_of_float_logits(tmp_path):
    made = quantized(network(end="Softmax"))
    assert [conv.unrounded for conv in made.plan.convs.values()] == [False, True]
    found = [
        logits(tmp_path, *some, emit(*STYLES[at], made), IMAGES)
        for at, some in enumerate((("onnx",), ("onnx",), ("tflite",)))
    ]
    wanted = quantized_outputs(made.model, made.plan, torch.from_numpy(np.concatenate(IMAGES)))
    for one in found:
        np.testing.assert_allclose(one, wanted[0].numpy(), rtol=1e-4, atol=1e-5)


def test_what_is_no_classifier():
    assert len(classifiers(network().graph)) == 1
    assert not classifiers(network(classes=1).graph)
    graph = Graph(size=SIZE)
    features = to_ir(graph.model(graph.conv("input", 6, 3)))
    run_passes(features)
    assert not classifiers(features.graph)


def test_the_command_line(tmp_path, capsys):
    given = ["export", "--width", 0.5, "--resolution", 32, "--recipe", "fast", "--calib-limit", 8]
    for kind in ("float32", "int8"):
        made = tmp_path / kind
        assert run(*given, "--int8", "--logits", kind, "-o", made) == 0
        manifest = Artifact.load(made).manifest
        (file,) = (f for f in manifest.files if (f.format, f.precision) == ("tflite", "int8"))
        assert file.outputs[0].dtype == kind
        assert manifest.quantization["recipe"]["logits"] == kind
    capsys.readouterr()
    assert run(*given, "--logits", "int8", "-o", tmp_path / "other") == 2
    assert "--int8" in capsys.readouterr().err
