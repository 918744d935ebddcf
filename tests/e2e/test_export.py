"""`edgeshuffle export` as users run it, and every way it refuses to."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
import torch
from networks import Graph, network
from PIL import Image
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.dataset import open_images
from edgeshuffle.errors import ArtifactError, DataError, ModelError, UnknownNameError, WeightsError
from edgeshuffle.runner.evaluate import EvaluateOptions, evaluate
from edgeshuffle.runner.inspect import inspect_file

pytestmark = pytest.mark.slow

SIZE = 64


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with a checkpoint and two sets of pictures."""
    folder = tmp_path_factory.mktemp("given")
    torch.save(network(0.5, 10).state_dict(), folder / "x0_5.pth")
    random = np.random.default_rng(0)
    grids = random.integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
    pictures = np.stack([np.asarray(Image.fromarray(grid).resize((SIZE, SIZE))) for grid in grids])
    np.savez(folder / "calib.npz", x=pictures[:24])
    np.savez(folder / "test.npz", x=pictures[24:], y=np.arange(24) % 10)
    return folder


@pytest.fixture(scope="module")
def exported(given):
    folder = given / "build" / "mine"
    assert run("export", *weights(given), "-o", folder) == 0
    return Artifact.load(folder)


def weights(given):
    return (
        *("--weights", given / "x0_5.pth", "--resolution", SIZE),
        *("--int8", "--calib", given / "calib.npz", "--recipe", "fast"),
    )


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def refused(capsys, error, message, *arguments):
    """The command ends with the error's exit code and one line on stderr that says `message`."""
    code = run(*arguments)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert code == error.exit_code


def test_an_artifact_has_four_models_and_a_manifest(exported):
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        "manifest.json",
        "shufflenet_v2_x0_5_fp32.onnx",
        "shufflenet_v2_x0_5_fp32.tflite",
        "shufflenet_v2_x0_5_int8.onnx",
        "shufflenet_v2_x0_5_int8.tflite",
    ]
    manifest = exported.manifest
    assert manifest.num_classes == 10
    assert manifest.source["kind"] == "checkpoint"
    assert manifest.quantization["calibration_images"] == 24
    assert manifest.metrics["files"].keys() == {file.path for file in manifest.files}


def test_no_model_moves_data_needlessly(exported):
    for file in exported.manifest.files:
        found = inspect_file(exported.path(file))
        assert not found.requantizations
        assert not found.wide_tensors
        assert found.transposes == 0
        if file.format == "onnx":
            assert "Reshape" not in found.ops
            onnx.checker.check_model(str(exported.path(file)), full_check=True)


def test_both_runtimes_give_the_same_numbers(given, exported):
    data = open_images(given / "test.npz", exported.manifest.preprocess)
    sessions = {
        (file.runtime, file.precision): RUNTIMES[file.runtime].open_session(
            str(exported.path(file)), 1
        )
        for file in exported.manifest.files
    }
    scale = exported.manifest.quantization["outputs"]["logits"]["scale"]
    for image in data:
        logits = {key: session.run(image)[0] for key, session in sessions.items()}
        steps = np.abs(logits["ort", "int8"] - logits["litert", "int8"]) / scale
        assert steps.max() <= 2
        spread = logits["ort", "fp32"].std()
        assert np.abs(logits["ort", "fp32"] - logits["litert", "fp32"]).max() < 1e-4 * spread


def test_int8_agrees_with_float(given, exported):
    found = evaluate(EvaluateOptions(artifact=exported, data=given / "test.npz"))
    for result in found.results:
        assert result.sqnr_db is None or result.sqnr_db > (20 if result.precision == "int8" else 80)


def test_the_same_command_gives_the_same_bytes(given, exported, tmp_path):
    assert run("export", *weights(given), "-o", tmp_path / "again") == 0
    assert content(tmp_path / "again") == content(exported.folder)


