"""`edgeshuffle app`: the folder runs without edgeshuffle, and gives what `classify` gives."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from devices import emulated
from PIL import Image
from sharing import once
from small_models import run

from edgeshuffle.app import _pixels_model, rpicam
from edgeshuffle.artifact import Preprocess
from edgeshuffle.artifact.metadata import Metadata, read_metadata
from edgeshuffle.device import open_device
from edgeshuffle.errors import ArtifactError, UnknownNameError
from edgeshuffle.payload.rootfs import GLIBC, PYTHON
from edgeshuffle.payload.wheels import download_wheels
from edgeshuffle.runner.classify.source import Source

COUNT = 200
# Runs a program as `python -I` does, without some packages and with others put in their place.
RUN = """
import runpy, sys
for name in {without!r}: sys.modules[name] = None
sys.path[:0] = {before!r}
sys.argv = {argv!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CV2 = """
import numpy as np
class VideoCapture:
    def __init__(self, source):
        self.source, self.left = source, 3 if isinstance(source, str) or source == 5 else -1
    def isOpened(self): return self.source != 7
    def read(self):
        self.left -= 1
        return self.left != -1, np.full((20, 30, 3), (10, 20, 200), np.uint8)
    def release(self): print("released", self.source)
"""
PICAMERA2 = """
import pathlib
import numpy as np
class Picamera2:
    def __init__(self, number):
        if number: raise IndexError("list index out of range")
    def create_video_configuration(self, main): self.main = main; return main
    def configure(self, configuration): assert configuration["format"] == "BGR888"
    def start(self): pass
    def stop(self): pass
    def close(self): print("closed")
    def capture_array(self, name):
        if pathlib.Path(__file__).with_name("broken").exists(): raise RuntimeError("timed\\nout")
        width, height = self.main["size"]
        return np.full((height, width, 3), (200, 20, 10), np.uint8)
"""


@pytest.fixture(scope="module")
def pictures(request):
    """Photographs of many sizes, as no two of them are alike; half of them are PPM."""

    def make(folder):
        folder.mkdir()
        random = np.random.default_rng(4)
        for index in range(COUNT):
            height, width = random.integers(8, 90, 2)
            small = random.integers(0, 256, (3, 4, 3), dtype=np.uint8)
            picture = Image.fromarray(small).resize((int(width), int(height)), 3)
            picture.save(folder / f"{index:03d}.{'ppm' if index % 2 else 'png'}")

    return once(request, "app_pictures", make)


@pytest.fixture(scope="module", params=["litert", "ort"])
def app(request, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("app") / request.param
    assert run("app", small, "--runtime", request.param, "-o", folder) == 0
    return folder


def command(app, *arguments, without=("edgeshuffle",), before=()):
    argv = [str(app / "classify.py"), *map(str, arguments)]
    script = RUN.format(without=without, before=[str(path) for path in before], argv=argv)
    return [sys.executable, "-I", "-c", script]


def told(app, *arguments, code=0, **options):
    done = subprocess.run(
        command(app, *arguments, **options), capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == code, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def classified(capsys, app, places, *options):
    model = json.loads((app / "model.json").read_text())["model"]
    arguments = (*places, "--artifact", app / model, "--labels", app / "labels.txt")
    labelled = (app / "labels.txt").exists()
    assert run("classify", *(arguments if labelled else arguments[:-2]), "--json", *options) == 0
    return json.loads(capsys.readouterr().out)["pictures"]


def compared(lines, wanted):
    """Whether lines of JSON tell what `classify` found."""
    assert len(lines) == len(wanted)
    for line, one in zip(lines, wanted, strict=True):
        found = json.loads(line)
        assert found["picture"] == one["picture"]
        labels = [guess["label"] or f"class {guess['index']}" for guess in one["top"]]
        assert [guess["label"] for guess in found["top"]] == labels
        shares = [guess["probability"] for guess in one["top"]]
        assert [guess["probability"] for guess in found["top"]] == pytest.approx(shares, abs=1e-6)


def test_it_gives_what_classify_gives(app, pictures, capsys):
    lines, _ = told(app, pictures, "--json", "--top", 3)
    compared(lines, classified(capsys, app, sorted(pictures.iterdir()), "--top", 3))
    assert len({json.loads(line)["top"][0]["probability"] for line in lines}) > COUNT / 2


@pytest.mark.parametrize("runtime", ["litert", "ort"])
def test_a_model_that_reads_pixels_gives_the_same_labels(small_pixels, tmp_path, pictures, runtime):
    shares = {}
    for precision in ("int8", "pixels"):
        options = ("--runtime", runtime, "--precision", precision)
        assert run("app", small_pixels, *options, "-o", tmp_path / precision) == 0
        lines, _ = told(tmp_path / precision, pictures, "--json", "--top", 5)
        found = [{one["label"]: one["probability"] for one in json.loads(x)["top"]} for x in lines]
        shares[precision] = [[one[label] for label in sorted(one)] for one in found]
    plain, pixels = (np.array(values) for values in shares.values())
    # TFLite's probabilities are bytes, of which the largest is a step larger than the floats' is.
    apart = 1.5 / 256 + 1e-4 if runtime == "litert" else 1e-4
    assert np.abs(plain - pixels).max() <= apart
    assert (plain.argmax(1) == pixels.argmax(1)).all()


def test_without_pillow_it_reads_ppm_files(app, pictures, capsys):
    ppm = sorted(pictures.glob("*.ppm"))[:9]
    lines, _ = told(app, *ppm, "--json", without=("edgeshuffle", "PIL", "cv2"))
    wanted = classified(capsys, app, ppm)
    compared(lines, wanted)
    _, problems = told(app, pictures / "000.png", without=("edgeshuffle", "PIL"), code=1)
    assert len(problems) == 1
    assert "pip install pillow" in problems[0]


def test_lines_for_people_and_problems(app, pictures, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.ppm").write_bytes(b"P6 # a comment\n4 4\n255\nabc")
    (tmp_path / "deep.ppm").write_bytes(b"P6 1 1 65535\nabcdef")
    good = pictures / "000.png"
    places = (tmp_path / "text.png", tmp_path / "cut.ppm", good, tmp_path / "deep.ppm", "none.jpg")
    lines, problems = told(app, *places, code=1)
    assert re.fullmatch(rf"{re.escape(str(good))}: class \d+ \d+\.\d %", lines[0])
    assert len(problems) == 4
    for line, said in zip(problems, ("as a picture", "cut off", "8 bits", "no file"), strict=True):
        assert line.startswith("classify.py: ")
        assert said in line


def test_names_models_and_labels_that_harm_are_one_line_each(app, pictures, tmp_path):
    good = pictures / "000.png"
    odd = tmp_path / "a\n\x1b[31m\udcff.png"
    shutil.copy(good, odd)
    lines, _ = told(app, odd)
    assert lines[0].startswith(f"{tmp_path}/a  [31m .png: class ")
    Image.new("L", (2_000_000, 1)).save(tmp_path / "wide.png")
    Image.new("1", (20_000, 10_000)).save(tmp_path / "huge.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "floats.tiff")
    (tmp_path / "empty").mkdir()
    names = ("wide.png", "huge.png", "floats.tiff", "empty", "x" * 300, "x" * 300 + ".ppm")
    lines, problems = told(app, *(tmp_path / name for name in names), good, code=1)
    assert len(lines) == 1
    said = ("too narrow", "exceeds limit", "are floats", "holds no", "too long", "too long")
    for line, reason in zip(problems, said, strict=True):
        assert reason in line
    _, problems = told(app, good, "--threads", 10**6, code=2)
    assert "256 or less" in problems[-1]
    _, problems = told(app, good, "--show", without=("edgeshuffle", "cv2"), code=1)
    assert "--show needs OpenCV" in problems[0]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(app, good), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    _, problems = told(app, good, without=("edgeshuffle", "numpy"), code=1)
    assert problems == [
        "classify.py: The package numpy is missing: pip install -r requirements.txt."
    ]


def test_a_folder_whose_files_do_not_belong_together_is_one_line(app, pictures, tmp_path):
    settings = json.loads((app / "model.json").read_text())
    for number, (changes, said) in enumerate(
        (
            ({"labels": "names.txt"}, "2 labels for"),
            ({"crop": [8, 8]}, "model.json says (8, 8)"),
            ({"model": "cut"}, "cannot be used"),
            ({"runtime": "none"}, "cannot be used"),
        )
    ):
        folder = tmp_path / str(number)
        shutil.copytree(app, folder)
        (folder / "names.txt").write_text("one\ntwo\n")
        (folder / "cut").write_bytes((folder / settings["model"]).read_bytes()[:99])
        (folder / "model.json").write_text(json.dumps(settings | changes))
        _, problems = told(folder, pictures / "000.png", code=1)
        assert len(problems) == 1
        assert said in problems[0]


def test_films(app, tmp_path):
    frames = [Image.new("RGB", (30, 20), (value, 0, 90)) for value in (0, 100, 200)]
    frames[0].save(tmp_path / "film.webp", save_all=True, append_images=frames[1:], lossless=True)
    lines, _ = told(app, tmp_path / "film.webp", "--json")
    assert len(lines) == 3
    assert len(told(app, tmp_path / "film.webp", "--json", "--every", 2)[0]) == 2
    (tmp_path / "film.mp4").touch()
    (tmp_path / "cv2.py").write_text(CV2)
    lines, _ = told(app, tmp_path / "film.mp4", "--json", before=[tmp_path])
    assert lines[3] == f"released {tmp_path / 'film.mp4'}"
    # OpenCV's pictures are blue, green and red.
    Image.new("RGB", (30, 20), (200, 20, 10)).save(tmp_path / "same.png")
    (same,) = told(app, tmp_path / "same.png", "--json")[0]
    assert json.loads(lines[0])["top"] == json.loads(same)["top"]
    _, problems = told(app, tmp_path / "film.mp4", without=("edgeshuffle", "cv2"), code=1)
    assert "opencv-python-headless" in problems[0]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_camera_runs_until_a_signal_and_is_let_go(app, tmp_path, ending):
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    process = subprocess.Popen(
        command(app, "--camera", 0, before=[tmp_path]), stdout=subprocess.PIPE, text=True
    )
    first = process.stdout.readline()
    assert re.fullmatch(r"camera 0: class \d+ \d+\.\d %\n", first)
    second = process.stdout.readline()
    assert re.fullmatch(r"camera 0: class \d+ \d+\.\d % \(\d+\.\d pictures a second\)\n", second)
    process.send_signal(ending)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "closed" in rest
    assert re.search(r"\d+ pictures in \d+\.\d s", rest)


def test_a_camera_that_is_not_there_is_told_in_one_line(app, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "picamera2.py").write_text(PICAMERA2)
    _, problems = told(app, "--camera", 3, before=[tmp_path / "one"], code=1)
    assert len(problems) == 1
    assert "picamera2 cannot open camera 3 (list index out of range)" in problems[0]
    (tmp_path / "cv2.py").write_text(CV2)
    without = ("edgeshuffle", "picamera2")
    _, problems = told(app, "--camera", 7, before=[tmp_path], without=without, code=1)
    assert len(problems) == 1
    assert "cannot open camera 7" in problems[0]


def test_a_camera_that_is_pulled_out_is_a_failure_that_systemd_sees(app, tmp_path):
    (tmp_path / "cv2.py").write_text(CV2)
    without = ("edgeshuffle", "picamera2")
    lines, problems = told(app, "--camera", 5, before=[tmp_path], without=without, code=1)
    assert lines[0].startswith("camera 5: class")
    assert problems == ["classify.py: Camera 5 gives no more pictures. Check its cable."]
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    (tmp_path / "broken").touch()
    lines, problems = told(app, "--camera", 0, before=[tmp_path], code=1)
    assert lines == ["closed"]
    assert "no more pictures (timed out)" in problems[0]
    assert len(problems) == 1


def test_what_is_made_for_each_board(small, tmp_path, capsys):
    folder = tmp_path / "made"
    assert run("app", small, "--device", "pi", "--systemd", "-o", folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )
    assert "export it with --pixels" in found["notes"][0]
    assert not (folder / "rpicam.json").exists()
    unit = (folder / "classify.service").read_text()
    assert 'ExecStart="/home/pi/made/.venv/bin/python" classify.py' in unit
    options = ("--device", "pi", "--systemd")
    assert run("app", small, *options, "-o", tmp_path / "a %h\nUser=root") == 0
    unit = (tmp_path / "a %h\nUser=root" / "classify.service").read_text()
    assert unit.count("User=") == 3
    assert "WorkingDirectory=/home/pi/a %%h User=root\n" in unit
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert all(
        re.match(r"[\w-]+==[\w.]+( ; platform_machine [!=]= \"armv7l\")?$", x) for x in pinned
    )
    for device in ("generic", "android"):
        assert run("app", small, "--device", device, "-o", tmp_path / device) == 0
    assert (tmp_path / "generic" / "requirements.txt").read_text().splitlines() == pinned
    assert not (tmp_path / "android" / "requirements.txt").exists()
    for readme in tmp_path.rglob("README.md"):
        text = readme.read_text()
        assert "$" not in text
        assert "\n\n\n" not in text
        lines = text.splitlines()
        assert len(lines) <= 80
        for name in re.findall(r"^\| `([^`]+)`", text, re.MULTILINE):
            assert (readme.parent / name).exists()


def test_only_an_app_is_replaced(small, tmp_path, capsys):
    folder = tmp_path / "made"
    code = ArtifactError.exit_code
    assert run("app", small, "-o", folder) == 0
    assert run("app", small, "-o", folder) == code
    assert "Use --overwrite" in capsys.readouterr().err
    assert run("app", small, "--runtime", "ort", "-o", folder, "--overwrite") == 0
    assert not (folder / "litert.py").exists()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "picture.cpython-311.pyc").touch()
    assert run("app", small, "-o", folder, "--overwrite") == 0
    (folder / ".venv").mkdir()
    (folder / ".venv" / "mine").touch()
    assert run("app", small, "-o", folder, "--overwrite") == code
    assert "'.venv/mine'" in capsys.readouterr().err
    options = ("--device", "android", "--systemd")
    assert run("app", small, *options, "-o", tmp_path / "x") == UnknownNameError.exit_code
    assert "Leave out --systemd" in capsys.readouterr().err


def test_a_file_alone_gets_no_other_model_for_rpicam(small, small_pixels, tmp_path):
    (own,) = small.glob("*_int8.tflite")
    (other,) = small_pixels.glob("*_pixels.tflite")
    metadata = read_metadata(other)
    for name, labels in (("same", metadata.labels), ("other", ("x",) * 10)):
        source = Source(
            name=metadata.name,
            preprocess=metadata.preprocess,
            labels=labels or None,
            demo=False,
            candidates=(),
        )
        found = _pixels_model(small_pixels, source)
        assert (found is not None) == (name == "same")
    odd = tmp_path / "a\udcff.tflite"
    shutil.copy(own, odd)
    assert run("app", odd, "-o", tmp_path / "made") == ArtifactError.exit_code
    assert not (tmp_path / "made").exists()


def test_rpicam_gets_only_what_it_can_read():
    square = Preprocess(resize=256, crop=(224, 224), mean=(0.0,) * 3, std=(1.0,) * 3)
    good = Metadata(
        preprocess=square,
        labels=("a", "b"),
        input="pixels",
        output="probabilities",
        gives_bytes=True,
    )
    assert rpicam.why_not(good) is None
    assert "--pixels" in rpicam.why_not(None)
    small = Preprocess(resize=256, crop=(192, 224), mean=(0.0,) * 3, std=(1.0,) * 3)
    assert "192x224" in rpicam.why_not(Metadata(preprocess=small, labels=("a",)))
    assert "names" in rpicam.why_not(replace(good, labels=()))
    assert "--pixels uint8" in rpicam.why_not(replace(good, gives_bytes=False))
    stages = json.loads(rpicam.post_process("m.tflite", "app"))
    assert stages["object_classify_tf"]["model_file"] == "/home/pi/app/m.tflite"
    assert list(stages) == ["object_classify_tf", "annotate_cv"]


@pytest.mark.device
@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_it_runs_on_a_board_from_its_own_requirements(
    request, small, tmp_path, pictures, capsys, board
):
    address = emulated(board)
    folder = tmp_path / "app"
    assert run("app", small, "--device", "pi", "-o", folder) == 0

    def install(site):
        site.mkdir()
        target = {"machine": "aarch64", "python": PYTHON, "glibc": GLIBC}
        lines = (folder / "requirements.txt").read_text().splitlines()
        # pip judges markers by the machine that it runs on.
        lines = [line.partition(" ;")[0] for line in lines if '== "armv7l"' not in line]
        for wheel in download_wheels(lines, **target, folder=tmp_path):
            zipfile.ZipFile(wheel).extractall(site)

    site = once(request, "app_requirements", install)
    frames = [Image.new("RGB", (30, 20), (value, 0, 90)) for value in (0, 200)]
    frames[0].save(tmp_path / "film.webp", save_all=True, append_images=frames[1:], lossless=True)
    places = [pictures / f"{index:03d}.{'ppm' if index % 2 else 'png'}" for index in range(12)]
    capsys.readouterr()
    wanted = classified(capsys, folder, places)
    argv = [str(folder / "classify.py"), "--json", *map(str, (*places, tmp_path / "film.webp"))]
    script = RUN.format(without=("edgeshuffle",), before=[str(site)], argv=argv)
    with open_device(address) as device:
        process = device.spawn([device.python, "-c", script])
        found = [process.reply(240.0) for _ in range(len(places) + 2)]
    compared([json.dumps(one) for one in found[: len(places)]], wanted)
    assert {one["picture"] for one in found[len(places) :]} == {str(tmp_path / "film.webp")}


def test_no_file_of_it_is_left_behind(small, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device", str(tmp_path / ".made"))

    monkeypatch.setattr(shutil, "copyfile", broken)
    assert run("app", small, "-o", tmp_path / "made") == ArtifactError.exit_code
    assert list(tmp_path.iterdir()) == []
