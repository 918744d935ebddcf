"""`edgeshuffle evaluate` on tiny real models, against results worked out with numpy."""

import json

import numpy as np
import pytest
from PIL import Image
from small_models import artifact, named, onnx_classifier, run, tflite_classifier

from edgeshuffle.errors import (
    ArtifactError,
    DataError,
    ModelError,
    RuntimeUnavailableError,
    UnknownNameError,
)
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate

pytestmark = pytest.mark.slow

SIZE, CLASSES, N = 4, 10, 60
GRID = (0.25, 128)
RANDOM = np.random.default_rng(5)
WEIGHT = RANDOM.standard_normal((CLASSES, 3)).astype(np.float32)
BIAS = (0.1 * RANDOM.standard_normal(CLASSES)).astype(np.float32)
PIXELS = np.broadcast_to(
    RANDOM.integers(0, 256, (N, 1, 1, 3), dtype=np.uint8), (N, SIZE, SIZE, 3)
).copy()
LOGITS = PIXELS[:, 0, 0].astype(np.float32) / 255 @ WEIGHT.T + BIAS
QUANTIZED = (np.clip(np.round(LOGITS / GRID[0]) + GRID[1], 0, 255) - GRID[1]) * GRID[0]
LABELS = np.where(RANDOM.random(N) < 0.7, LOGITS.argmax(1), RANDOM.integers(0, CLASSES, N))

MODELS = [("model_fp32.onnx", "fp32"), ("model_int8.onnx", "int8"), ("model_fp32.tflite", "fp32")]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "build" / "small"
    path.mkdir(parents=True)
    onnx_classifier(path / "model_fp32.onnx", WEIGHT, BIAS, SIZE)
    onnx_classifier(path / "model_int8.onnx", WEIGHT, BIAS, SIZE, GRID)
    tflite_classifier(path / "model_fp32.tflite", WEIGHT, BIAS, SIZE)
    np.savez(tmp_path / "data.npz", x=PIXELS, y=LABELS)
    np.savez(tmp_path / "unlabelled.npz", x=PIXELS)
    return path


def make(folder, files=MODELS, **options):
    return artifact(folder, files, num_classes=CLASSES, size=SIZE, **options)


def share(right):
    return 100 * np.mean(right)


def top(logits, k):
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return share((order == LABELS[:, None]).any(axis=1))


def test_json_has_every_file_and_nothing_else_on_stdout(folder, tmp_path, capsys):
    make(folder)
    assert run("evaluate", folder, "--data", tmp_path / "data.npz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["n"], found["reference"]) == ("small", N, "ort/fp32")
    assert found["data"] == str(tmp_path / "data.npz")
    exact, int8, tflite = found["results"]
    assert [(r["runtime"], r["precision"]) for r in (exact, int8, tflite)] == [
        ("ort", "fp32"),
        ("ort", "int8"),
        ("litert", "fp32"),
    ]
    for result, logits in ((exact, LOGITS), (int8, QUANTIZED), (tflite, LOGITS)):
        assert result["n"] == N
        assert result["top1"] == pytest.approx(top(logits, 1))
        assert result["top5"] == pytest.approx(top(logits, 5))
        agree = share(logits.argmax(1) == LOGITS.argmax(1))
        assert result["agreement"] == pytest.approx(agree)
        assert result["agreement_se"] == pytest.approx(np.sqrt(agree * (100 - agree) / N))
    assert 50 < int8["agreement"] < 100  # otherwise this test could not tell much
    assert exact["sqnr_db"] is None
    noise = np.sum((LOGITS - QUANTIZED) ** 2)
    assert int8["sqnr_db"] == pytest.approx(10 * np.log10(np.sum(LOGITS**2) / noise), abs=0.01)
    assert tflite["sqnr_db"] is None or tflite["sqnr_db"] > 100


def test_drop_is_paired(folder, tmp_path):
    found = evaluate(EvaluateOptions(artifact=make(folder), data=tmp_path / "data.npz"))
    exact, int8, _ = found.results
    assert (exact.drop, exact.drop_se) == (0, 0)
    assert int8.drop == pytest.approx(exact.top1 - int8.top1)
    lost = (LOGITS.argmax(1) == LABELS).astype(int) - (QUANTIZED.argmax(1) == LABELS)
    assert int8.drop_se == pytest.approx(100 * np.std(lost) / np.sqrt(N))


def test_each_image_is_decoded_once(folder, tmp_path, monkeypatch):
    from edgeshuffle import dataset as images

    decoded = []
    real = images.preprocess_picture
    monkeypatch.setattr(images, "preprocess_picture", lambda *a: decoded.append(1) or real(*a))
    seen = []
    options = EvaluateOptions(artifact=make(folder), data=tmp_path / "data.npz", limit=20)
    found = evaluate(options, lambda *told: seen.append(told))
    assert len(decoded) == found.n == 20
    assert seen == [("evaluate", index, 20) for index in range(1, 21)]


def test_without_labels_only_the_comparison_is_left(folder, tmp_path, capsys):
    make(folder)
    data = ("--data", tmp_path / "unlabelled.npz")
    assert run("evaluate", folder, *data) == DataError.exit_code
    assert "--unlabelled" in capsys.readouterr().err
    assert run("evaluate", folder, *data, "--unlabelled", "--json") == 0
    for result in json.loads(capsys.readouterr().out)["results"]:
        assert result["top1"] is result["top1_se"] is result["top5"] is result["drop"] is None
        assert result["agreement"] > 0


def test_five_classes_have_no_top_5(folder, tmp_path):
    onnx_classifier(folder / "model_fp32.onnx", WEIGHT[:5], BIAS[:5], SIZE)
    np.savez(tmp_path / "data.npz", x=PIXELS, y=LABELS % 5)
    small = artifact(folder, MODELS[:1], num_classes=5, size=SIZE)
    (found,) = evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz")).results
    assert found.top5 is None
    assert found.top1 is not None


def test_without_onnx_the_tflite_file_is_the_reference(folder, tmp_path):
    small = make(folder, MODELS[2:])
    found = evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))
    assert found.reference == "litert/fp32"
    assert [result.runtime for result in found.results] == ["litert"]


