from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from networks import noise, relative_error, run_all

from edgeshuffle.converter import zoo
from edgeshuffle.converter.frontend.torch_module import to_onnx
from edgeshuffle.errors import ModelError


@pytest.mark.parametrize(
    "given",
    [
        {"variant": "v1"},
        {"variant": "v2", "features": True},
        {"variant": "v2-se"},
        {"variant": "v2plus-small"},
        *({"activation": name} for name in ("leaky_relu:0.2", "swish", "hard_swish")),
    ],
    ids=lambda given: "-".join(map(str, given.values())),
)
def test_networks_compute_the_same_and_have_static_shapes(given):
    width = None if "plus" in given.get("variant", "") else 0.5
    module = zoo.load(zoo.Wanted(weights="random", width=width, **given)).module
    proto = to_onnx(module, (3, 64, 48), module.output_names)
    onnx.checker.check_model(proto, full_check=True)
    image = noise(64)[..., :48].copy()
    with torch.inference_mode():
        outputs = module(torch.from_numpy(image))
    expected = outputs if isinstance(outputs, tuple) else (outputs,)
    found = run_all(proto, image)
    assert tuple(found) == module.output_names
    for one, other in zip(expected, found.values(), strict=True):
        assert relative_error(one.numpy(), other) < 1e-4
    told = {value.name for value in (*proto.graph.value_info, *proto.graph.output)}
    assert told == {name for node in proto.graph.node for name in node.output}


def test_what_has_weights_is_called_by_its_modules_path():
    module = zoo.load(zoo.Wanted(weights="random", width=0.5)).module
    proto = to_onnx(module, (3, 64, 64))
    names = {node.name for node in proto.graph.node if node.op_type in ("Conv", "Gemm")}
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    assert names == {name for name, part in module.named_modules() if isinstance(part, layers)}


class Outputs(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x + x


class Unknown(torch.nn.Module):
    def forward(self, x):
        return torch.special.erf(x)


def test_several_outputs_have_the_names_that_are_given():
    proto = to_onnx(Outputs(), (4, 6, 8), ("pooled", "raised"))
    (given,) = proto.graph.input
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [1, 4, 6, 8]
    image = np.random.default_rng(0).normal(size=(1, 4, 6, 8)).astype(np.float32)
    found = run_all(proto, image)
    assert list(found) == ["pooled", "raised"]
    assert relative_error(2 * image, found["raised"]) < 1e-6


def test_a_function_without_an_onnx_form_is_named():
    with pytest.raises(ModelError, match="function special_erf has no ONNX form"):
        to_onnx(Unknown(), (3, 8, 8))
