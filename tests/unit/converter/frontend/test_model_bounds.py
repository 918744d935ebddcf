"""Models that are small as files and would be large in memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import run

from edgeshuffle.converter.frontend.onnx_file import read_onnx
from edgeshuffle.errors import ModelError, UnknownNameError


def constant(name, values):
    return numpy_helper.from_array(np.asarray(values), name)


def model(path, nodes, constants, side=32):
    """Adds the mean of `big` to its input."""
    nodes = [*nodes, helper.make_node("ReduceMean", ["big"], ["mean"], keepdims=0)]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Add", ["input", "mean"], ["out"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, side, side))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None] * 4)],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path


def of_shape(path):
    fill = helper.make_node("ConstantOfShape", ["shape"], ["big"])
    return model(path, [fill], [constant("shape", np.array([3000, 1000, 1000]))])


def of_computed_shape(path):
    nodes = [
        helper.make_node("Mul", ["shape", "shape"], ["square"]),
        helper.make_node("ConstantOfShape", ["square"], ["big"]),
    ]
    return model(path, nodes, [constant("shape", np.array([55, 32, 32]))])


def of_range(path):
    nodes = [helper.make_node("Range", ["from", "to", "by"], ["big"])]
    ends = {"from": 0, "to": 3e9, "by": 1}
    return model(path, nodes, [constant(name, np.float32(value)) for name, value in ends.items()])


@pytest.mark.parametrize("make", [of_shape, of_computed_shape, of_range])
def test_constants_that_a_model_blows_up_are_refused(tmp_path, make):
    path = make(tmp_path / "big.onnx")
    script = (
        "import re, sys\nfrom pathlib import Path\n"
        "from edgeshuffle.converter.frontend import to_ir\n"
        "from edgeshuffle.errors import ModelError\n"
        "from edgeshuffle.converter.frontend.onnx_file import read_onnx\n"
        "try:\n    to_ir(read_onnx(Path(sys.argv[1]), None))\n"
        "except ModelError as err:\n    print(len(str(err).splitlines()))\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert re.fullmatch(r"1\n(\d+)\n", done.stdout)
    assert int(done.stdout.split()[1]) < 1_500_000


def test_inputs_are_bounded(tmp_path, capsys):
    path = model(tmp_path / "a.onnx", [], [constant("big", np.float32([1]))], side=60_000)
    with pytest.raises(ModelError, match="60000 pixels a side"):
        read_onnx(path, None)
    assert (
        run("export", "--resolution", 100_000, "-o", tmp_path / "o") == UnknownNameError.exit_code
    )
    assert "--resolution 100000 is above 2048" in capsys.readouterr().err


def external(path, location):
    tensor = TensorProto(name="big", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return model(path, [], [tensor])


@pytest.mark.parametrize("location", ["/dev/zero", "pipe", "none", "huge", "../a.onnx"])
def test_weights_beside_the_file_are_files_of_a_sensible_size(tmp_path, location):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(ModelError, match="is not a valid ONNX model"):
        read_onnx(external(tmp_path / "a.onnx", location), None)


def test_weights_beside_the_file_are_read(tmp_path):
    (tmp_path / "weights").write_bytes(np.float32([1, 2, 3, 4]).tobytes())
    read = read_onnx(external(tmp_path / "a.onnx", "weights"), None)
    assert onnx.numpy_helper.to_array(read.graph.initializer[0]).tolist() == [1, 2, 3, 4]


def test_a_large_file_is_not_read(tmp_path):
    with (tmp_path / "a.onnx").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ModelError, match="larger than 1024 MiB"):
        read_onnx(tmp_path / "a.onnx", None)
