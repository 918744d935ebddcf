"""Models that users bring: each is exported right or refused in one line, never exported wrong."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.dataset import open_images
from edgeshuffle.errors import ModelError

RNG = np.random.default_rng(7)
SIDE, WIDTH, CLASSES = 32, 8, 5


def constant(name, array):
    array = np.asarray(array)
    return numpy_helper.from_array(
        array.astype(np.float32) if array.dtype == np.float64 else array, name
    )


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), output.split(), **attributes)


def model(middle=(), head=None, constants=(), *, ends=("x", "y"), width=WIDTH):
    """A convolution `a`, the nodes `middle` from `a` to `m`, and a head from `m` to the output."""
    given, returned = ends
    kernel = RNG.standard_normal((WIDTH, 3, 3, 3)) / 3
    second = RNG.standard_normal((WIDTH, width, 1, 1)) / 3
    matrix = RNG.standard_normal((CLASSES, WIDTH)) / 3
    if head is None:
        head = [
            node("GlobalAveragePool", "r", "p"),
            node("Flatten", "p", "f"),
            node("Gemm", "f W bias", returned, transB=1),
        ]
    nodes = [
        node("Conv", f"{given} K", "c", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "c", "a"),
        *(middle or [node("Identity", "a", "m")]),
        node("Conv", "m K2", "c2"),
        node("Relu", "c2", "r"),
        *head,
    ]
    weights = [constant("K", kernel), constant("K2", second), constant("W", matrix)]
    weights.append(constant("bias", RNG.standard_normal(CLASSES)))
    value = helper.make_tensor_value_info
    used = {name for one in nodes for name in one.input}
    graph = helper.make_graph(
        nodes,
        "strange",
        [value(given, onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [value(returned, onnx.TensorProto.FLOAT, None)],
        [tensor for tensor in (*weights, *constants) if tensor.name in used],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return onnx.shape_inference.infer_shapes(made)


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "calibration.npz"
    np.savez(path, x=RNG.integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8))
    return path


def exported(made, tmp_path, calibration):
    """Every runtime's files by precision, and the model's own logits of an image."""
    path = tmp_path / "strange.onnx"
    onnx.save(made, path)
    code = run("export", "--onnx", path, "--int8", "--calib", calibration, "-o", tmp_path / "out")
    if code:
        return code, None, None
    artifact = Artifact.load(tmp_path / "out")
    images = open_images(calibration, artifact.manifest.preprocess)
    image = next(iter(images))
    found = {
        (file.runtime, file.precision): RUNTIMES[file.runtime]
        .open_session(str(artifact.path(file)), 1)
        .run(image)[0]
        .reshape(-1)
        for file in artifact.manifest.files
    }
    import onnxruntime

    own = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = own.run(None, {own.get_inputs()[0].name: image})
    return artifact, found, expected.reshape(-1)


TWO = [
    node("GlobalAveragePool", "r", "p"),
    node("Flatten", "p", "f"),
    node("Gemm", "f W1", "h", transB=1),
    node("Relu", "h", "hr"),
    node("Gemm", "hr W", "y", transB=1),
]
NORM = [
    node("GlobalAveragePool", "r", "p"),
    node("Flatten", "p", "f"),
    node("Gemm", "f W bias", "g", transB=1, alpha=0.5, beta=3.0),
    node("BatchNormalization", "g gamma nb mean var", "y"),
]
STATISTICS = [
    constant(name, RNG.uniform(0.5, 2, CLASSES)) for name in ("gamma", "nb", "mean", "var")
]


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("two layers", model(head=TWO, constants=[constant("W1", RNG.normal(size=(8, 8)))])),
        ("relu at the output", model(head=[*TWO[:3], node("Relu", "h", "y")],
                                     constants=[constant("W1", RNG.normal(size=(4, 8)))])),
        ("batch norm after a scaled Gemm", model(head=NORM, constants=STATISTICS)),
        ("a map of one pixel", model(head=[node("GlobalAveragePool", "r", "p"),
                                           node("Conv", "p W4", "y")],
                                     constants=[constant("W4", RNG.normal(size=(5, 8, 1, 1)))])),
        ("channels in another order", model([node("Gather", "a order", "m", axis=1)],
                   constants=[constant("order", np.array([3, 1, 2, 0, 7, -3, 6, 4]))])),
        ("a negative slice", model([node("Slice", "a from to axis", "m")], width=4,
                                     constants=[constant("from", np.array([-4])),
                                                constant("to", np.array([2**62])),
                                                constant("axis", np.array([1]))])),
        ("x and x_q", model(ends=("x", "x_q"))),
        ("y_q and y", model(ends=("y_q", "y"))),
        ("zero_point_0", model(ends=("scale_1", "zero_point_0"))),
        ("y_conv and y", model(ends=("y_conv", "y"))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_exported_right(name, made, tmp_path, calibration):
    artifact, found, expected = exported(made, tmp_path, calibration)
    assert artifact.manifest.num_classes == len(expected)
    spread = np.abs(expected).max() + expected.std()
    for (_, precision), logits in found.items():
        limit = 1e-5 if precision == "fp32" else 0.1
        assert np.abs(logits - expected).max() <= limit * spread
    (output,) = artifact.manifest.quantization["outputs"].values()
    step = output["scale"]
    assert np.abs(found["ort", "int8"] - found["litert", "int8"]).max() <= 2.01 * step


def moved(op, inputs, **attributes):
    return [node(op, inputs, "m", **attributes)]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (model([node("Concat", "zeros a", "m", axis=1)], width=10,
               constants=[constant("zeros", np.zeros((1, 2, 16, 16)))]), "a constant input"),
        (model(moved("Gather", "a order", axis=2),
               constants=[constant("order", np.array([3, 1, 2, 0]))]), ""),
        (model(moved("Slice", "a from to axis step"),
               constants=[constant("from", np.array([0])), constant("to", np.array([99])),
                          constant("axis", np.array([2])), constant("step", np.array([2]))]),
         ""),
        (model([node("Slice", "a one to axis", "low"), node("Slice", "a zero one axis", "high"),
                node("Concat", "low high", "m", axis=2)],
               constants=[constant("zero", np.array([0])), constant("one", np.array([1])),
                          constant("to", np.array([99])), constant("axis", np.array([2]))]),
         ""),
        (model(head=[*TWO[:2], node("MatMul", "f V", "h"), node("Add", "h column", "y")],
               constants=[constant("V", RNG.normal(size=(8, 5))),
                          constant("column", RNG.normal(size=(5, 1)))]), ""),
        (model(moved("Clip", "a low"), constants=[constant("low", np.float64(0.5))]), ""),
        (model(moved("Clip", "a low high"), constants=[
            constant("low", np.float64(0)), constant("high", np.float64(np.nan))]),
         "two constant numbers"),
    ],
)  # fmt: skip
def test_kept(made, reason, tmp_path, calibration, capsys):
    """Those that no reason is given for are in both formats."""
    _, found, expected = exported(made, tmp_path, calibration)
    assert reason in capsys.readouterr().out
    assert {runtime for runtime, _ in found} == ({"ort"} if reason else {"ort", "litert"})
    spread = np.abs(expected).max() + expected.std()
    for precision, limit in (("fp32", 1e-5), ("int8", 0.1)):
        assert np.abs(found["ort", precision] - expected).max() <= limit * spread


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (model(head=NORM, constants=[*STATISTICS[:3], constant("var", -np.ones(CLASSES))]),
         "variance"),
        (model(head=NORM, constants=[*STATISTICS[:3], constant("var", np.full(CLASSES, np.nan))]),
         "NaN"),
        (model(width=8, head=[node("GlobalAveragePool", "r", "p"), node("Flatten", "p", "f"),
               node("Gemm", "f huge", "h", transB=1), node("Gemm", "h W", "y", transB=1)],
               constants=[constant("huge", np.full((8, 8), 3e38))]), "NaN or infinity"),
    ],
)  # fmt: skip
def test_refused(made, message, tmp_path, calibration, capsys):
    code, _, _ = exported(made, tmp_path, calibration)
    err = capsys.readouterr().err.splitlines()
    assert (code, len(err)) == (ModelError.exit_code, 1)
    assert message in err[0]
    assert not (tmp_path / "out").exists()


def test_a_model_without_a_convolution(tmp_path, capsys):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node("Identity", "x", "y")],
        "none",
        [value("x", onnx.TensorProto.FLOAT, [1, 3, 32, 32])],
        [value("y", onnx.TensorProto.FLOAT, None)],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(onnx.shape_inference.infer_shapes(made), tmp_path / "none.onnx")
    code = run("export", "--onnx", tmp_path / "none.onnx", "-o", tmp_path / "out")
    assert code == ModelError.exit_code
    assert "nothing to export" in capsys.readouterr().err
