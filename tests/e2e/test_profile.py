"""`profile` on real runtimes: what parts cost adds up to what the whole costs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import devices
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from networks import Graph
from small_models import run

from edgeshuffle.agent.litert import quiet
from edgeshuffle.agent.ort import open_session
from edgeshuffle.runner.inspect import inspect_file, onnx_graph, tflite_graph
from edgeshuffle.runner.profile.kinds import KINDS
from edgeshuffle.runner.profile.onnx_cuts import onnx_cuts, read_graph
from edgeshuffle.runner.profile.tflite_cuts import tflite_cut


def profiled(capsys, *arguments):
    assert run("profile", *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """An artifact whose operators take more instructions than Python's odd ones."""
    folder = tmp_path_factory.mktemp("busy")
    graph = Graph(size=32)
    x = graph.max_pool(graph.relu(graph.conv("input", 24, 3)))
    x = graph.relu(graph.conv(graph.depthwise(graph.relu(graph.conv(x, 32))), 32))
    onnx.save(graph.classifier(x), folder / "busy.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "calib.npz", x=pixels)
    options = ("--int8", "--recipe", "fast", "--calib", folder / "calib.npz")
    made = folder / "build" / "busy"
    assert run("export", "--onnx", folder / "busy.onnx", *options, "-o", made) == 0
    return made


def check_sums(found, unit):
    """The kinds add up to the whole, and their layers to them."""
    for file in found["files"]:
        kinds = {one["kind"]: one[unit] for one in file["kinds"]}
        whole = kinds.pop("whole")
        assert whole == file[unit] > 0
        assert sum(kinds.values()) == pytest.approx(whole, rel=0.02)
        layers = dict.fromkeys(kinds, 0)
        for layer in file["layers"]:
            layers[layer["kind"]] += layer[unit]
        outside = kinds.pop("outside operators")
        assert layers.pop("outside operators") == 0
        assert layers == kinds
        assert sum(layers.values()) + outside == whole


def test_all_files_of_an_artifact_here(small, capsys):
    found = profiled(capsys, small)
    assert found["schema_version"] == 1
    assert found["kind"] == "times"
    check_sums(found, "ns")
    methods = [(one["runtime"], one["precision"], one["method"]) for one in found["files"]]
    assert sorted(methods) == [
        ("litert", "fp32", "differences"),
        ("litert", "int8", "differences"),
        ("ort", "fp32", "profiler"),
        ("ort", "int8", "profiler"),
    ]
    for file in found["files"]:
        kinds = {layer["kind"] for layer in file["layers"]}
        assert {"first conv", "1x1 conv", "depthwise conv", "fully connected"} <= kinds <= {*KINDS}
        assert file["kinds"][-1]["macs"] == inspect_file(Path(file["file"])).macs
        convs = [layer for layer in file["layers"] if layer["macs"]]
        assert [one["layer"] for one in convs[:3]] == ["v0_0", "v2_0", "v3_0"]


def test_layers_are_called_as_in_torch(demo, capsys):
    found = profiled(capsys, demo, "--runtime", "ort")
    check_sums(found, "ns")
    for file in found["files"]:
        named = {layer["layer"]: layer["kind"] for layer in file["layers"] if layer["macs"]}
        assert named["conv1.0"] == "first conv"
        assert named["stage2.0.branch1.0"] == "depthwise conv"
        assert named["stage4.3.branch2.5"] == named["conv5.0"] == "1x1 conv"


def test_tables_fit_and_files_have_all(demo, tmp_path, capsys):
    files = ("--csv", tmp_path / "all.csv", "--plot", tmp_path / "kinds.svg")
    arguments = ("profile", demo, "--runtime", "ort", "--precision", "int8", "--layers", 3, *files)
    assert run(*arguments) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[:-2])) <= 80
    assert "the 3 costliest of" in shown
    assert (tmp_path / "kinds.svg").read_text().startswith("<?xml")
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert len([row for row in rows if row["table"] == "ort int8 layers"]) > 90


def test_what_a_shuffle_costs(tmp_path, capsys):
    graph = Graph(size=16)
    x = graph.relu(graph.conv("input", 16, 3))
    for _ in range(3):
        x = graph.shuffle(graph.relu(graph.conv(x, 16)))
    onnx.save(graph.classifier(graph.conv(x, 16)), tmp_path / "stock.onnx")
    assert run("export", "--onnx", tmp_path / "stock.onnx", "-o", tmp_path / "made") == 0
    capsys.readouterr()
    found = profiled(capsys, tmp_path / "made", tmp_path / "stock.onnx", "--runtime", "ort")
    check_sums(found, "ns")
    (one,) = found["comparisons"]
    assert one["shuffled"].endswith("stock.onnx")
    assert one["dissolved"].endswith("_fp32.onnx")
    stock = next(file for file in found["files"] if file["file"] == one["shuffled"])
    (shuffles,) = [kind for kind in stock["kinds"] if kind["kind"] == "channel shuffle"]
    assert shuffles["ns"] == one["shuffles_ns"] > 0
    assert run("profile", tmp_path / "made", tmp_path / "stock.onnx", "--runtime", "ort") == 0
    assert "channel shuffles are" in " ".join(capsys.readouterr().out.split())


