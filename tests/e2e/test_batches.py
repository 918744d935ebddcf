"""Files for several images at once: every image gets what it gets alone."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from networks import Graph, noise
from random_graphs import gated, unit, unit_v1
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.errors import ModelError, UnknownNameError
from edgeshuffle.runner.compare import CompareOptions, compare

SIZE = 16


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    graph = Graph(size=SIZE)
    x = graph.max_pool(graph.relu(graph.conv("input", 16, 3, 2)))
    x = gated(graph, unit(graph, unit(graph, x, "5d", down=True), "5d"))
    x = unit_v1(graph, graph.relu(graph.conv(x, 12)), "5d", 3)
    onnx.save(graph.classifier(x, others=[x]), folder / "net.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (24, SIZE, SIZE, 3), dtype=np.uint8)
    np.savez(folder / "calib.npz", x=pixels)
    return folder


def exported(given, out, *arguments):
    calibration = ("--int8", "--calib", given / "calib.npz", "--recipe", "fast")
    return run("export", "--onnx", given / "net.onnx", *calibration, *arguments, "-o", out)


def test_a_fixed_batch_is_in_both_formats(given, tmp_path):
    assert exported(given, tmp_path / "one") == 0
    assert exported(given, tmp_path / "three", "--batch", 3) == 0
    one, three = (Artifact.load(tmp_path / name) for name in ("one", "three"))
    assert three.manifest.num_classes == one.manifest.num_classes
    images = [noise(SIZE, seed) for seed in range(3)]
    for alone, together in zip(one.manifest.files, three.manifest.files, strict=True):
        assert together.batch == 3
        first, second = (
            RUNTIMES[file.runtime].open_session(str(artifact.path(file)), 1)
            for artifact, file in ((one, alone), (three, together))
        )
        expected = [first.run(image) for image in images]
        for number, values in enumerate(second.run(np.concatenate(images))):
            wanted = np.concatenate([outputs[number] for outputs in expected])
            np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-4)


def test_a_dynamic_batch_is_open(given, tmp_path):
    assert exported(given, tmp_path / "out", "--batch", "dynamic", "--format", "onnx") == 0
    artifact = Artifact.load(tmp_path / "out")
    for file in artifact.manifest.files:
        session = ort.InferenceSession(artifact.path(file), providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == ["batch", 3, SIZE, SIZE]
        for count in (1, 5):
            image = np.repeat(noise(SIZE), count, 0)
            found = session.run(None, {"input": image})
            assert all(len(values) == count for values in found)


def test_a_dynamic_model_stays_usable(given, tmp_path):
    proto = onnx.load(given / "net.onnx")
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.save(proto, tmp_path / "open.onnx")
    assert run("export", "--onnx", tmp_path / "open.onnx", "-o", tmp_path / "out") == 0


def fixed(proto, batch):
    """The same network of another batch, as an exporter writes it: in every Reshape."""
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.shape.dim[0].dim_value = batch
    targets = {node.input[1] for node in proto.graph.node if node.op_type == "Reshape"}
    for constant in proto.graph.initializer:
        if constant.name in targets:
            sizes = onnx.numpy_helper.to_array(constant).copy()
            sizes[0] *= batch
            constant.CopyFrom(onnx.numpy_helper.from_array(sizes, constant.name))
    return proto


def test_a_given_fixed_batch_is_kept(given, tmp_path):
    assert exported(given, tmp_path / "one") == 0
    onnx.save(fixed(onnx.load(given / "net.onnx"), 3), tmp_path / "net.onnx")
    arguments = ("--onnx", tmp_path / "net.onnx", "--int8", "--calib", given / "calib.npz")
    for batch, options in ((3, ()), (1, ("--batch", 1))):
        out = tmp_path / f"out{batch}"
        assert run("export", *arguments, "--recipe", "fast", *options, "-o", out) == 0
        found = Artifact.load(out).manifest
        assert [file.batch for file in found.files] == [batch] * 4
    one = Artifact.load(tmp_path / "one").manifest
    assert [file.sha256 for file in found.files] == [file.sha256 for file in one.files]


def test_a_given_batch_that_mixes_its_images_is_refused(tmp_path, capsys):
    graph = Graph(size=8)
    x = graph.relu(graph.conv("input", 4))
    y = graph.add("ReduceMean", x, graph.ints(0), keepdims=1)[0]
    proto = graph.classifier(graph._like(graph.add("Sub", x, y)[0], x))
    onnx.save(fixed(proto, 2), tmp_path / "mixed.onnx")
    arguments = ("--onnx", tmp_path / "mixed.onnx", "-o", tmp_path / "out")
    assert run("export", *arguments) == ModelError.exit_code
    assert "reads 2 images at once, and these may mix them: ReduceMean" in capsys.readouterr().err


def test_images_that_fill_up_a_batch_are_not_compared(given, tmp_path):
    found = []
    for batch in (1, 3):
        assert exported(given, tmp_path / str(batch), "--batch", batch) == 0
        artifact = Artifact.load(tmp_path / str(batch))
        options = CompareOptions(artifact=artifact, data=given / "calib.npz", limit=4)
        found.append(compare(options).layers)
    assert len(found[0]) > 10
    for one, other in zip(*found, strict=True):
        assert one.sqnr_db == pytest.approx(other.sqnr_db, rel=1e-4), one.name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--batch", "dynamic"), "--batch dynamic is of ONNX files"),
        (("--batch", 0), "--batch 0 must be from 1 to"),
        (("--batch", 1000), "--batch 1000 must be from 1 to"),
    ],
)
def test_impossible_batches_are_refused(given, tmp_path, arguments, said, capsys):
    assert exported(given, tmp_path / "out", *arguments) == UnknownNameError.exit_code
    assert said in capsys.readouterr().err


def test_what_mixes_images_is_named(tmp_path, capsys):
    graph = Graph(size=8)
    x = graph.transpose(graph.conv("input", 4), 1, 0, 2, 3)
    onnx.save(graph.model(graph.add("Softplus", x)[0]), tmp_path / "mixed.onnx")
    arguments = ("--onnx", tmp_path / "mixed.onnx", "--batch", 2, "--format", "onnx")
    assert run("export", *arguments, "-o", tmp_path / "out") == ModelError.exit_code
    assert "Only one image at a time" in capsys.readouterr().err
