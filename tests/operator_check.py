"""One operator through the whole converter: a stage with shuffles, float and INT8, both formats."""

from __future__ import annotations

import numpy as np
from networks import Graph, noise, relative_error, run_ir, run_onnx

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.metrics import sqnr_db

SIZE = 16
IMAGES = [noise(SIZE, seed) for seed in range(12)]
RECIPES = ("fast", "accurate")
STYLES = ("qdq", "qoperator")


def check_operator(folder, apply, *, steps, sqnr=25.0, recipes=RECIPES):
    """Assert that shuffles around `apply(graph, x) -> value` are dissolved, and the result stays.

    INT8 has at least `sqnr` dB, and the formats are at most `steps` of the output apart.
    """
    model = check_model(folder, stage(apply), steps=steps, sqnr=sqnr, recipes=recipes)
    assert not {"Reshape", "Transpose"} & {node.op_type for node in model.graph}


def check_model(folder, proto, *, steps, sqnr=25.0, recipes=RECIPES):
    """Assert likewise of a whole classifier, and return it as the passes left it."""
    expected = np.concatenate([run_onnx(proto, image) for image in IMAGES])
    model = to_ir(proto)
    run_passes(model)
    check_core(model)
    for image, logits in zip(IMAGES, expected, strict=True):
        assert relative_error(logits, run_ir(model, image)[0]) < 1e-5
    for found in outputs(folder, model, None):
        assert relative_error(expected, found) < 1e-5
    for recipe in recipes:
        made = quantize(model, IMAGES, load_recipe(recipe))
        step = made.plan.activations[made.model.graph.outputs[0].name].scale
        for style in STYLES:
            found = outputs(folder, made.model, made.plan, style=style)
            assert np.abs(found[0] - found[1]).max() <= (steps + 0.01) * step, (recipe, style)
            for logits in found:
                assert sqnr_db(expected, logits) > sqnr, (recipe, style)
    return model


def stage(apply):
    """Two units with the operator in both branches of what a shuffle mixes."""
    graph = Graph(size=SIZE)

    def applied(x):
        return graph._like(apply(graph, x), x)

    x = graph.max_pool(applied(graph.conv("input", 8, 3, 2)))
    for _ in range(2):
        kept, y = graph.split(graph.shuffle(x), 4, 4)
        y = graph.relu(graph.conv(y, 4))
        x = graph.concat(kept, applied(graph.conv(graph.depthwise(y), 4)))
    return graph.classifier(applied(graph.conv(graph.shuffle(x), 8)))


def outputs(folder, model, plan, **choices):
    """Logits of all images by ONNX Runtime and LiteRT."""
    found = []
    for name, runtime in (("onnx", "ort"), ("tflite", "litert")):
        emitted = EMITTERS[name].emit(model, plan, **(choices if name == "onnx" else {}))
        path = folder / f"model{EMITTERS[name].SUFFIX}"
        path.write_bytes(emitted.data)
        session = RUNTIMES[runtime].open_session(str(path), 1)
        found.append(np.stack([session.run(image)[0].reshape(-1) for image in IMAGES]))
    return found
