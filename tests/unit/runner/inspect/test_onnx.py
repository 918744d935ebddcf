"""Inspection of ONNX files against counts worked out by hand."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from small_models import OnnxGraph, run

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


def test_damaged_onnx(tmp_path):
    path = float_onnx(tmp_path / "a.onnx")
    content = path.read_bytes()
    for damaged in (b"\xff" * 100, content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"a\.onnx"):
            inspect_file(path)


def test_an_open_size(tmp_path):
    path = float_onnx(tmp_path / "a.onnx")
    fixed = inspect_file(path)
    model = onnx.load(path)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    height, width = (dim.dim_value for dim in dims[2:])
    dims[2].dim_param = "height"
    onnx.save(model, path)
    with pytest.raises(ModelError, match="leaves its input size open"):
        inspect_file(path)
    with pytest.raises(ModelError, match=f"fixed to {width} pixels, not {width + 1}"):
        inspect_file(path, (height, width + 1))
    assert inspect_file(path, (height, width)) == fixed


def test_control_flow(tmp_path):
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


def test_a_file_and_an_error(tmp_path, capsys):
    assert run("inspect", float_onnx(tmp_path / "a.onnx")) == 0
    assert "Transposes" in capsys.readouterr().out
    assert run("inspect", tmp_path / "b.onnx") == ArtifactError.exit_code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