def test_chosen_runtime_is_still_compared_with_the_onnx_reference(folder, tmp_path, capsys):
    make(folder)
    data = ("--data", tmp_path / "data.npz")
    assert run("evaluate", folder, *data, "--runtime", "litert", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [result["runtime"] for result in found["results"]] == ["litert"]
    assert found["reference"] == "ort/fp32"


def test_class_folders_follow_the_artifacts_labels(folder, tmp_path):
    make(folder)
    small = named(folder, "jihgfedcba")
    best = int(LOGITS[0].argmax())
    right = tmp_path / "photos" / "jihgfedcba"[best]
    right.mkdir(parents=True)
    Image.fromarray(PIXELS[0]).save(right / "1.png")
    found = evaluate(EvaluateOptions(artifact=small, data=tmp_path / "photos"))
    assert found.results[0].top1 == 100


@pytest.fixture
def numbered(folder, tmp_path):
    """Twelve classes, and a folder for each of them, named by number."""
    weight = RANDOM.standard_normal((12, 3)).astype(np.float32)
    onnx_classifier(folder / "model_fp32.onnx", weight, np.zeros(12, np.float32), SIZE)
    artifact(folder, [("model_fp32.onnx", "fp32")], num_classes=12, size=SIZE)
    best = np.argmax(PIXELS[:, 0, 0] / 255 @ weight.T, axis=1)
    for index in range(12):
        (tmp_path / "photos" / str(index)).mkdir(parents=True)
    for index, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / "photos" / str(best[index]) / f"{index}.png")
    return best


def ordered(folder, tmp_path, capsys, *arguments):
    data = ("--data", tmp_path / "photos", "--json")
    assert run("evaluate", folder, *data, *arguments) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    return found["results"][0]["top1"], found["class_order"], shown.err


def test_numbers_are_indices_and_a_note_says_so(folder, tmp_path, numbered, capsys):
    top1, rule, notes = ordered(folder, tmp_path, capsys)
    assert (top1, rule) == (100, "index")
    assert "'10' is class 10; torchvision's ImageFolder makes it 2" in notes
    top1, rule, notes = ordered(folder, tmp_path, capsys, "--class-order", "index")
    assert (top1, rule, notes) == (100, "index", "")


