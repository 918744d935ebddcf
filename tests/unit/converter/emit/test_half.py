"""fp16 files: half the weights' room, told to be computed in fp16, and nothing else is other."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from networks import Graph, noise, relative_error

from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.runner.inspect.tflite_graph import load, read
from edgeshuffle.runner.profile.names import Names
from edgeshuffle.runner.profile.subjects import subjects
from edgeshuffle.runner.profile.tflite_layers import tflite_layers

TYPES = schema.TensorType


@pytest.fixture(scope="module")
def model():
    graph = Graph(size=16)
    x = graph.max_pool(graph.relu(graph.conv("input", 24, 3, 2)))
    x = graph.relu(graph.conv(graph.depthwise(x), 64))
    made = to_ir(graph.classifier(graph.relu(graph.conv(x, 256))))
    run_passes(made)
    return made


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """Paths by precision."""
    folder = tmp_path_factory.mktemp("half")
    for floats in ("fp32", "fp16"):
        made = EMITTERS["tflite"].emit(model, None, floats=floats)
        (folder / f"{floats}.tflite").write_bytes(made.data)
    return {floats: folder / f"{floats}.tflite" for floats in ("fp32", "fp16")}


def parsed(path):
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def test_a_file_is_half_as_large_and_still_has_its_weights(files):
    sizes = {floats: path.stat().st_size for floats, path in files.items()}
    assert sizes["fp16"] < 0.65 * sizes["fp32"]
    found, plain = (read(files[floats], None) for floats in ("fp16", "fp32"))
    assert (found.macs, found.parameters) == (plain.macs, plain.parameters)
    assert found.weight_bytes < 0.55 * plain.weight_bytes


def test_runtimes_are_told(files):
    found = parsed(files["fp16"])
    (told,) = found.metadata
    assert told.name == b"reduced_precision_support"
    assert bytes(found.buffers[told.buffer].data) == b"fp16accfp16"
    assert not parsed(files["fp32"]).metadata


def test_ends_are_floats_and_weights_are_widened_when_loaded(files):
    graph = parsed(files["fp16"]).subgraphs[0]
    ends = [graph.tensors[index].type for index in (*graph.inputs, *graph.outputs)]
    assert ends == [TYPES.FLOAT32] * 2
    halves = {i for i, tensor in enumerate(graph.tensors) if tensor.type == TYPES.FLOAT16}
    widened = {int(node.inputs[0]) for node in graph.operators if int(node.inputs[0]) in halves}
    assert widened == halves != set()


def test_what_widens_weights_is_no_layer_of_a_profile(files):
    one, other = (
        [layer.name for _, layer in tflite_layers(load(path), Names())] for path in files.values()
    )
    assert one == other
    assert [subject.precision for subject in subjects(list(files.values()))] == ["fp32", "fp16"]


def test_it_computes_the_same_to_the_rounding_of_weights(files):
    sessions = [RUNTIMES["litert"].open_session(str(path), 1) for path in files.values()]
    one, other = (np.stack([s.run(noise(16, n))[0] for n in range(4)]) for s in sessions)
    assert 0 < relative_error(one, other) < 5e-3
