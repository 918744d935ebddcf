"""ArgMax chooses among the values of its own file, in both formats, float and INT8."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from networks import Graph, noise, run_all
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.operators.check import keep

SIZE = 8


def choosing(*, flat, axis, keepdims=1, **attributes):
    """A network that also gives what it chooses from."""
    graph = Graph(size=SIZE)
    x = graph.conv(graph.shuffle(graph.relu(graph.conv("input", 6))), 5)
    if flat:
        x = graph.add("Flatten", graph.add("GlobalAveragePool", x)[0])[0]
    proto = graph.model(x)
    attributes |= {"axis": axis, "keepdims": keepdims}
    proto.graph.node.append(onnx.helper.make_node("ArgMax", [x], ["class"], **attributes))
    found = np.zeros((1, 5) if flat else (1, 5, SIZE, SIZE)).argmax(axis, keepdims=bool(keepdims))
    kind = onnx.helper.make_tensor_value_info("class", onnx.TensorProto.INT64, found.shape)
    proto.graph.output.append(kind)
    return proto


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(("flat", "axis"), [(True, -1), (False, 1), (False, 3)])
def test_every_file_chooses_the_largest_of_its_own(tmp_path, flat, axis, keepdims):
    proto = choosing(flat=flat, axis=axis, keepdims=keepdims)
    onnx.save(proto, tmp_path / "net.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
    np.savez(tmp_path / "calib.npz", x=pixels)
    arguments = ("--int8", "--calib", tmp_path / "calib.npz", "--recipe", "fast", "--batch", 2)
    out = tmp_path / "out"
    assert run("export", "--onnx", tmp_path / "net.onnx", *arguments, "-o", out) == 0
    artifact = Artifact.load(out)
    along = axis % (2 if flat else 4)
    only_onnx = axis == 3 and not keepdims
    assert len(artifact.manifest.files) == (2 if only_onnx else 4)
    images = [noise(SIZE, seed) for seed in range(2)]
    expected = np.concatenate([list(run_all(proto, image).values())[1] for image in images])
    for file in artifact.manifest.files:
        session = RUNTIMES[file.runtime].open_session(str(artifact.path(file)), 1)
        values, index = session.run(np.concatenate(images))
        assert file.outputs[1].dtype == "int64"
        own = np.argmax(values, along, keepdims=bool(keepdims))
        np.testing.assert_array_equal(index, own)
        if file.precision == "fp32":
            np.testing.assert_array_equal(index, expected)


def test_a_chosen_class_is_no_row_of_classes(tmp_path):
    proto = choosing(flat=True, axis=1, keepdims=0)
    del proto.graph.output[0]
    onnx.save(proto, tmp_path / "net.onnx")
    assert run("export", "--onnx", tmp_path / "net.onnx", "-o", tmp_path / "out") == 0
    manifest = Artifact.load(tmp_path / "out").manifest
    assert len(manifest.files) == 2
    assert manifest.num_classes is None


def test_the_last_of_equal_ones_is_kept_in_float():
    proto = choosing(flat=True, axis=1, select_last_index=1)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    assert any("the last of equal values" in reason for reason in keep(model))
