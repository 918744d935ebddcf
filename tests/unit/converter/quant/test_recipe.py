"""Recipes are data: packaged ones by name, a user's own by its file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from networks import Graph, noise

from edgeshuffle.converter.export import ExportOptions
from edgeshuffle.converter.export.resolve import resolve
from edgeshuffle.converter.export.source import open_source
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.operators.conv import kind_of
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant import recipe as recipe_module
from edgeshuffle.converter.quant.hold_out import Judge
from edgeshuffle.converter.quant.recipe import Recipe, load_recipe, recipe_names
from edgeshuffle.errors import UnknownNameError

OWN = """
description = "Mine"
calibrator = "minmax"

[[layers]]
kind = "depthwise"
precision = "float32"

[[layers]]
kind = "pointwise"
per_tensor = true

[[layers]]
name = "v2_.*"
precision = "int8"
"""


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(OWN, "utf-8")
    return file


def convolutions():
    graph = Graph(size=8)
    x = graph.depthwise(graph.relu(graph.conv("input", 4, 3)))
    model = to_ir(graph.classifier(graph.depthwise(graph.conv(x, 6))))
    run_passes(model)
    return model


def test_the_last_rule_that_fits_decides(own):
    model = convolutions()
    made = quantize(model, [noise(8)], load_recipe(str(own)))
    for node in model.graph:
        if node.op_type != "Conv":
            continue
        name = node.outputs[0].name
        stays = kind_of(node) == "depthwise" and not name.startswith("v2_")
        assert (name not in made.plan.convs) == stays
        if kind_of(node) == "pointwise":
            assert len(set(made.plan.convs[name].scales)) == 1
    kept = [kind_of(n) for n in model.graph if n.op_type == "Conv"]
    assert sorted(kept) == ["dense", "depthwise", "depthwise", "pointwise", "pointwise"]


def test_its_name_is_the_files(own):
    assert load_recipe(str(own)).name == "mine"
    assert load_recipe(str(own), "mse").calibrator == "mse"


@pytest.mark.parametrize("name", recipe_names())
def test_every_packaged_recipe_says_what_it_does(name):
    assert load_recipe(name).description


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calibrator = 'mse'", "description"),
        ("description = 1\ncalibrator = 'mse'", "Expected `str`"),
        ("description = ''\ncalibrator = 'nope'", "known are minmax"),
        ("description = ''\ncalibrator = 'mse'\nsteps = ['nope']", "known are equalize"),
        ("description = ''\ncalibrator = 'mse'\nstep = []", "unknown: step"),
        ("description = ''\ncalibrator = 'mse'\n[[layers]]\nprecison = 'int8'", "precison"),
        (
            "description = ''\ncalibrator = 'mse'\n[[layers]]\nname = '('\nprecision = 'int8'",
            "regular expression",
        ),
        ("description = ''\ncalibrator = 'mse'\n[[layers]]\nkind = 'dence'", "dence"),
        (
            "description = ''\ncalibrator = 'mse'\n[[layers]]\nprecision = 'float32'",
            "needs a `name`",
        ),
        ("description = ''\ncalibrator = 'mse'\n[[layers]]\nname = 'a'", "needs a `precision`"),
        ("layers = 3", "layers"),
        ("not toml", "no recipe"),
        ("\x00", "no recipe"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path, text, said):
    file = tmp_path / "bad.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UnknownNameError, match="is no recipe") as caught:
        load_recipe(str(file))
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UnknownNameError, match=r"no recipe with int16 activations .* without XNN"):
        load_recipe("int16")
    with pytest.raises(UnknownNameError, match="There is no recipe at"):
        load_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UnknownNameError, match="cannot be read"):
        load_recipe(str(tmp_path / "folder.toml"))


def test_a_rule_that_fits_nothing_is_refused_with_the_names(own):
    own.write_text(OWN.replace("v2_.*", "conv1.*"), "utf-8")
    with pytest.raises(UnknownNameError, match="Rule 3 of the recipe 'mine' fits no convolution"):
        quantize(convolutions(), [noise(8)], load_recipe(str(own)))


def test_rules_name_the_modules_of_a_checkpoint(tmp_path):
    _, _, example = recipe_module.__doc__.partition("\n\n")
    (tmp_path / "shown.toml").write_text(example, "utf-8")
    recipe = load_recipe(str(tmp_path / "shown.toml"))
    request = resolve(ExportOptions(width=0.5, resolution=64))
    model = open_source(request.model, request.input).model
    run_passes(model)
    convs = [node for node in model.graph if node.op_type == "Conv"]
    recipe.check_fits(convs)
    assert [recipe.stays_float(conv) for conv in convs] == [True] + [False] * (len(convs) - 1)
    assert convs[-2].inputs[1].name.startswith("conv5.0.weight")


@pytest.fixture(scope="module")
def units():
    """Units whose values get smaller and smaller; what stops at 6 cannot be equalized."""
    graph = Graph(size=8)

    def limited(x):
        limits = [graph.constant(np.float32(limit)) for limit in (0, 6)]
        return graph._like(graph.add("Clip", x, *limits)[0], x)

    x = limited(graph.conv("input", 8, 3))
    for _ in range(5):
        kept, y = graph.split(graph.shuffle(x), 4, 4)
        weight = graph.constant(graph.random.uniform(0, 0.05, (4, 4, 1, 1)).astype(np.float32))
        y = graph._like(graph.add("Conv", y, weight)[0], y)
        x = graph.concat(kept, limited(y))
    weight = graph.constant(graph.random.standard_normal((6, 8, 1, 1)).astype(np.float32))
    model = to_ir(graph.model(graph.add("Conv", x, weight)[0]))
    run_passes(model)
    return model, [noise(8, seed) for seed in range(12)]


def test_scales_of_units_have_room_for_what_passes_them_by(units):
    model, images = units
    recipe = Recipe(description="", calibrator="mse", steps=("output_ranges",))
    found = []
    for requantize in (False, True):
        plan = quantize(model, images, dataclasses.replace(recipe, requantize=requantize)).plan
        found.append(Judge(model, images).sqnr(model, plan))
    assert found[1] > found[0] - 1