def test_json_is_the_manifest_and_nothing_else(given, tmp_path, capsys):
    arguments = ("--weights", given / "x0_5.pth", "--resolution", SIZE, "--format", "onnx")
    assert run("export", *arguments, "-o", tmp_path / "model", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["artifact"] == str(tmp_path / "model")
    assert [file["path"] for file in found["files"]] == ["shufflenet_v2_x0_5_fp32.onnx"]
    assert any("stem" in note for note in found["notes"])


def test_qoperator_style_computes_the_same_integers(given, exported, tmp_path):
    arguments = (*weights(given), "--format", "onnx", "--onnx-style", "qoperator")
    assert run("export", *arguments, "-o", tmp_path / "q") == 0
    artifact = Artifact.load(tmp_path / "q")
    ops = next(file.ops for file in artifact.manifest.files if file.precision == "int8")
    assert ops["QLinearConv"] == 57
    path = tmp_path / "q" / "shufflenet_v2_x0_5_int8.onnx"
    files = (path, exported.folder / path.name)
    runs = [RUNTIMES["ort"].open_session(str(file), 1).run for file in files]
    scale = exported.manifest.quantization["outputs"]["logits"]["scale"]
    for image in open_images(given / "test.npz", artifact.manifest.preprocess):
        first, second = (session(image)[0] for session in runs)
        assert np.abs(first - second).max() <= 2 * scale


def test_calibration_pictures_of_any_classes_will_do(given, tmp_path):
    random = np.random.default_rng(0)
    for name in ("birds", "trees"):
        (tmp_path / "calib" / name).mkdir(parents=True)
        for index in range(3):
            pixels = random.integers(0, 256, (80, 100, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "calib" / name / f"{index}.png")
    arguments = ("--weights", given / "x0_5.pth", "--resolution", SIZE, "--format", "onnx")
    calibration = ("--int8", "--calib", tmp_path / "calib", "--recipe", "fast")
    assert run("export", *arguments, *calibration, "-o", tmp_path / "out") == 0
    assert Artifact.load(tmp_path / "out").manifest.quantization["calibration_images"] == 6


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_an_onnx_file_takes_the_same_way(exporter, given, tmp_path):
    module = network(0.5, 10)
    if exporter == "dynamo":
        program = torch.onnx.export(module, (torch.zeros(1, 3, SIZE, SIZE),), dynamo=True)
        program.save(tmp_path / "my net.onnx")
    else:
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, SIZE, SIZE),),
            str(tmp_path / "my net.onnx"),
            input_names=["image"],
            dynamic_axes={"image": {0: "batch"}},
            opset_version=13,
            dynamo=False,
        )
    arguments = ("--onnx", tmp_path / "my net.onnx", "--int8", "--calib", given / "calib.npz")
    assert run("export", *arguments, "-o", tmp_path / "out") == 0
    artifact = Artifact.load(tmp_path / "out")
    assert artifact.manifest.model == "my_net"
    assert artifact.manifest.preprocess.crop == (SIZE, SIZE)
    found = evaluate(EvaluateOptions(artifact=artifact, data=given / "test.npz"))
    assert {result.n for result in found.results} == {24}