def test_class_order_sorted_takes_numbers_as_text(folder, tmp_path, numbered, capsys):
    top1, rule, notes = ordered(folder, tmp_path, capsys, "--class-order", "sorted")
    place = {name: index for index, name in enumerate(sorted(map(str, range(12))))}
    same = np.mean([place[str(label)] == label for label in numbered])
    assert top1 == pytest.approx(100 * same)
    assert (rule, notes) == ("sorted", "")


def test_the_hash_is_that_of_the_artifact_that_was_evaluated(folder, tmp_path):
    small = make(folder)
    before = small.manifest_sha256
    (folder / "manifest.json").write_text(small.manifest.to_json() + " ")
    found = evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))
    assert found.manifest_sha256 == before
    assert found.files_sha256 == {file.path: file.sha256 for file in small.manifest.files}


def test_a_file_that_was_exchanged_meanwhile_gives_no_numbers(folder, tmp_path):
    small = make(folder)
    onnx_classifier(folder / "model_int8.onnx", -WEIGHT, BIAS, SIZE, GRID)
    with pytest.raises(ArtifactError, match=r"model_int8.onnx was changed"):
        evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))


def test_noise_against_a_reference_of_zeros_is_no_equality(folder, tmp_path):
    onnx_classifier(folder / "model_fp32.onnx", 0 * WEIGHT, 0 * BIAS, SIZE)
    small = make(folder)
    with pytest.raises(ModelError, match="gives only zeros in 'logits'"):
        evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))


def test_table_of_the_newest_artifact(folder, tmp_path, capsys, monkeypatch):
    make(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert run("evaluate", "--data", "data.npz") == 0
    shown = capsys.readouterr()
    assert f"{top(QUANTIZED, 1):.2f} ±" in shown.out
    assert "against ort/fp32" in shown.out
    assert "Evaluating" not in shown.out + shown.err


def test_demo_artifact_brings_its_images(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("edgeshuffle.dataset.artifact_images.TEST_IMAGES", tmp_path / "data.npz")
    demo = make(folder, source={"kind": "demo"})
    assert evaluate(EvaluateOptions(artifact=demo)).n == N


class TestErrors:
    def test_no_data(self, folder, capsys):
        make(folder)
        assert run("evaluate", folder) == DataError.exit_code
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "Give --data DIR" in shown.err
        assert shown.err.count("\n") == 1

    def test_no_file_for_the_runtime(self, folder, tmp_path):
        small = make(folder, MODELS[:1])
        options = {"artifact": small, "data": tmp_path / "data.npz"}
        with pytest.raises(ArtifactError, match="no model file for litert"):
            evaluate(EvaluateOptions(**options, runtimes=("litert",)))
        with pytest.raises(UnknownNameError, match="Did you mean 'litert'"):
            evaluate(EvaluateOptions(**options, runtimes=("litrt",)))

    def test_a_file_that_its_runtime_refuses(self, folder, tmp_path, capsys):
        (folder / "model_int8.onnx").write_bytes(b"no model")
        make(folder)
        code = run("evaluate", folder, "--data", tmp_path / "data.npz", "--json")
        assert code == RuntimeUnavailableError.exit_code
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "ort cannot load" in shown.err
        assert shown.err.count("\n") == 1

    def test_no_float_file(self, folder, tmp_path):
        small = make(folder, MODELS[1:2])
        with pytest.raises(ArtifactError, match="no float model file"):
            evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))

    def test_logits_that_are_no_numbers(self, folder, tmp_path):
        onnx_classifier(folder / "model_fp32.onnx", WEIGHT, BIAS * np.nan, SIZE)
        small = make(folder, MODELS[:1])
        with pytest.raises(ModelError, match=r"model_fp32.onnx gives values .* for image 0"):
            evaluate(EvaluateOptions(artifact=small, data=tmp_path / "data.npz"))

    def test_labels_of_another_data_set(self, folder, tmp_path):
        np.savez(tmp_path / "data.npz", x=PIXELS, y=LABELS + 1)
        with pytest.raises(DataError, match="label 10"):
            evaluate(EvaluateOptions(artifact=make(folder), data=tmp_path / "data.npz"))


@pytest.mark.parametrize("command", ["evaluate", "bench"])
def test_more_threads_than_any_board_has_cores_are_refused(command, capsys):
    assert run(command, "--threads", 1000) == 2
    assert "256" in capsys.readouterr().err
