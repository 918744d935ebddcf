"""`inspect` finds channel shuffles in every spelling, and says what dissolving them saves."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from networks import Graph
from small_detectors import onnx_detector, tflite_detector
from small_models import BUILTIN, TYPES, OnnxGraph, TfliteGraph, run

from edgeshuffle.runner.inspect import inspect_file
from edgeshuffle.runner.inspect.shuffles import is_permutation, shuffles_channels, takes_apart

SIDES = st.integers(1, 4)


@given(st.integers(1, 5), st.integers(1, 5), SIDES, SIDES)
def test_swapped_groups_are_a_shuffle_unless_one_is_all(groups, members, height, width):
    channels = groups * members
    shape = (1, channels, height, width)
    expected = groups > 1 and members > 1
    view = (1, groups, members, height, width)
    assert shuffles_channels(shape, view, (0, 2, 1, 3, 4)) is expected
    assert not shuffles_channels(shape, view, (0, 1, 2, 3, 4))
    view = (groups, members, height * width)
    assert shuffles_channels(shape, view, (1, 0, 2)) is expected
    last = (1, height, width, channels)
    view = (height, width, groups, members)
    assert shuffles_channels(last, view, (0, 1, 3, 2), last=True) is expected


@given(st.integers(2, 6), st.integers(2, 4))
def test_what_moves_pixels_is_none(channels, side):
    shape = (1, channels, side, side)
    assert not shuffles_channels(shape, shape, (0, 2, 3, 1))
    assert not shuffles_channels(shape, shape, (0, 1, 3, 2))
    assert not shuffles_channels(shape, (1, channels, side * side), (0, 2, 1))
    assert not shuffles_channels((2, channels, side, side), (channels, 2, side * side), (1, 0, 2))


def test_parts_and_matrices():
    assert takes_apart([[0, 2], [1, 3]])
    assert not takes_apart([[0, 1], [2, 3]])
    assert not takes_apart([[0, 2], [1, 2]])
    eye = np.eye(4, dtype=np.float32)
    assert is_permutation(eye[[1, 0, 3, 2]])
    assert not is_permutation(eye)
    assert not is_permutation(2 * eye[[1, 0, 3, 2]])
    assert not is_permutation(eye[[1, 1, 3, 2]])


def gather(graph, x):
    even, odd = (
        graph.add("Gather", x, graph.ints(*range(start, 8, 2)), axis=1)[0] for start in (0, 1)
    )
    graph.channels[even] = graph.channels[odd] = 4
    graph.sizes[even] = graph.sizes[odd] = graph.sizes[x]
    return graph.concat(even, odd)


def matrix(graph, x):
    weight = np.eye(8, dtype=np.float32)[[0, 4, 1, 5, 2, 6, 3, 7]][:, :, None, None]
    return graph._like(graph.add("Conv", x, graph.constant(weight))[0], x)


SPELLINGS = {
    **{
        form: lambda graph, x, form=form: graph.shuffle(x, form)
        for form in ("5d", "4d", "3d", "gather")
    },
    "even and odd": lambda graph, x: graph.concat(*graph.deinterleave(x)),
    "two gathers": gather,
    "two slices": lambda graph, x: graph.concat(graph.cut(x, 0, 8, 2), graph.cut(x, 1, 8, 2)),
    "swapped halves": lambda graph, x: graph.concat(*graph.split(x, 4, 4)[::-1]),
    "matrix": matrix,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_counts_and_is_dissolved(tmp_path, spelling):
    graph = Graph(size=6)
    x = graph.relu(graph.conv("input", 8))
    x = graph.relu(graph.conv(SPELLINGS[spelling](graph, x), 8))
    onnx.save(graph.classifier(x), tmp_path / "a.onnx")
    found = inspect_file(tmp_path / "a.onnx")
    assert found.shuffles == 1
    if spelling == "matrix":
        return
    assert found.dissolved.shuffles == 0
    assert found.dissolved.reason is None
    before, after = found.dissolved.moving
    assert after <= before


def test_splitting_and_joining_is_no_shuffle(tmp_path):
    graph = Graph(size=6)
    x = graph.relu(graph.conv("input", 8))
    onnx.save(graph.classifier(graph.concat(*graph.split(x, 4, 4))), tmp_path / "a.onnx")
    found = inspect_file(tmp_path / "a.onnx")
    assert (found.shuffles, found.dissolved) == (0, None)


def shuffled(path, *, imported):
    """A shuffle beside an operator that nobody knows, of a domain that may not even be told."""
    graph = OnnxGraph((1, 4, 2, 3))
    graph.node("Relu", ["input"], ["x"])
    graph.node("Reshape", ["x", graph.constant("five", np.array([1, 2, 2, 2, 3]))], ["r"])
    graph.node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4])
    graph.node("Reshape", ["t", graph.constant("four", np.array([1, 4, 2, 3]))], ["u"])
    graph.node("mystery", ["u"], ["v"], domain="elsewhere")
    graph.node("Conv", ["v", graph.constant("w", np.ones((4, 4, 1, 1), np.float32))], ["out"])
    graph.save(path, "out")
    if imported:
        proto = onnx.load(path)
        proto.opset_import.append(onnx.helper.make_opsetid("elsewhere", 1))
        onnx.save(proto, path)


@pytest.mark.parametrize("imported", [True, False])
def test_an_operator_that_nobody_knows_is_counted(tmp_path, capsys, imported):
    shuffled(tmp_path / "a.onnx", imported=imported)
    assert run("inspect", tmp_path / "a.onnx", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["files"].values()
    assert found["ops"]["mystery"] == 1
    assert found["shuffles"] == imported
    assert any("(Conv: shape of out)" in one for one in found["unknown"])
    assert run("inspect", tmp_path / "a.onnx") == 0
    shown = capsys.readouterr().out
    assert "not counted, as it is only known when it runs: Conv" in shown


def test_why_nothing_could_be_dissolved_is_told(tmp_path, capsys):
    graph = Graph(size=6)
    x = graph.conv(graph.shuffle(graph.relu(graph.conv("input", 8))), 8)
    proto = graph.classifier(x)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    weight = next(t for t in proto.graph.initializer if t.dims[1:] == [3, 1, 1])
    weight.CopyFrom(onnx.numpy_helper.from_array(np.ones((8, 2, 1, 1), np.float32), weight.name))
    onnx.save(proto, tmp_path / "a.onnx")
    found = inspect_file(tmp_path / "a.onnx")
    assert (found.shuffles, found.dissolved.shuffles) == (1, None)
    assert "has 2 channels" in found.dissolved.reason
    assert run("inspect", tmp_path / "a.onnx") == 0
    assert "its shuffles cannot be dissolved: " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("spelling", ["5d", "gather", "split", "slices"])
def test_tflite(tmp_path, spelling):
    graph = TfliteGraph()
    image = graph.tensor("input", (1, 2, 3, 8))
    out = graph.tensor("out", (1, 2, 3, 8))
    if spelling == "5d":
        wide = graph.tensor("wide", (1, 2, 3, 2, 4))
        swapped = graph.tensor("swapped", (1, 2, 3, 4, 2))
        shape = graph.ints("shape", [1, 2, 3, 2, 4])
        graph.op(BUILTIN.RESHAPE, [image, shape], [wide], schema.ReshapeOptionsT())
        perm = graph.ints("perm", [0, 1, 2, 4, 3])
        graph.op(BUILTIN.TRANSPOSE, [wide, perm], [swapped], schema.TransposeOptionsT())
        back = graph.ints("back", [1, 2, 3, 8])
        graph.op(BUILTIN.RESHAPE, [swapped, back], [out], schema.ReshapeOptionsT())
    elif spelling == "slices":
        halves = [graph.tensor(name, (1, 2, 3, 4)) for name in "ab"]
        size = graph.ints("size", [1, 2, 3, 4])
        for half, start in zip(halves, (4, 0), strict=True):
            begin = graph.ints(f"begin{start}", [0, 0, 0, start])
            graph.op(BUILTIN.SLICE, [image, begin, size], [half], schema.SliceOptionsT())
        joined = schema.ConcatenationOptionsT()
        joined.axis = 3
        graph.op(BUILTIN.CONCATENATION, halves, [out], joined)
    elif spelling == "split":
        halves = [graph.tensor(name, (1, 2, 3, 4)) for name in "ab"]
        parts = schema.SplitOptionsT()
        parts.numSplits = 2
        axis = graph.tensor("axis", (), TYPES.INT32, data=np.array(3, np.int32))
        graph.op(BUILTIN.SPLIT, [axis, image], halves, parts)
        joined = schema.ConcatenationOptionsT()
        joined.axis = 3
        graph.op(BUILTIN.CONCATENATION, halves[::-1], [out], joined)
    else:
        options = schema.GatherOptionsT()
        options.axis = 3
        order = graph.ints("order", [0, 4, 1, 5, 2, 6, 3, 7])
        graph.op(BUILTIN.GATHER, [image, order], [out], options)
    graph.save(tmp_path / "a.tflite", out)
    found = inspect_file(tmp_path / "a.tflite")
    assert (found.shuffles, found.dissolved) == (1, None)


@pytest.mark.parametrize(("name", "write"), [("onnx", onnx_detector), ("tflite", tflite_detector)])
def test_several_outputs_are_shown(tmp_path, capsys, name, write):
    write(tmp_path / f"a.{name}")
    assert run("inspect", tmp_path / f"a.{name}") == 0
    image = "1x3x4x5" if name == "onnx" else "1x4x5x3"
    shown = " ".join(capsys.readouterr().out.split())
    assert f"3 outputs: 'map' {image}, 'mean' 1x3, 'which' 1x4x5" in shown