class TestRefusals:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        yield
        assert not list(tmp_path.glob("**/manifest.json"))
        assert not list(tmp_path.glob("**/.*"))

    def test_a_missing_checkpoint(self, capsys):
        refused(capsys, WeightsError, "no checkpoint at", "export", "--weights", "none.pth")

    def test_a_corrupt_checkpoint(self, tmp_path, capsys):
        (tmp_path / "bad.pth").write_bytes(b"PK\3\4 and then nothing")
        refused(capsys, WeightsError, "not a readable", "export", "--weights", "bad.pth")

    def test_a_checkpoint_of_another_width(self, given, capsys):
        arguments = ("--width", "1.0", "--weights", given / "x0_5.pth")
        refused(capsys, WeightsError, "a width 0.5 checkpoint", "export", *arguments)

    def test_another_number_of_classes(self, given, capsys):
        arguments = ("--num-classes", 7, "--weights", given / "x0_5.pth")
        refused(capsys, WeightsError, "10 classes, not 7", "export", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--mean", "1e39,0,0"), "--mean must be"),
            (("--std", "1e-45,1,1"), "--std must be"),
            (("--onnx", "x.onnx", "--stem", "cifar"), "leave out --stem"),
            (("--onnx", "x.onnx", "--num-classes", 7), "leave out --num-classes"),
        ],
    )
    def test_options_that_make_no_sense(self, arguments, message, capsys):
        refused(capsys, UnknownNameError, message, "export", *arguments)

    @pytest.mark.parametrize("option", ["--weights", "--onnx", "--calib", "-o"])
    def test_a_name_that_no_system_takes(self, option, capsys):
        code = run("export", option, "x" * 300)
        assert code == ArtifactError.exit_code
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_a_width_that_does_not_exist(self, capsys):
        refused(capsys, UnknownNameError, "Known: 0.25, 0.33, 0.5, 1.0", "export", "--width", "0.7")

    def test_a_width_without_demo_weights(self, capsys):
        refused(capsys, WeightsError, "--weights", "export", "--width", "2.0")

    def test_an_unknown_option_value(self, capsys):
        assert run("export", "--format", "coreml") == 2
        assert "coreml" in capsys.readouterr().err

    def test_an_operator_that_no_tflite_file_can_have_is_named_with_its_node(
        self, tmp_path, capsys
    ):
        graph = Graph()
        x = graph.add("Softplus", graph.conv("input", 4))[0]
        graph.nodes[-1].name = "odd_one"
        onnx.save(graph.classifier(graph._like(x, "input", 4)), tmp_path / "odd.onnx")
        code = run("export", "--onnx", "odd.onnx", "--format", "tflite")
        line = capsys.readouterr().err
        assert code == ModelError.exit_code
        assert "Softplus" in line
        assert "odd_one" in line
        assert line.count("\n") == 1

    def test_an_onnx_file_that_is_none(self, tmp_path, capsys):
        (tmp_path / "bad.onnx").write_bytes(b"nonsense")
        refused(capsys, ModelError, "bad.onnx", "export", "--onnx", "bad.onnx")

    def test_no_calibration_images_for_own_weights(self, given, capsys):
        arguments = ("--weights", given / "x0_5.pth", "--int8")
        refused(capsys, DataError, "--calib", "export", *arguments)

    def test_a_missing_calibration_folder(self, capsys):
        refused(capsys, DataError, "nothing at", "export", "--int8", "--calib", "none")

    def test_an_empty_calibration_folder(self, given, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        arguments = ("--weights", given / "x0_5.pth", "--int8", "--calib", "empty")
        refused(capsys, DataError, "empty", "export", *arguments)

    def test_an_unreadable_picture(self, given, tmp_path, capsys):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "cat.jpg").write_bytes(b"\xff\xd8 no cat")
        arguments = ("--weights", given / "x0_5.pth", "--int8", "--calib", "pictures")
        refused(capsys, DataError, "cat.jpg", "export", *arguments)

    def test_an_output_folder_that_cannot_be_made(self, given, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        for place in ("file/model", "/proc/model"):
            arguments = ("--weights", given / "x0_5.pth", "--resolution", 32, "-o", place)
            refused(capsys, ArtifactError, f"Cannot write {place}", "export", *arguments)


def test_an_existing_output_is_kept_unless_told_otherwise(given, exported, capsys):
    before = content(exported.folder)
    arguments = ("export", *weights(given), "-o", exported.folder)
    refused(capsys, ArtifactError, "--overwrite", *arguments)
    assert content(exported.folder) == before
    assert run(*arguments, "--overwrite") == 0
    assert content(exported.folder) == before


@pytest.mark.parametrize("manifest", [None, "{}", '{"name": "web app"}', "folder"])
def test_what_no_export_wrote_is_never_replaced(given, tmp_path, capsys, manifest):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("years of work")
    if manifest == "folder":
        (folder / "manifest.json").mkdir()
    elif manifest is not None:
        (folder / "manifest.json").write_text(manifest)
    before = sorted(folder.iterdir())
    arguments = ("export", *weights(given), "-o", folder, "--overwrite")
    refused(capsys, ArtifactError, "not an edgeshuffle artifact", *arguments)
    assert sorted(folder.iterdir()) == before


def test_an_artifact_with_other_files_is_not_replaced(given, exported, tmp_path, capsys):
    folder = tmp_path / "mine"
    shutil.copytree(exported.folder, folder)
    (folder / "notes.txt").write_text("mine")
    arguments = ("export", *weights(given), "-o", folder, "--overwrite")
    refused(capsys, ArtifactError, "also holds 'notes.txt'", *arguments)
    assert (folder / "notes.txt").exists()


def test_a_link_to_an_artifact_stays_one(given, exported, tmp_path):
    shutil.copytree(exported.folder, tmp_path / "real")
    (tmp_path / "real" / "labels.txt").write_text("old")
    (tmp_path / "link").symlink_to("real")
    assert run("export", *weights(given), "-o", tmp_path / "link", "--overwrite") == 0
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == content(exported.folder)


def command(*arguments):
    return [sys.executable, "-m", "edgeshuffle", *map(str, arguments)]


def test_a_full_disk_leaves_the_old_artifact(given, exported):
    before = content(exported.folder)
    full = 300_000
    done = subprocess.run(
        command("export", *weights(given), "-o", exported.folder, "--overwrite"),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (full, full)),
        check=False,
    )
    assert done.returncode == ArtifactError.exit_code
    assert len(done.stderr.splitlines()) == 1
    assert "Cannot write" in done.stderr
    assert content(exported.folder) == before
    assert [path.name for path in exported.folder.parent.iterdir()] == [exported.folder.name]


