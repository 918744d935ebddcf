"""Every step of a recipe: the float network keeps its result, and the plan gets better by data."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from networks import Graph, network, noise, relative_error, run_ir, run_onnx_each

from edgeshuffle.converter import quant
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir, torch_module
from edgeshuffle.converter.operators.check import check_core
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.builder import PlanBuilder
from edgeshuffle.converter.quant.recipe import load_recipe, recipe_names
from edgeshuffle.converter.quant.refiners import REFINERS
from edgeshuffle.errors import DataError, ModelError, UnknownNameError
from edgeshuffle.host import workers

pytestmark = pytest.mark.slow

SIZE = 64
IMAGES = [noise(SIZE, seed) for seed in range(200)]
OTHERS = [noise(SIZE, seed) for seed in range(1000, 1032)]


def shufflenet(stem="imagenet", seed=0):
    module = network(0.5, 10, stem, seed=seed, resolution=SIZE)
    model = to_ir(torch_module.to_onnx(module, (3, SIZE, SIZE)))
    run_passes(model)
    return model


def strange(seed):
    """A small network with all that equalization must respect, of unlike channels."""
    graph = Graph(size=SIZE, seed=seed)
    x = graph.max_pool(graph.relu(graph.conv("input", 8, 3, 2)))
    kept, y = graph.split(graph.shuffle(x), 4, 4)
    y = graph.depthwise(graph.relu(graph.conv(y, 4)))
    y = graph.relu(graph.conv(y, 4))
    x = graph.shuffle(graph.concat(kept, y), "4d")
    clipped = graph.add(
        "Clip", graph.conv(x, 6), *(graph.constant(np.float32(limit)) for limit in (0, 6))
    )[0]
    graph._like(clipped, x, 6)
    both = graph.conv(x, 6)
    x = graph.concat(clipped, graph.relu(both), both)
    model = to_ir(graph.classifier(graph.conv(x, 12)))
    for node in model.graph:
        if node.op_type == "Conv":
            weight = np.array(node.inputs[1].const_value.numpy())
            random = np.random.default_rng(seed)
            weight *= np.exp(random.normal(0, 1.5, len(weight)))[:, None, None, None]
            node.inputs[1].const_value = ir.tensor(weight.astype(np.float32))
    run_passes(model)
    check_core(model)
    return model


def sqnr(expected, model, plan):
    data = EMITTERS["onnx"].emit(model, plan, style="qdq").data
    import onnx

    proto = onnx.load_from_string(data)
    found = run_onnx_each(proto, OTHERS)
    return 10 * np.log10((expected**2).sum() / ((found - expected) ** 2).sum())


@pytest.mark.parametrize("name", REFINERS)
@pytest.mark.parametrize("make", [
    *(lambda stem=stem: shufflenet(stem) for stem in ("imagenet", "cifar")),
    *(lambda seed=seed: strange(seed) for seed in range(4)),
])  # fmt: skip
def test_the_float_result_stays_and_both_formats_can_be_written(name, make):
    model = make()
    expected = run_ir(model, OTHERS[0])
    seen = []
    builder = PlanBuilder(model, IMAGES[:20], load_recipe("fast"), lambda *what: seen.append(what))
    REFINERS[name].refine(builder)
    assert relative_error(expected, run_ir(model, OTHERS[0])) < 1e-5
    for emitter in EMITTERS:
        assert EMITTERS[emitter].emit(model, builder.plan).data
    assert seen
    assert all(0 <= done <= total for _, done, total in seen)


@pytest.mark.parametrize("recipe", recipe_names())
def test_the_same_images_give_the_same_plan_on_any_number_of_cores(recipe, monkeypatch):
    plans = []
    threads = torch.get_num_threads()
    # Made once: its random weights are scaled by what torch computes, on all its threads.
    model = shufflenet()
    for cores in (1, 3):
        monkeypatch.setattr(workers, "core_count", lambda cores=cores: cores)
        torch.set_num_threads(cores)
        plans.append(quantize(model, IMAGES[:12], load_recipe(recipe)).plan)
        assert torch.get_num_threads() == cores
    torch.set_num_threads(threads)
    assert plans[0].activations == plans[1].activations
    for name, conv in plans[0].convs.items():
        assert (conv.weight == plans[1].convs[name].weight).all()
        assert (conv.bias == plans[1].convs[name].bias).all()


@pytest.mark.parametrize(
    ("seed", "count"),
    [*((seed, 100) for seed in range(0, 16, 2)), *((seed, 12) for seed in range(4))],
)
def test_accurate_is_never_worse_than_fast(seed, count):
    make = (lambda: shufflenet(seed=seed)) if seed % 2 else (lambda: strange(seed))
    reference = make()
    expected = run_onnx_each(ir.to_proto(reference), OTHERS)
    found = {}
    for recipe in ("fast", "accurate"):
        made = quantize(reference, IMAGES[:count], load_recipe(recipe))
        found[recipe] = sqnr(expected, made.model, made.plan)
    assert found["accurate"] >= found["fast"]


@pytest.mark.parametrize(("recipe", "count"), [("accurate", 100), ("accurate", 2), ("fast", 9)])
def test_it_says_how_many_images_made_the_plan(monkeypatch, recipe, count):
    followed = []

    def spy(model, images, *others):
        made = follow(model, images, *others)
        followed.append((made.plan, len(images)))
        return made

    follow = quant._follow
    monkeypatch.setattr(quant, "_follow", spy)
    made = quantize(strange(0), IMAGES[:count], load_recipe(recipe))
    assert [n for plan, n in followed if plan is made.plan] == [made.fitted]
    assert made.fitted + made.held_out == count
    assert (made.held_out > 0) == bool(made.steps)


@pytest.mark.parametrize("recipe", recipe_names())
def test_no_images(recipe):
    with pytest.raises(DataError, match="no calibration images"):
        quantize(shufflenet(), [], load_recipe(recipe))


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_network_that_overflows(recipe):
    with pytest.raises(ModelError, match="NaN or infinity"):
        quantize(shufflenet(), [np.full_like(IMAGES[0], 1e38)], load_recipe(recipe))


def test_an_unknown_recipe():
    with pytest.raises(UnknownNameError, match=r"Unknown recipe 'acurate'\. Known: accurate"):
        load_recipe("acurate")


@pytest.mark.parametrize("recipe", recipe_names())
def test_recipes_name_steps_that_exist(recipe):
    loaded = load_recipe(recipe)
    assert set(loaded.steps) <= set(REFINERS)
    assert loaded.description.endswith(".")
