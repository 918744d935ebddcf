"""Files that read pixels give what those that read normalised values do, and tools take them."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from networks import Graph
from PIL import Image
from sharing import once
from small_models import run

from edgeshuffle.artifact import Artifact
from edgeshuffle.artifact.metadata import read_metadata
from edgeshuffle.artifact.runtimes import RUNTIMES
from edgeshuffle.converter.export import pixel_graph
from edgeshuffle.errors import PassError
from edgeshuffle.metrics import softmax

SIZE = 16
NAMES = ("T-shirt/top", "Größe", "c", "d")
KINDS = {
    "int8": ("--int8",),
    "float": (),
    "batch": ("--int8", "--batch", 2),
    "signed": ("--int8", "--onnx-activations", "int8", "--onnx-style", "qoperator"),
    "open": ("--int8", "--batch", "dynamic", "--format", "onnx"),
    "bgr": ("--int8", "--channels", "bgr"),
}


def pictures(n, seed=0):
    """Random ones, of which some have only black, white or one value, at their borders, too."""
    made = np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    made[0], made[1], made[2] = 0, 255, (3, 128, 250)
    return made


def classifier(classes=4):
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    x = graph.relu(graph.conv(graph.depthwise(x), 8))
    return graph.classifier(x, classes)


def exported(folder, *options, model=None):
    folder.mkdir()
    onnx.save(model or classifier(), folder / "small.onnx")
    np.savez(folder / "calib.npz", x=pictures(24))
    (folder / "labels").write_text("".join(f"{name}\n" for name in NAMES))
    given = ("--onnx", folder / "small.onnx", "--calib", folder / "calib.npz")
    if "--pixels" not in options:
        given += ("--pixels", "uint8")
    norm = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
    quick = ("--recipe", "fast") if "--int8" in options else ()
    return run("export", *given, *norm, *quick, *options, "-o", folder / "made")


@pytest.fixture(params=KINDS, scope="module")
def made(request):
    def make(folder):
        labels = ("--labels", folder / "labels")
        assert exported(folder, *labels, *KINDS[request.param]) == 0

    folder = once(request, f"pixels_{request.param}", make)
    return SimpleNamespace(kind=request.param, artifact=Artifact.load(folder / "made"))


def outputs(artifact, file, images):
    """All outputs for (n, C, H, W) images, flat."""
    session = RUNTIMES[file.runtime].open_session(str(artifact.path(file)), 1)
    parts = [
        session.run(images[start : start + file.batch])
        for start in range(0, len(images), file.batch)
    ]
    return [
        np.concatenate([part[index].reshape(file.batch, -1) for part in parts])
        for index in range(len(file.outputs))
    ]


def pairs(artifact):
    """Files that read pixels, each with the one that it computes as."""
    files = artifact.manifest.files
    found = [file for file in files if file.base is not None]
    assert len(found) == len({file.format for file in files})
    for file in found:
        (base,) = (f for f in files if (f.format, f.precision) == (file.format, file.base))
        yield file, base


def test_probabilities_are_those_of_the_other_file(made):
    preprocess = made.artifact.manifest.preprocess
    pixels = pictures(60, 1).transpose(0, 3, 1, 2).astype(np.float32)
    mean, std = (np.float32(v)[:, None, None] for v in (preprocess.mean, preprocess.std))
    normalised = (pixels / np.float32(255) - mean) / std
    np.testing.assert_array_equal(preprocess.pixels(normalised), pixels)
    for file, base in pairs(made.artifact):
        assert (file.base == "fp32") == (made.kind == "float")
        (found,) = outputs(made.artifact, file, pixels)
        (logits,) = outputs(made.artifact, base, normalised)
        byte = 1.5 / 256 if file.format == "tflite" else 0.0
        np.testing.assert_allclose(found, softmax(logits), rtol=0, atol=byte + 2e-6)
        np.testing.assert_array_equal(found.argmax(1), logits.argmax(1))


def test_ends_are_what_others_read(made):
    for file, _ in pairs(made.artifact):
        assert file.path == f"small_pixels.{file.format}"
        assert file.input.dtype == "uint8"
        assert file.input.shape[1:] == (SIZE, SIZE, 3)
        (end,) = file.outputs
        assert end.name == "probabilities"
        # rpicam-apps reads bytes from 0 to 255 as 0 to 1.
        known = ("uint8", 1 / 256, 0) if file.format == "tflite" else ("float32", None, None)
        assert (end.dtype, end.scale, end.zero_point) == known
        said = read_metadata(made.artifact.path(file))
        assert (said.input, said.output, said.labels) == ("pixels", "probabilities", NAMES)
        assert said.preprocess == made.artifact.manifest.preprocess


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_of_many_classes_bytes_tell_the_likeliest(tmp_path, kind):
    # Of 500 nearly equal ones, most bytes are 0 or 1.
    model = classifier(500)
    assert exported(tmp_path / "a", "--int8", "--pixels", kind, model=model) == 0
    artifact = Artifact.load(tmp_path / "a" / "made")
    preprocess = artifact.manifest.preprocess
    pixels = pictures(100, 5).transpose(0, 3, 1, 2).astype(np.float32)
    mean, std = (np.float32(v)[:, None, None] for v in (preprocess.mean, preprocess.std))
    for file, base in pairs(artifact):
        expected = "float32" if file.format == "onnx" else kind
        assert file.outputs[0].dtype == expected
        said = read_metadata(artifact.path(file))
        assert (said.output, said.gives_bytes) == ("probabilities", expected == "uint8")
        (found,) = outputs(artifact, file, pixels)
        (logits,) = outputs(artifact, base, (pixels / np.float32(255) - mean) / std)
        np.testing.assert_array_equal(found.argmax(1), logits.argmax(1))


def test_the_export_proves_them(made):
    proved = {file.path: file for file in made.artifact.manifest.proof.files}
    for file, _ in pairs(made.artifact):
        assert proved[file.path].largest_difference < 0.02


def test_commands_take_them(made, tmp_path, capsys):
    folder = made.artifact.folder
    data = tmp_path / "images.npz"
    np.savez(data, x=pictures(40, 2), y=np.arange(40) % len(NAMES))
    capsys.readouterr()
    assert run("evaluate", folder, "--data", data, "--json") == 0
    results = {one["file"]: one for one in json.loads(capsys.readouterr().out)["results"]}
    for file, base in pairs(made.artifact):
        own, other = results[file.path], results[base.path]
        assert own["agreement"] == pytest.approx(other["agreement"], abs=3)
        assert own["top1"] == pytest.approx(other["top1"], abs=3)
        # Against the softmax of the float logits, not against these.
        assert own["sqnr_db"] is None or own["sqnr_db"] > 15
    assert run("inspect", folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)["files"]
    for file, _ in pairs(made.artifact):
        assert found[file.path]["metadata"]["input"] == "pixels"
        single = tmp_path / file.path
        single.write_bytes(made.artifact.path(file).read_bytes())
        for model in (("--artifact", single), ("--artifact", folder, "--precision", "pixels")):
            assert run("classify", data, *model, "--runtime", file.runtime, "--json") == 0
            told = json.loads(capsys.readouterr().out)["pictures"]
            assert {one["top"][0]["label"] for one in told} <= set(NAMES)


# An app takes a picture at a time.
@pytest.mark.parametrize("made", [kind for kind in KINDS if kind != "batch"], indirect=True)
def test_an_app_gives_them_pixels(made, tmp_path, capsys):
    folder, places = made.artifact.folder, []
    for index, pixels in enumerate(pictures(6, 4)):
        places.append(str(tmp_path / f"{index}.png"))
        Image.fromarray(pixels).save(places[-1])
    for file, _ in pairs(made.artifact):
        app = tmp_path / file.runtime
        chosen = ("--runtime", file.runtime, "--precision", "pixels")
        assert run("app", folder, *chosen, "-o", app) == 0
        capsys.readouterr()
        assert run("classify", *places, "--artifact", folder, *chosen, "--json") == 0
        told = json.loads(capsys.readouterr().out)["pictures"]
        command = [sys.executable, "-I", app / "classify.py", "--top", "1", "--json", *places]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = [json.loads(line)["top"][0] for line in done.stdout.splitlines()]
        for line, one in zip(lines, told, strict=False):
            assert line["label"] == one["top"][0]["label"]
            assert line["probability"] == pytest.approx(one["top"][0]["probability"], abs=1e-6)


def test_a_detector_gives_what_it_did(tmp_path):
    graph = Graph(size=SIZE)
    x = graph.relu(graph.conv("input", 8, 3, 2))
    model = graph.model(x, graph.relu(graph.conv(x, 4)))
    assert exported(tmp_path / "a", "--int8", model=model) == 0
    artifact = Artifact.load(tmp_path / "a" / "made")
    pixels = pictures(20, 3).transpose(0, 3, 1, 2).astype(np.float32)
    preprocess = artifact.manifest.preprocess
    mean, std = (np.float32(v)[:, None, None] for v in (preprocess.mean, preprocess.std))
    for file, base in pairs(artifact):
        assert not file.softmax
        found = outputs(artifact, file, pixels)
        expected = outputs(artifact, base, (pixels / np.float32(255) - mean) / std)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_another_normalisation_is_never_written(tmp_path, monkeypatch, capsys):
    factors = pixel_graph._factors

    def slightly_other(preprocess):
        factor, offset = factors(preprocess)
        return factor, offset + np.float32(0.1)

    monkeypatch.setattr(pixel_graph, "_factors", slightly_other)
    assert exported(tmp_path / "a") == PassError.exit_code
    assert "small_pixels" in capsys.readouterr().err
    assert not (tmp_path / "a" / "made").exists()