@pytest.mark.parametrize(("stage", "images"), [("calibrate", 3000), ("round weights", 40)])
def test_ctrl_c_leaves_nothing(given, tmp_path, stage, images):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (images, 96, 96, 3), dtype=np.uint8)
    np.savez(tmp_path / "many.npz", x=pictures)
    script = tmp_path / "export.py"
    # The library call tells how far it is; the command line shows it to people.
    script.write_text(
        "import sys, edgeshuffle.converter.export.quantization as module\n"
        "from edgeshuffle.cli import main\n"
        "quantize = module.quantize\n"
        "def tell(model, images, recipe, progress):\n"
        "    def told(*step):\n"
        "        progress(*step)\n"
        "        print(step[0], flush=True)\n"
        "    return quantize(model, images, recipe, told)\n"
        "module.quantize = tell\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ("--weights", given / "x0_5.pth", "--resolution", 224, "--int8")
    process = subprocess.Popen(
        [sys.executable, script, "export", *map(str, arguments), "--calib", tmp_path / "many.npz"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert f"{stage}\n" in iter(process.stdout.readline, "")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["edgeshuffle: interrupted; nothing half-written is left."]
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == ["export.py", "many.npz"]


def test_floats_between_integers_stay_floats_in_both_runtimes(tmp_path):
    # ONNX Runtime would quantize these layers' weights by itself, with one scale for all channels.
    recipe = tmp_path / "mine.toml"
    rule = '[[layers]]\nkind = "depthwise"\nprecision = "float32"\n'
    recipe.write_text(f'description = ""\ncalibrator = "percentile"\n{rule}', "utf-8")
    options = ("--width", 0.5, "--resolution", 64, "--int8", "--recipe", recipe)
    assert run("export", *options, "-o", tmp_path / "out") == 0
    files = json.loads((tmp_path / "out" / "manifest.json").read_text())["metrics"]["files"]
    sqnr = [found["sqnr_db"] for name, found in files.items() if "int8" in name]
    assert sqnr[0] == pytest.approx(sqnr[1], abs=0.5)
