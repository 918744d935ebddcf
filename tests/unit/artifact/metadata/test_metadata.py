"""What a file says of itself is read as it was written, from both formats and from strangers."""

from __future__ import annotations

import json
import zipfile

import flatbuffers
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Graph, noise
from small_models import BUILTIN

from edgeshuffle.artifact import Preprocess
from edgeshuffle.artifact.metadata import Metadata, read_metadata
from edgeshuffle.artifact.metadata.onnx import of_properties
from edgeshuffle.artifact.metadata.schema import METADATA_NAME
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.emit.tflite_metadata import tflite_metadata, with_labels
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import load_recipe
from edgeshuffle.runner.inspect import inspect_file
from edgeshuffle.untrusted import UntrustedError

SIZE = 9
PREPROCESS = Preprocess(
    resize=12, crop=(SIZE, SIZE), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
)
SAID = Metadata(
    name="small",
    description="small, 3 classes",
    preprocess=PREPROCESS,
    labels=("T-shirt/top", "Größe", "a, b: c"),
    output="logits",
)


@pytest.fixture(scope="module")
def model():
    graph = Graph(size=SIZE)
    made = to_ir(graph.classifier(graph.relu(graph.conv("input", 4, 3)), 3))
    run_passes(made)
    return made


@pytest.fixture(scope="module")
def plan(model):
    return quantize(model, [noise(SIZE)], load_recipe("fast", "minmax")).plan


@pytest.fixture(scope="module")
def files(model, plan, tmp_path_factory):
    """Every kind of file, with and without metadata, by format, kind and whether it has some."""
    folder = tmp_path_factory.mktemp("said")
    kinds = {
        ("onnx", "fp32"): (None, {}),
        ("onnx", "int8"): (plan, {}),
        ("tflite", "fp32"): (None, {}),
        ("tflite", "fp16"): (None, {"floats": "fp16"}),
        ("tflite", "int8"): (plan, {}),
    }
    made = {}
    for (name, kind), (chosen, choices) in kinds.items():
        for said in (SAID, None):
            path = folder / f"{kind}_{said is not None}.{name}"
            path.write_bytes(EMITTERS[name].emit(model, chosen, metadata=said, **choices).data)
            made[name, kind, said is not None] = path
    return made


def test_every_file_says_what_it_was_given(files):
    for (_, _, said), path in files.items():
        assert read_metadata(path) == (SAID if said else Metadata())


def test_other_readers_find_it(files):
    for (name, kind, said), path in files.items():
        if name == "tflite" and said:
            with zipfile.ZipFile(path) as archive:
                assert archive.read("labels.txt").decode().splitlines() == list(SAID.labels)
                assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
            model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
            entries = {entry.name.decode() for entry in model.metadata}
            half = {"reduced_precision_support"} if kind == "fp16" else set()
            assert entries == {METADATA_NAME, "edgeshuffle"} | half
        if name == "onnx":
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            entries = session.get_modelmeta().custom_metadata_map
            assert of_properties(entries) == (SAID if said else Metadata())


def test_metadata_change_no_number(files):
    for name, kind, said in files:
        if name == "tflite" and said:
            outputs = []
            for path in (files[name, kind, True], files[name, kind, False]):
                runner = Interpreter(str(path)).get_signature_runner("serving_default")
                given = runner.get_input_details()
                (end,) = given
                shape, dtype = given[end]["shape"], given[end]["dtype"]
                image = (100 * noise(SIZE).reshape(shape)).astype(dtype)
                (output,) = runner(**{end: image}).values()
                outputs.append(output)
            np.testing.assert_array_equal(*outputs)


def test_the_same_says_the_same_bytes(model, plan, files):
    for name, chosen in (("tflite", plan), ("onnx", plan)):
        again = EMITTERS[name].emit(model, chosen, metadata=SAID).data
        assert again == files[name, "int8", True].read_bytes()