@pytest.mark.device
def test_instructions_add_up_to_the_models_own(busy, capsys):
    arguments = ("--device", devices.address("emulated"))
    found = profiled(capsys, busy, *arguments, "--cycles")
    assert found["kind"] == "instructions"
    check_sums(found, "instructions")
    assert run("bench", busy, *arguments, "--json") == 0
    bench = json.loads(capsys.readouterr().out)["results"]
    for file in found["files"]:
        assert file["method"] == "differences"
        operators = sum(layer["instructions"] for layer in file["layers"])
        (own,) = [
            one["instructions"]
            for one in bench
            if (one["runtime"], one["precision"]) == (file["runtime"], file["precision"])
        ]
        assert operators + file["empty_instructions"] == pytest.approx(own, rel=0.01)
        assert 99 <= file["explained_percent"] <= 101
        assert file["layers"][0]["instructions"] > 0
        *kinds, whole = [kind["cycles"] for kind in file["kinds"]]
        assert sum(kinds) == whole == file["cycles"]
        assert own / 4 < whole < own


@pytest.mark.device
def test_a_board_over_ssh(small, capsys):
    found = profiled(capsys, small, "--device", devices.address("ssh"), "--precision", "int8")
    check_sums(found, "ns")
    assert [one["method"] for one in found["files"]] == ["profiler", "differences"]


@pytest.mark.device
def test_instructions_are_of_one_thread(small):
    address = devices.address("emulated")
    assert run("profile", small, "--device", address, "--threads", 2) == 2


@pytest.mark.parametrize(
    ("target", "code", "what"),
    [
        ("nowhere.onnx", 7, "There is no"),
        ("calib.npz", 5, "is no model file"),
        ("broken.onnx", 5, "cannot be read as ONNX"),
        ("broken.tflite", 5, "cannot be read as TFLite"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, capsys, target, code, what):
    if target != "nowhere.onnx":
        (tmp_path / target).write_bytes(b"no model at all")
    assert run("profile", tmp_path / target) == code
    assert what in capsys.readouterr().err


def test_a_choice_without_a_file_is_refused(small, capsys):
    arguments = ("--runtime", "litert", "--precision", "fp32")
    assert run("profile", small / "small_int8.tflite", *arguments) == 7
    assert "no model file for litert fp32" in capsys.readouterr().err


def test_a_part_of_a_tflite_file_computes_what_the_whole_does(small):
    content = (small / "small_fp32.tflite").read_bytes()
    image = np.random.default_rng(0).standard_normal((1, 16, 16, 3), dtype=np.float32)
    whole = tflite_values(content, image)
    operators = len(tflite_graph.load(small / "small_fp32.tflite").nodes)
    for count in range(operators + 1):
        changed = bytearray(content)
        for offset, data in tflite_cut(content, count):
            changed[offset : offset + len(data)] = data
        found = tflite_values(bytes(changed), image)
        if count == 0:
            np.testing.assert_array_equal(*found.values(), image)
        if count == operators:
            assert found.keys() == whole.keys()
            for index, values in found.items():
                np.testing.assert_array_equal(values, whole[index])


def tflite_values(content, image):
    """Outputs by the number of their tensor."""
    with quiet():
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return {
        one["index"]: interpreter.get_tensor(one["index"])
        for one in interpreter.get_output_details()
    }


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_parts_of_an_onnx_graph_run(small, precision):
    session = open_session(str(small / f"small_{precision}.onnx"), 1)
    session.stage(np.zeros((1, 3, 16, 16), np.float32))
    graph = read_graph(session.graph())
    cuts = list(onnx_cuts(graph))
    assert len(cuts) == len(graph.graph.node) + 1
    for content in cuts:
        session.cut([(0, content)])
        session.invoke()
    with pytest.raises(ValueError, match="can only be replaced"):
        session.cut([(1, cuts[0])])


def test_what_is_profiled_is_the_graph_that_was_told(tmp_path):
    graph = Graph(size=16)
    x = graph.relu(graph.conv("input", 16, 3))
    for width in range(16, 129, 16):
        # Convolutions with their channels in blocks, where the processor has it, and what needs
        # them in a row: the runtime reorders, under names that differ from session to session.
        x = graph.shuffle(graph.relu(graph.conv(x, width)))
    onnx.save(graph.classifier(graph.conv(x, 16)), tmp_path / "shuffling.onnx")
    shapes = onnx_graph.load(tmp_path / "shuffling.onnx").shapes
    session = open_session(str(tmp_path / "shuffling.onnx"), 1)
    session.stage(np.zeros((1, 3, 16, 16), np.float32))
    made = read_graph(session.graph())
    told = {one["name"]: one["shapes"] for one in session.profile(1)}
    assert {node.name for node in made.graph.node} == told.keys()
    for node in made.graph.node:
        for value, shape in zip(node.output, told[node.name], strict=True):
            # What is inserted gives values of its own.
            assert shapes.get(value, tuple(shape)) == tuple(shape)
