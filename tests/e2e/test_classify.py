"""`edgeshuffle classify` on a tiny real model, against probabilities worked out with numpy."""

import dataclasses
import io
import json
import shutil
import struct
import subprocess
import sys
import zlib

import numpy as np
import onnx
import pytest
from devices import emulated
from PIL import Image
from small_models import (
    OnnxGraph,
    artifact,
    named,
    onnx_classifier,
    run,
    tflite_classifier,
    three_models,
    without_classes,
)

from edgeshuffle.artifact import Artifact, Preprocess
from edgeshuffle.artifact.metadata import Metadata
from edgeshuffle.artifact.metadata.onnx import properties
from edgeshuffle.errors import (
    ArtifactError,
    DataError,
    ModelError,
    RuntimeUnavailableError,
    UnknownNameError,
)

WEIGHT = np.random.default_rng(5).standard_normal((10, 3)).astype(np.float32)
NAMES = tuple(f"colour {index}" for index in range(10))
SOFTMAX = Metadata(
    preprocess=Preprocess(resize=4, crop=(4, 4), mean=(0.0,) * 3, std=(1.0,) * 3),
    labels=NAMES,
    output="probabilities",
)


@pytest.fixture
def folder(tmp_path):
    made = three_models(tmp_path / "build" / "small")
    named(made, NAMES)
    return made


def shares(colour):
    logits = np.array(colour, np.float64) / 255 @ WEIGHT.T
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def picture(path, colour=(200, 30, 90), size=(9, 7), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def classified(capsys, *arguments, code=0):
    assert run("classify", *arguments, "--json") == code
    shown = capsys.readouterr()
    return json.loads(shown.out), shown.err


@pytest.mark.parametrize(("runtime", "precision"), [("ort", "fp32"), ("litert", "fp32")])
def test_labels_and_probabilities(folder, tmp_path, capsys, runtime, precision):
    path = picture(tmp_path / "a.png")
    options = ("--artifact", folder, "--runtime", runtime, "--precision", precision)
    found, _ = classified(capsys, path, *options)
    assert found["schema_version"] == 1
    assert (found["runtime"], found["precision"], found["device"]) == (runtime, precision, None)
    (one,) = found["pictures"]
    assert (one["picture"], one["width"], one["height"]) == (str(path), 9, 7)
    wanted = shares((200, 30, 90))
    order = np.argsort(-wanted)[:5].tolist()
    assert [guess["index"] for guess in one["top"]] == order
    assert [guess["label"] for guess in one["top"]] == [NAMES[index] for index in order]
    probabilities = [guess["probability"] for guess in one["top"]]
    np.testing.assert_allclose(probabilities, wanted[order], atol=1e-5)
    assert all(one["ms"][step] > 0 for step in ("decode", "preprocess", "infer"))
    assert one["ms"]["transfer"] is None


def test_the_int8_file_is_chosen_and_a_file_chooses_itself(folder, tmp_path, capsys):
    path = picture(tmp_path / "a.png")
    assert classified(capsys, path, "--artifact", folder)[0]["file"] == "model_int8.onnx"
    own = folder / "model_fp32.tflite"
    assert classified(capsys, path, "--artifact", own)[0]["file"] == "model_fp32.tflite"
    assert run("classify", path, "--artifact", own, "--runtime", "ort") == ArtifactError.exit_code
    assert "no ort file, only litert fp32" in capsys.readouterr().err
    assert run("classify", path, "--artifact", path) == ArtifactError.exit_code


def test_folders_npz_files_and_standard_input(folder, tmp_path, capsys, monkeypatch):
    for name in ("b/deep/2.png", "a.png", ".hidden.png"):
        picture(tmp_path / "all" / name)
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 5, 5, 3), np.uint8), y=np.array([4, 12, 0]))
    content = io.BytesIO()
    Image.new("RGB", (5, 5), (1, 2, 3)).save(content, "PNG")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.getvalue())))
    places = (tmp_path / "all", tmp_path / "x.npz", "-")
    found, _ = classified(capsys, *places, "--artifact", folder)
    names = [one["picture"].removeprefix(f"{tmp_path}/all/") for one in found["pictures"]]
    assert names == ["a.png", "b/deep/2.png", "x_0", "x_1", "x_2", "-"]
    assert [len(one["top"]) for one in found["pictures"]] == [1] * 6
    assert [one["truth"] for one in found["pictures"]] == [None, None, 4, 12, 0, None]
    truths = [one["truth_label"] for one in found["pictures"]]
    assert truths == [None, None, "colour 4", None, "colour 0", None]
    found, _ = classified(capsys, tmp_path / "all", "--artifact", folder, "--limit", 1)
    assert len(found["pictures"]) == 1


