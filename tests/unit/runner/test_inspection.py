"""Inspection against counts worked out by hand."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from small_models import BUILTIN, TYPES, OnnxGraph, TfliteGraph, artifact, onnx_classifier, run

from edgeshuffle.errors import ArtifactError, ModelError
from edgeshuffle.runner.inspect import Grid, inspect_file

CONV_MACS = 8 * 8 * 4 * 3 * 3 * 3  # 4 outputs of 3x3x3, stride 1
DEPTHWISE_MACS = 8 * 8 * 4 * 9
GEMM_MACS = 4 * 10
PARAMETERS = 4 * 27 + 4 + 4 * 9 + 4 * 10 + 10


def float_onnx(path, batch=1):
    graph = OnnxGraph((batch, 3, 8, 8))
    f32 = np.float32
    graph.node(
        "Conv",
        [
            "input",
            graph.constant("w", np.ones((4, 3, 3, 3), f32)),
            graph.constant("b", f32([0] * 4)),
        ],
        ["c"],
        pads=[1] * 4,
    )
    depthwise = graph.constant("dw", np.ones((4, 1, 3, 3), f32))
    graph.node("Conv", ["c", depthwise], ["d"], pads=[1] * 4, group=4)
    graph.node("Split", ["d"], ["s0", "s1"], axis=1)
    graph.node("Concat", ["s1", "s0"], ["cat"], axis=1)
    graph.node("Reshape", ["cat", graph.constant("five", np.array([1, 2, 2, 8, 8]))], ["r"])
    graph.node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4])
    graph.node("Reshape", ["t", graph.constant("four", np.array([1, 4, 8, 8]))], ["u"])
    graph.node("GlobalAveragePool", ["u"], ["mean"])
    graph.node("Flatten", ["mean"], ["flat"])
    weight = graph.constant("fc", np.ones((10, 4), f32))
    graph.node("Gemm", ["flat", weight, graph.constant("fb", f32([0] * 10))], ["logits"], transB=1)
    graph.save(path, "logits")
    return path


def test_float_onnx(tmp_path):
    found = inspect_file(float_onnx(tmp_path / "a.onnx"))
    assert found.macs == CONV_MACS + DEPTHWISE_MACS + GEMM_MACS
    assert found.parameters == PARAMETERS
    assert found.weight_bytes == 4 * PARAMETERS
    # Split, Concat and Transpose each read and write all; Reshape shares its memory.
    assert found.moved_bytes == 3 * 2 * (4 * 64 * 4)
    assert found.ops["Conv"] == 2
    assert found.transposes == 1
    assert set(found.wide_tensors) == {"r", "t"}
    assert found.requantizations == ()


def test_free_batch_counts_one_image(tmp_path):
    fixed = inspect_file(float_onnx(tmp_path / "a.onnx"))
    free = inspect_file(float_onnx(tmp_path / "b.onnx", batch="n"))
    assert replace(free, dissolved=fixed.dissolved) == fixed


def qdq_onnx(path, scales, weight_scale=0.5):
    """Two quantized branches, scales[0] and [1], into a Concat quantized with scales[2]."""
    graph = OnnxGraph((1, 3, 8, 8))
    branches = []
    for name, scale in zip("ab", scales, strict=False):
        weight = graph.constant(f"{name}w", np.ones((4, 3, 1, 1), np.int8))
        grid = [graph.constant(f"{name}ws", np.float32(weight_scale))]
        graph.node("DequantizeLinear", [weight, *grid], [f"{name}wd"])
        graph.node("Conv", ["input", f"{name}wd"], [name])
        branches.append(graph.quantize(name, scale, np.uint8(0)))
    graph.node("Concat", branches, ["cat"], axis=1)
    graph.save(path, graph.quantize("cat", scales[2], np.uint8(0)))
    return inspect_file(path)


def test_qdq_counts_stored_integers(tmp_path):
    found = qdq_onnx(tmp_path / "a.onnx", (0.5, 0.5, 0.5))
    assert found.macs == 2 * 64 * 4 * 3
    assert found.weight_bytes == found.parameters == 2 * 12
    assert found.moved_bytes == 2 * 8 * 64  # one byte an element, as fused
    assert found.requantizations == ()


def test_qdq_concat_of_differing_scales_requantizes(tmp_path):
    (found,) = qdq_onnx(tmp_path / "a.onnx", (0.25, 0.5, 0.5)).requantizations
    assert (found.op, found.output) == ("Concat", "cat_q")
    assert found.sources == (Grid("uint8", 0.25, 0), Grid("uint8", 0.5, 0))
    assert found.target == Grid("uint8", 0.5, 0)


@pytest.mark.parametrize(("zero", "count"), [(0, 0), (1, 1)])
def test_dequantize_quantize_with_another_zero_point(tmp_path, zero, count):
    graph = OnnxGraph((1, 3, 8, 8))
    inner = graph.quantize("input", 0.5, np.int8(0))
    graph.node("Identity", [inner], ["copy"])
    graph.save(tmp_path / "a.onnx", graph.quantize("copy", 0.5, np.int8(zero)))
    assert len(inspect_file(tmp_path / "a.onnx").requantizations) == count


@pytest.mark.parametrize(("scale", "count"), [(0.5, 0), (0.25, 1)])
def test_qlinear_operators(tmp_path, scale, count):
    graph = OnnxGraph((1, 3, 8, 8))
    step, other = graph.constant("s", np.float32(0.5)), graph.constant("o", np.float32(scale))
    zero = graph.constant("z", np.uint8(0))
    graph.node("QuantizeLinear", ["input", step, zero], ["q"])
    weight = graph.constant("w", np.ones((4, 3, 1, 1), np.int8))
    zero_w = graph.constant("zw", np.int8(0))
    graph.node("QLinearConv", ["q", step, zero, weight, step, zero_w, other, zero], ["c"])
    pairs = ["c", other, zero, "q", step, zero]
    ms = {"domain": "com.microsoft"}
    graph.node("QLinearConcat", [step, zero, *pairs], ["cat"], axis=1, **ms)
    pool = ["cat", step, zero, step, zero]
    graph.node("QLinearGlobalAveragePool", pool, ["mean"], channels_last=0, **ms)
    graph.node("Flatten", ["mean"], ["flat"])
    fc = graph.constant("fc", np.ones((7, 10), np.int8))
    ends = [fc, step, zero_w, "", step, zero]
    graph.node("QGemm", ["flat", step, zero, *ends], ["out"], **ms)
    graph.node("DequantizeLinear", ["out", step, zero], ["logits"])
    graph.save(tmp_path / "a.onnx", "logits")
    found = inspect_file(tmp_path / "a.onnx")
    assert found.macs == 64 * 4 * 3 + 7 * 10
    assert found.parameters == 12 + 70
    assert found.moved_bytes == 2 * 7 * 64
    assert len(found.requantizations) == count


def int8_tflite(path, *, half=(0.5, 0), output=(0.5, 0), requantize=False):
    graph = TfliteGraph()
    grid = {"kind": TYPES.INT8, "grid": (0.5, 0)}
    image = graph.tensor("input", (1, 8, 8, 3), **grid)
    weight = graph.tensor("w", (4, 3, 3, 3), TYPES.INT8, data=np.ones((4, 3, 3, 3), np.int8))
    bias = graph.tensor("b", (4,), TYPES.INT32, data=np.zeros(4, np.int32))
    conv = graph.tensor("c", (1, 8, 8, 4), **grid)
    graph.op(BUILTIN.CONV_2D, [image, weight, bias], [conv], schema.Conv2DOptionsT(), 3)
    weight = graph.tensor("dw", (1, 3, 3, 4), TYPES.INT8, data=np.ones((1, 3, 3, 4), np.int8))
    depthwise = graph.tensor("d", (1, 8, 8, 4), **grid)
    options = schema.DepthwiseConv2DOptionsT()
    graph.op(BUILTIN.DEPTHWISE_CONV_2D, [conv, weight, bias], [depthwise], options, 3)
    if requantize:
        copy = graph.tensor("copy", (1, 8, 8, 4), TYPES.INT8, grid=(0.5, 1))
        graph.op(BUILTIN.QUANTIZE, [depthwise], [copy], schema.QuantizeOptionsT())
        real = graph.tensor("real", (1, 8, 8, 4))
        graph.op(BUILTIN.DEQUANTIZE, [copy], [real], schema.DequantizeOptionsT())
        depthwise = graph.tensor("again", (1, 8, 8, 4), **grid)
        graph.op(BUILTIN.QUANTIZE, [real], [depthwise], schema.QuantizeOptionsT())
    sliced = graph.tensor("s", (1, 8, 8, 2), TYPES.INT8, grid=half)
    begin, size = graph.ints("begin", [0, 0, 0, 2]), graph.ints("size", [1, 8, 8, 2])
    graph.op(BUILTIN.SLICE, [depthwise, begin, size], [sliced], schema.SliceOptionsT(), 2)
    five = graph.tensor("five", (1, 8, 8, 1, 2), TYPES.INT8, grid=half)
    shape = graph.ints("shape", [1, 8, 8, 1, 2])
    graph.op(BUILTIN.RESHAPE, [sliced, shape], [five], schema.ReshapeOptionsT())
    flat = graph.tensor("flat", (1, 128), TYPES.INT8, grid=half)
    shape = graph.ints("flat_shape", [1, 128])
    graph.op(BUILTIN.RESHAPE, [five, shape], [flat], schema.ReshapeOptionsT())
    weight = graph.tensor("fc", (10, 128), TYPES.INT8, data=np.ones((10, 128), np.int8))
    logits = graph.tensor("logits", (1, 10), TYPES.INT8, grid=output)
    options = schema.FullyConnectedOptionsT()
    graph.op(BUILTIN.FULLY_CONNECTED, [flat, weight, -1], [logits], options, 4)
    graph.save(path, logits)
    return inspect_file(path)


def test_int8_tflite(tmp_path):
    found = int8_tflite(tmp_path / "a.tflite", output=(0.125, 3))
    assert found.macs == CONV_MACS + DEPTHWISE_MACS + 1280
    assert found.parameters == 108 + 4 + 36 + 1280  # the shared bias counts once
    assert found.weight_bytes == 108 + 16 + 36 + 1280
    # A slice reads no more than it writes; a reshape copies.
    assert found.moved_bytes == 3 * 2 * 128
    assert found.wide_tensors == ("five",)
    assert found.ops["RESHAPE"] == 2
    assert found.requantizations == ()


def test_tflite_slice_between_grids_requantizes(tmp_path):
    (found,) = int8_tflite(tmp_path / "a.tflite", half=(0.25, 0)).requantizations
    assert (found.op, found.output) == ("SLICE", "s")
    assert (found.sources, found.target) == ((Grid("int8", 0.5, 0),), Grid("int8", 0.25, 0))


def test_tflite_quantize_chains_requantize(tmp_path):
    found = int8_tflite(tmp_path / "a.tflite", requantize=True).requantizations
    assert [(item.op, item.output) for item in found] == [
        ("QUANTIZE", "copy"),
        ("QUANTIZE", "again"),
    ]


def test_shufflenet_agrees_with_its_card(tmp_path):
    torch = pytest.importorskip("torch")
    from edgeshuffle.converter.zoo.cards import load_card
    from edgeshuffle.converter.zoo.shufflenet_v2 import ShuffleNetV2

    card = load_card("shufflenet_v2_x1_0")
    assert card.macs == pytest.approx(146e6, rel=0.01)
    model = ShuffleNetV2(card.channels)
    macs = 0
    graph = OnnxGraph((1, 3, 224, 224))
    # Without an exporter: only the graph's convolutions, with the shapes that torch gives them.
    shapes = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda m, i, o, name=name: shapes.update({name: (m, tuple(i[0].shape))})
            )
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 224, 224))
    last = ""
    for name, (module, shape) in shapes.items():
        graph.node(
            "Expand",
            [
                graph.constant(f"{name}.x", np.float32(0)),
                graph.constant(f"{name}.s", np.array(shape)),
            ],
            [f"{name}.i"],
        )
        weight = graph.constant(f"{name}.w", np.zeros(module.weight.shape, np.float32))
        last = graph.node(
            "Conv",
            [f"{name}.i", weight],
            [f"{name}.o"],
            group=module.groups,
            strides=module.stride,
            pads=module.padding * 2,
        )
    graph.save(tmp_path / "a.onnx", last)
    macs = inspect_file(tmp_path / "a.onnx").macs
    assert macs + 1024 * 1000 == card.macs


class TestErrors:
    def test_missing_or_foreign(self, tmp_path):
        for name in ("a.onnx", "folder"):
            with pytest.raises(ArtifactError, match=f"There is no .*{name}"):
                inspect_file(tmp_path / name)
        (tmp_path / "a.pt").write_bytes(b"")
        with pytest.raises(ModelError, match="is no model file"):
            inspect_file(tmp_path / "a.pt")

    def test_damaged_onnx(self, tmp_path):
        path = float_onnx(tmp_path / "a.onnx")
        content = path.read_bytes()
        for damaged in (b"\xff" * 100, content[: len(content) // 2]):
            path.write_bytes(damaged)
            with pytest.raises(ModelError, match=r"a\.onnx"):
                inspect_file(path)

    def test_damaged_tflite(self, tmp_path):
        path = tmp_path / "a.tflite"
        int8_tflite(path)
        content = path.read_bytes()
        for damaged in (b"", b"\0" * 100, content[:8], content[:200]):
            path.write_bytes(damaged)
            with pytest.raises(ModelError, match=r"a\.tflite"):
                inspect_file(path)

    def test_unknown_shapes(self, tmp_path):
        path = float_onnx(tmp_path / "a.onnx")
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
        onnx.save(model, path)
        found = inspect_file(path)
        assert found.inputs == {"input": None}
        assert found.macs < inspect_file(float_onnx(tmp_path / "b.onnx")).macs
        assert any("shape of c" in unknown for unknown in found.unknown)

    def test_control_flow(self, tmp_path):
        graph = OnnxGraph((1,))
        inner = onnx.helper.make_node("Relu", ["input"], ["r"])
        out = onnx.helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None)
        body = onnx.helper.make_graph([inner], "body", [], [out])
        condition = graph.constant("yes", np.array(True))
        graph.node("If", [condition], ["logits"], then_branch=body, else_branch=body)
        graph.save(tmp_path / "a.onnx", "logits")
        found = inspect_file(tmp_path / "a.onnx")
        assert found.ops == {"If": 1, "Relu": 2}
        assert found.unknown == ("If (If: control flow)",)


class TestCommand:
    def test_one_column_a_file_of_the_newest_artifact(self, tmp_path, monkeypatch, capsys):
        folder = tmp_path / "build" / "demo"
        folder.mkdir(parents=True)
        weight, bias = np.ones((10, 3), np.float32), np.zeros(10, np.float32)
        onnx_classifier(folder / "model_fp32.onnx", weight, bias, 8)
        int8_tflite(folder / "model_int8.tflite", half=(0.25, 0))
        files = [("model_fp32.onnx", "fp32"), ("model_int8.tflite", "int8")]
        artifact(folder, files, num_classes=10, size=8)
        monkeypatch.chdir(tmp_path)
        assert run("inspect", "--json") == 0
        found = json.loads(capsys.readouterr().out)["files"]
        assert found["model_fp32.onnx"]["macs"] == 30
        assert found["model_int8.tflite"]["requantizations"][0]["target"]["scale"] == 0.25
        assert run("inspect") == 0
        table = capsys.readouterr().out
        assert "fp32.onnx" in table
        assert "SLICE to 's' requantizes: scale 0.5 to 0.25" in table

    def test_a_file_and_an_error(self, tmp_path, capsys):
        assert run("inspect", float_onnx(tmp_path / "a.onnx")) == 0
        assert "Transposes" in capsys.readouterr().out
        assert run("inspect", tmp_path / "b.onnx") == ArtifactError.exit_code
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