def foreign(folder, files, raw, labels=(), model=None):
    """A TFLite file of somebody else, with this standard metadata."""
    model = model or schema.ModelT.InitFromPackedBuf(files["tflite", "fp32", False].read_bytes(), 0)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(raw, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME.encode(), len(model.buffers) - 1
    model.metadata = [entry]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path = folder / "foreign.tflite"
    path.write_bytes(with_labels(bytes(builder.Output()), labels))
    return path


def test_of_a_foreign_file_the_standard_is_read(files, tmp_path):
    path = foreign(tmp_path, files, tflite_metadata(SAID, ["input"], ["logits"]), SAID.labels)
    found = read_metadata(path)
    assert found.labels == SAID.labels
    assert (found.name, found.output) == ("small", None)
    assert found.preprocess.crop == (SIZE, SIZE)
    assert found.preprocess.resize == SIZE
    np.testing.assert_allclose(found.preprocess.mean, PREPROCESS.mean, rtol=1e-6)
    np.testing.assert_allclose(found.preprocess.std, PREPROCESS.std, rtol=1e-6)


@pytest.mark.parametrize(
    ("operators", "output"),
    [
        ((BUILTIN.SOFTMAX,), "probabilities"),
        ((BUILTIN.LOGISTIC, BUILTIN.RESHAPE, BUILTIN.QUANTIZE), "probabilities"),
        ((BUILTIN.SOFTMAX, BUILTIN.RELU), None),
        ((BUILTIN.QUANTIZE,), None),
    ],
)
def test_of_a_foreign_file_the_end_tells_what_it_gives(files, tmp_path, operators, output):
    model = schema.ModelT.InitFromPackedBuf(files["tflite", "fp32", False].read_bytes(), 0)
    graph = model.subgraphs[0]
    for kind in operators:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode, code.deprecatedBuiltinCode = kind, min(kind, 127)
        operator.opcodeIndex = len(model.operatorCodes)
        model.operatorCodes.append(code)
        operator.inputs = graph.outputs
        graph.tensors.append(graph.tensors[graph.outputs[0]])
        graph.outputs = np.array([len(graph.tensors) - 1], np.int32)
        operator.outputs = graph.outputs
        graph.operators.append(operator)
    raw = tflite_metadata(SAID, ["input"], ["logits"])
    path = foreign(tmp_path, files, raw, SAID.labels, model)
    assert read_metadata(path).output == output


def test_class_names_packed_in_ways_of_their_own_are_refused(files, tmp_path):
    path = foreign(tmp_path, files, tflite_metadata(SAID, ["input"], ["logits"]))
    plain = path.read_bytes()
    for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        path.write_bytes(plain)
        with zipfile.ZipFile(path, "a", kind) as archive:
            archive.writestr("labels.txt", "one\ntwo\nthree\n" * 9)
        if kind == zipfile.ZIP_DEFLATED:
            assert len(read_metadata(path).labels) == 27
            continue
        # Damaged, some of them raise errors that are zipfile's own in no way.
        whole = bytearray(path.read_bytes())
        whole[len(plain) + 50] ^= 0xFF
        path.write_bytes(whole)
        with pytest.raises(UntrustedError, match="not there, or damaged"):
            read_metadata(path)


def test_entries_that_lie_over_each_other_cost_no_time(files, tmp_path):
    model = schema.ModelT.InitFromPackedBuf(files["tflite", "fp32", False].read_bytes(), 0)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"x", 0
    model.metadata = [entry] * 101
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "many.tflite").write_bytes(bytes(builder.Output()))
    with pytest.raises(UntrustedError, match="101 tables"):
        read_metadata(tmp_path / "many.tflite")


def test_a_foreign_onnx_file_shows_its_entries(files, tmp_path):
    proto = onnx.load(files["onnx", "fp32", False])
    onnx.helper.set_model_props(proto, {"labels": "cat;dog", "author": "some\x1b[31mbody"})
    onnx.save(proto, tmp_path / "foreign.onnx")
    found = inspect_file(tmp_path / "foreign.onnx").metadata
    assert found == Metadata(others={"labels": "cat;dog", "author": "some [31mbody"})


def read_or_refuse(path):
    """What a file says, None where that is refused; any other error is the reader's."""
    try:
        return read_metadata(path)
    except UntrustedError:
        return None


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 2**16), byte=st.integers(0, 255), count=st.integers(1, 4))
def test_damaged_standard_metadata_are_refused_or_read(place, byte, count, files, tmp_path_factory):
    raw = bytearray(tflite_metadata(SAID, ["input"], ["logits"]))
    for index in range(count):
        raw[(place + index) % len(raw)] = byte
    path = foreign(tmp_path_factory.getbasetemp(), files, bytes(raw), SAID.labels)
    found = read_or_refuse(path)
    assert found is None or found.preprocess is None or found.preprocess.crop == (SIZE, SIZE)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(["onnx", "tflite"]), place=st.integers(0, 2**16), cut=st.booleans(),
       byte=st.integers(0, 255))  # fmt: skip
def test_damaged_files_are_refused_or_read(name, place, cut, byte, files, tmp_path_factory):
    raw = bytearray(files[name, "int8", True].read_bytes())
    place %= len(raw)
    if cut:
        raw = raw[:place]
    else:
        raw[place] = byte
    path = tmp_path_factory.getbasetemp() / f"damaged.{name}"
    path.write_bytes(bytes(raw))
    read_or_refuse(path)


def entry(**changes):
    told = {
        "version": 1, "input": "normalised", "output": "logits", "scale": 255,
        "resize": 12, "crop": [9, 9], "mean": [0.5], "std": [0.5], "channels": "gray",
    }  # fmt: skip
    return {"edgeshuffle": json.dumps(told | changes)}


def test_an_entry_is_typed_and_bounded():
    assert of_properties(entry()).preprocess.channels == "gray"
    for changes in (
        {"version": 2}, {"scale": 1}, {"input": "sounds"}, {"crop": [9, 10**6]}, {"crop": "9"},
        {"mean": [0.5, 0.5]}, {"std": [0.0]}, {"std": [1e-300]}, {"channels": "cmyk"},
        {"resize": 0},
    ):  # fmt: skip
        with pytest.raises(UntrustedError):
            of_properties(entry(**changes))
    with pytest.raises(UntrustedError):
        of_properties(entry() | {"labels": '{"a": 1}'})


def test_a_damaged_entry_does_not_keep_a_file_from_being_inspected(files, tmp_path):
    proto = onnx.load(files["onnx", "fp32", False])
    onnx.helper.set_model_props(proto, {"edgeshuffle": "{"})
    onnx.save(proto, tmp_path / "odd.onnx")
    found = inspect_file(tmp_path / "odd.onnx")
    assert found.macs > 0
    assert found.unreadable_metadata
