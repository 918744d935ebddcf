"""Plans in which some convolutions stay floats, and such that spend a requantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Graph, noise, relative_error, run_ir, run_onnx

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.precision import conv_names, float_values
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.converter.quant.simulate import quantized_outputs
from edgeshuffle.converter.quant.ties import tie
from edgeshuffle.runner.inspect import inspect_file

SIZE = 17
IMAGES = [noise(SIZE, seed) for seed in range(20)]


def units():
    """A stage of two units with all that can pass by, of unlike sizes."""
    graph = Graph(size=SIZE)
    x = graph.max_pool(graph.relu(graph.conv("input", 8, 3, 2)))
    for _ in range(2):
        kept, y = graph.split(graph.shuffle(x), 4, 4)
        y = graph.relu(graph.conv(graph.depthwise(graph.relu(graph.conv(y, 4))), 4))
        x = graph.concat(kept, y)
    six = graph.add("Clip", graph.conv(x, 4), *(graph.constant(np.float32(v)) for v in (0, 6)))[0]
    graph._like(six, x, 4)
    x = graph.max_pool(graph.concat(graph.cut(x, 1, 6), six, graph.conv(x, 3)))
    model = to_ir(graph.classifier(graph.relu(x)))
    run_passes(model)
    check_core(model)
    return model


MODEL = units()
NAMES = conv_names(MODEL.graph)
PLAN = quantize(MODEL, IMAGES, replace(load_recipe("fast"), logits="int8")).plan


def outputs(folder, model, plan, style="qdq"):
    """Logits of both formats for all images."""
    found = []
    for name, runtime in (("onnx", "ort"), ("tflite", "litert")):
        emitted = EMITTERS[name].emit(model, plan, **({"style": style} if name == "onnx" else {}))
        path = folder / f"model{EMITTERS[name].SUFFIX}"
        path.write_bytes(emitted.data)
        session = RUNTIMES[runtime].open_session(str(path), 1)
        found.append(np.stack([session.run(image)[0].reshape(-1) for image in IMAGES]))
    return found


@settings(max_examples=40, deadline=None)
@given(kept=st.sets(st.sampled_from(NAMES)), style=st.sampled_from(["qdq", "qoperator"]))
def test_any_convolutions_can_stay_floats(tmp_path_factory, kept, style):
    plan = PLAN.only(set(NAMES) - kept)
    one, other = outputs(tmp_path_factory.mktemp("mixed"), MODEL, plan, style)
    step = plan.activations[MODEL.graph.outputs[0].name].scale
    # The runtimes add floats in another order, so now and then one is rounded to the next step.
    apart = np.abs(one - other) / step
    assert np.median(apart) < 1
    assert apart.max() < 8
    exact = np.stack([run_ir(MODEL, image).reshape(-1) for image in IMAGES])
    assert ((one - exact) ** 2).sum() < 0.02 * (exact**2).sum()


def test_with_all_convolutions_in_float_only_the_input_is_rounded(tmp_path):
    plan = PLAN.only([])
    params = plan.activations[MODEL.graph.inputs[0].name]
    for found in outputs(tmp_path, MODEL, plan):
        for image, output in zip(IMAGES, found, strict=True):
            exact = run_ir(MODEL, params.dequantize(params.quantize(image)))
            assert relative_error(exact.reshape(-1), output) < 1e-5


@pytest.mark.parametrize("name", EMITTERS)
def test_the_output_of_a_float_classifier_is_not_rounded(name):
    emitted = EMITTERS[name].emit(MODEL, PLAN.only(NAMES[:-1]))
    assert emitted.outputs[0].dtype == "float32"
    assert emitted.outputs[0].scale is None
    assert emitted.input.dtype == ("int8" if name == "tflite" else "float32")


@pytest.mark.parametrize("name", EMITTERS)
@pytest.mark.parametrize("kept", NAMES)
def test_one_layer_in_float_costs_one_conversion_each_way(name, kept):
    emitted = EMITTERS[name].emit(MODEL, PLAN.only(set(NAMES) - {kept}))
    if name == "tflite":
        assert emitted.ops.get("DEQUANTIZE") == 1
        assert emitted.ops.get("QUANTIZE", 0) == (kept != NAMES[-1])
    else:
        whole = EMITTERS[name].emit(MODEL, PLAN)
        assert emitted.ops["Conv"] == whole.ops["Conv"]
        # A float layer needs no weight and no bias dequantized.
        most = whole.ops["DequantizeLinear"] - 2
        assert emitted.ops["DequantizeLinear"] == most - (kept == NAMES[-1])


def test_neighbours_in_float_hand_floats_over():
    convs = [node for node in MODEL.graph if node.op_type == "Conv"]
    depthwise = next(i for i, node in enumerate(convs) if node.attributes["group"].as_int() > 1)
    chain = NAMES[depthwise - 1 : depthwise + 2]
    emitted = EMITTERS["tflite"].emit(MODEL, PLAN.only(set(NAMES) - set(chain)))
    assert (emitted.ops["DEQUANTIZE"], emitted.ops["QUANTIZE"]) == (1, 1)
    floats = float_values(MODEL.graph, PLAN.only(set(NAMES) - set(chain)))
    assert len(floats) == len(chain)


def test_a_stage_with_a_scale_for_each_unit(tmp_path):
    recipe = load_recipe("requantize")
    together, apart = tie(MODEL.graph), tie(MODEL.graph, requantize=True)
    assert len(apart) > len(together)
    assert {v for group in apart for v in group.members} == {
        v for group in together for v in group.members
    }
    made = quantize(MODEL, IMAGES, recipe)
    one, other = outputs(tmp_path, made.model, made.plan)
    step = made.plan.activations[MODEL.graph.outputs[0].name].scale
    assert np.abs(one - other).max() <= 2 * step + 1e-6
    (simulated,) = quantized_outputs(
        made.model, made.plan, torch.from_numpy(np.concatenate(IMAGES))
    )
    assert np.abs(simulated.numpy() - one).max() <= 2 * step + 1e-6
    found = inspect_file(tmp_path / "model.tflite")
    assert found.ops["QUANTIZE"] >= len(apart) - len(together)
    assert EMITTERS["onnx"].emit(made.model, made.plan, style="qoperator").data


def test_per_tensor_weights_have_one_scale_a_layer():
    made = quantize(MODEL, IMAGES, load_recipe("per-tensor"))
    for conv in made.plan.convs.values():
        assert len(set(conv.scales.tolist())) == 1
    proto = onnx.load_from_string(EMITTERS["onnx"].emit(made.model, made.plan).data)
    exact = np.stack([run_ir(MODEL, image).reshape(-1) for image in IMAGES])
    found = np.stack([run_onnx(proto, image).reshape(-1) for image in IMAGES])
    assert ((found - exact) ** 2).sum() < 0.02 * (exact**2).sum()