def test_the_demo_brings_its_pictures_and_others_do_not(folder, tmp_path, capsys, monkeypatch):
    assert run("classify", "--artifact", folder) == DataError.exit_code
    assert "Give a picture, a folder or -" in capsys.readouterr().err
    np.savez(tmp_path / "x.npz", x=np.zeros((30, 4, 4), np.uint8), y=np.arange(30) % 10)
    monkeypatch.setattr("edgeshuffle.runner.classify.given.TEST_IMAGES", tmp_path / "x.npz")
    demo = tmp_path / "build" / "small"
    manifest = dataclasses.replace(Artifact.load(demo).manifest, source={"kind": "demo"})
    (demo / "manifest.json").write_text(manifest.to_json())
    monkeypatch.chdir(tmp_path)
    found, _ = classified(capsys)
    assert sorted(one["truth"] for one in found["pictures"]) == list(range(10))


def deep_colours(side):
    """A PNG of 16 bits a channel, which Pillow cannot write."""

    def chunk(kind, content):
        ends = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + ends

    header = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(side * (1 + 6 * side)))
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_odd_pictures_are_told_and_turned_upright(folder, tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    half = Image.new("RGB", (8, 4), (255, 0, 0))
    half.paste((0, 0, 255), (4, 0, 8, 4))
    half.save(tmp_path / "turned.png", exif=exif)
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    Image.fromarray(np.full((8, 8), 60000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "colour.png").write_bytes(deep_colours(8))
    paths = [tmp_path / name for name in ("turned.png", "cmyk.jpg", "deep.png", "colour.png")]
    found, _ = classified(capsys, *paths, "--artifact", folder, "--save", tmp_path / "saved")
    turned, cmyk, deep, colour = found["pictures"]
    assert (turned["width"], turned["height"]) == (4, 8)
    assert "upright" in turned["odd"][0]
    assert "CMYK" in cmyk["odd"][0]
    assert "16 bits" in deep["odd"][0]
    assert "16 bits" in colour["odd"][0]
    # Red was on the left, and is above now.
    saved = Image.open(tmp_path / "saved" / "turned.png")
    assert saved.getpixel((saved.width // 2, 3)) == (255, 0, 0)


def test_pictures_that_are_none_are_named_and_the_others_classified(folder, tmp_path, capsys):
    bad = tmp_path / "all"
    picture(bad / "a.png")
    (bad / "b.png").write_text("no picture")
    frames = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (0, 200)]
    frames[0].save(bad / "c.webp", save_all=True, append_images=frames[1:])
    (bad / "d.jpg").write_bytes(picture(bad / "a.png").read_bytes()[:45])
    Image.new("1", (20_000, 10_000)).save(bad / "e.png")
    code = DataError.exit_code
    found, error = classified(capsys, bad, "--artifact", folder, code=code)
    told = [one["problem"] for one in found["pictures"]]
    assert told[0] is None
    assert len(found["pictures"][0]["top"]) == 1
    reasons = ("known kind", "2 pages", "cannot be read", "exceeds limit")
    for problem, reason in zip(told[1:], reasons, strict=True):
        assert reason in problem
    assert error.count("\n") == 1
    assert all(f"all/{name}" in error for name in ("b.png", "c.webp", "d.jpg", "e.png"))
    assert run("classify", bad, "--artifact", folder, "--save", tmp_path / "s") == code
    shown = capsys.readouterr()
    assert shown.out.count("not classified") == 4
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["a.png"]
    assert run("classify", bad / "b.png", "--artifact", folder, "--save", tmp_path / "t") == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "t").exists()


def test_saved_pictures_have_names_of_their_own(folder, tmp_path, capsys):
    paths = [picture(tmp_path / name / "x.jpg") for name in "ab"]
    picture(tmp_path / "c" / "x.bmp", size=(600, 300))
    save = ("--artifact", folder, "--save", tmp_path / "saved")
    assert run("classify", *paths, tmp_path / "c", *save) == 0
    names = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert names == ["x.jpg", "x.png", "x_2.jpg"]
    drawn = np.asarray(Image.open(tmp_path / "saved" / "x.png"))
    assert drawn.shape == (300, 600, 3)
    assert (drawn[:200] == (200, 30, 90)).all()
    assert (drawn[250:] > 240).any()
    assert run("classify", *paths, *save) == ArtifactError.exit_code
    assert "no empty folder" in capsys.readouterr().err
    assert run("classify", *paths, *save[:-1], "/proc/x") == ArtifactError.exit_code
    assert "Choose another place." in capsys.readouterr().err


def test_saved_pictures_of_the_longest_names(folder, tmp_path):
    paths = [picture(tmp_path / place / f"{'ö' * 125}.png") for place in "ab"]
    assert run("classify", *paths, "--artifact", folder, "--save", tmp_path / "saved") == 0
    names = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert names == [f"{'ö' * 120}.png", f"{'ö' * 120}_2.png"]


def test_labels_of_another_length_are_refused(folder, tmp_path, capsys):
    path = picture(tmp_path / "a.png")
    (tmp_path / "names.txt").write_text("".join(f"name {index}\n" for index in range(10)))
    labels = ("--artifact", folder, "--labels", tmp_path / "names.txt")
    found, _ = classified(capsys, path, *labels)
    assert found["pictures"][0]["top"][0]["label"].startswith("name ")
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    assert run("classify", path, *labels) == DataError.exit_code
    assert "2 names for 10 classes" in capsys.readouterr().err


def test_probabilities_of_a_model_that_gives_them_stay(tmp_path, capsys):
    folder = tmp_path / "made"
    folder.mkdir()
    graph = OnnxGraph((1, 3, 4, 4))
    graph.node("GlobalAveragePool", ["input"], ["mean"])
    graph.node("Flatten", ["mean"], ["flat"])
    ends = ["flat", graph.constant("w", WEIGHT.T.copy()), graph.constant("b", np.zeros(10, "f4"))]
    graph.node("Gemm", ends, ["scores"])
    graph.node("Softmax", ["scores"], ["logits"])
    graph.save(folder / "model.onnx", "logits")
    proto = onnx.load(folder / "model.onnx")
    onnx.helper.set_model_props(proto, properties(SOFTMAX))
    onnx.save(proto, folder / "model.onnx")
    artifact(folder, [("model.onnx", "fp32")], num_classes=10, size=4)
    shown = [classified(capsys, picture(tmp_path / "a.png"), "--artifact", folder)[0]]
    # Without its manifest, the file still says what it needs.
    (folder / "model.onnx").rename(tmp_path / "alone.onnx")
    shown += [classified(capsys, tmp_path / "a.png", "--artifact", tmp_path / "alone.onnx")[0]]
    for found, label in zip(shown, (None, NAMES[shares((200, 30, 90)).argmax()]), strict=True):
        (one,) = found["pictures"]
        assert one["top"][0]["probability"] == pytest.approx(shares((200, 30, 90)).max(), abs=1e-5)
        assert one["top"][0]["label"] == label


def test_a_file_alone_does_what_its_artifact_does(small, tmp_path, capsys):
    path = picture(tmp_path / "a.png", size=(30, 20))
    for file in Artifact.load(small).manifest.files:
        shutil.copy(small / file.path, tmp_path)
        here, _ = classified(capsys, path, "--artifact", small / file.path)
        alone, _ = classified(capsys, path, "--artifact", tmp_path / file.path)
        assert alone["precision"] is None
        assert here["pictures"][0]["top"] == alone["pictures"][0]["top"]


def test_a_file_that_does_not_say_how_to_use_it_is_refused(tmp_path, capsys):
    path = picture(tmp_path / "a.png")
    onnx_classifier(tmp_path / "model.onnx", WEIGHT, np.zeros(10, np.float32), 4)
    (tmp_path / "model.tflite").write_bytes(b"no model")
    for name, said in (
        ("model.onnx", "does not say how to prepare a picture"),
        ("model.tflite", "cannot be read"),
        ("a.png", "no .tflite or .onnx file"),
        ("none.onnx", "There is no"),
    ):
        code = run("classify", path, "--artifact", tmp_path / name)
        assert code == ArtifactError.exit_code
        assert said in capsys.readouterr().err


def test_what_is_no_classifier_or_not_there_is_refused(folder, tmp_path, capsys, monkeypatch):
    path = picture(tmp_path / "a.png")
    arguments = ("classify", path, "--artifact", folder)
    assert run(*arguments, "--precision", "fp16") == ArtifactError.exit_code
    assert "no fp16 file, only ort fp32, ort int8, litert fp32" in capsys.readouterr().err
    assert run(*arguments, "--device", "nowhere") == UnknownNameError.exit_code
    without_classes(folder)
    capsys.readouterr()
    assert run(*arguments) == ModelError.exit_code
    assert "is no classifier: it gives logits" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "build" / "small")
    assert run("classify", path) == ArtifactError.exit_code
    assert "Make one: edgeshuffle export" in capsys.readouterr().err


def test_values_that_are_no_numbers_are_refused(tmp_path, capsys):
    folder = tmp_path / "made"
    folder.mkdir()
    onnx_classifier(folder / "model.onnx", WEIGHT * np.nan, np.zeros(10, np.float32), 4)
    tflite_classifier(folder / "model.tflite", WEIGHT, np.zeros(10, np.float32), 4)
    artifact(folder, [("model.onnx", "fp32")], num_classes=10, size=4)
    path = picture(tmp_path / "a.png")
    assert run("classify", path, "--artifact", folder) == ModelError.exit_code
    assert "no finite numbers" in capsys.readouterr().err
    assert run("app", folder, "--runtime", "ort", "-o", tmp_path / "app") == 0
    argv = [sys.executable, tmp_path / "app" / "classify.py", path, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{path}: the model gives values that are no finite numbers" in done.stderr


def test_one_logit_is_no_class(tmp_path, capsys):
    folder, app = tmp_path / "made", tmp_path / "app"
    folder.mkdir()
    onnx_classifier(folder / "model.onnx", WEIGHT[:1], np.zeros(1, np.float32), 4)
    artifact(folder, [("model.onnx", "fp32")], num_classes=1, size=4)
    path = picture(tmp_path / "a.png")
    assert run("classify", path, "--artifact", folder) == ModelError.exit_code
    assert "gives one logit" in capsys.readouterr().err
    assert run("app", folder, "-o", app) == 0
    done = subprocess.run(
        [sys.executable, app / "classify.py", path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "gives one logit" in done.stderr


@pytest.mark.parametrize(
    ("batch", "operator", "said", "code"),
    [
        (1, "Mul", "says that it gives probabilities", ModelError.exit_code),
        (0, "Mul", "0 images at once", ArtifactError.exit_code),
        (10**7, "Mul", "10000000 images at once", ArtifactError.exit_code),
        (2, "Mul", "cannot run", RuntimeUnavailableError.exit_code),
        (1, "Nothing", "or give another file", RuntimeUnavailableError.exit_code),
    ],
)
def test_a_file_that_lies_of_itself_is_one_line(tmp_path, capfd, batch, operator, said, code):
    graph = OnnxGraph((batch, 3, 4, 4))
    graph.node("GlobalAveragePool", ["input"], ["mean"])
    graph.node("Reshape", ["mean", graph.constant("one", [1, 3])], ["flat"])
    graph.node(operator, ["flat", graph.constant("many", np.float32(99))], ["scores"])
    graph.save(tmp_path / "model.onnx", "scores")
    proto = onnx.load(tmp_path / "model.onnx")
    onnx.helper.set_model_props(proto, properties(dataclasses.replace(SOFTMAX, labels=())))
    onnx.save(proto, tmp_path / "model.onnx")
    path = picture(tmp_path / "a.png")
    assert run("classify", path, "--artifact", tmp_path / "model.onnx") == code
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_places_that_cannot_be_looked_at_are_told(folder, tmp_path, capsys, monkeypatch):
    path = picture(tmp_path / "a.png")
    places = (path, tmp_path / ("x" * 300), tmp_path / ("x" * 300 + ".npz"))
    found, _ = classified(capsys, *places, "--artifact", folder, code=DataError.exit_code)
    problems = [one["problem"] for one in found["pictures"]]
    assert problems[0] is None
    assert all("File name too long" in problem for problem in problems[1:])
    monkeypatch.setattr(sys, "stdin", None)
    assert run("classify", "-", "--artifact", folder) == DataError.exit_code
    assert "no standard input" in capsys.readouterr().err


@pytest.mark.device
def test_a_board_classifies_as_this_machine_does(small, tmp_path, capsys):
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
    arguments = (tmp_path, "--artifact", small, "--top", 3)
    here, _ = classified(capsys, *arguments)
    there, _ = classified(capsys, *arguments, "--device", emulated("pi4"))
    assert here["file"] == there["file"] == "small_int8.tflite"
    assert there["device"]["emulated"]
    for one, other in zip(here["pictures"], there["pictures"], strict=True):
        assert one["top"] == other["top"]
        # An emulator's time says nothing.
        assert (other["ms"]["infer"], other["ms"]["transfer"]) == (None, None)
