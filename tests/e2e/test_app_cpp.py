"""The app's C++: the same pixels as in Python, to the bit, and the same labels where it links."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import run

from edgeshuffle.agent import picture
from edgeshuffle.app.readme import TEMPLATE
from edgeshuffle.app.settings import settings_header
from edgeshuffle.artifact.preprocess import CHANNELS, Preprocess
from edgeshuffle.runner.classify.source import Candidate, Source

COUNT = 200
DUMP = """
#include "picture.h"
#include <cstdio>
int main(int count, char** arguments) try {
  for (int at = 1; at < count; ++at) {
    const std::vector<float> values = Prepared(ReadPpm(arguments[at]));
    std::fwrite(values.data(), sizeof(float), values.size(), stdout);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s", error.what());
  return 1;
}
"""
# Where Debian has them, and where somebody without root has unpacked a package or a release.
HEADERS = [Path("/usr/include/onnxruntime"), Path(os.environ.get("ORT_INCLUDE", "/nowhere"))]


def small():
    """A process that gets 100 MB."""
    resource.setrlimit(resource.RLIMIT_AS, (10**8, 10**8))


def pictures(folder, count):
    random = np.random.default_rng(9)
    made = []
    for index in range(count):
        height, width = random.integers(1, 200, 2)
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if index % 3 == 0:
            pixels = np.asarray(Image.fromarray(pixels[:5, :5]).resize((int(width), int(height))))
        Image.fromarray(pixels).save(folder / f"{index:03d}.ppm")
        made.append((folder / f"{index:03d}.ppm", pixels))
    return made


@pytest.mark.parametrize("channels", list(CHANNELS))
def test_pixels_are_those_of_python_to_the_bit(tmp_path, channels):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    count = CHANNELS[channels]
    preprocess = Preprocess(
        resize=30,
        crop=(24, 31),
        mean=(0.485, 0.456, 0.406, 0.5)[:count],
        std=(0.229, 0.224, 0.225, 1 / 3)[:count],
        channels=channels,
    )
    model = Candidate(path=tmp_path / "m.onnx", runtime="ort", precision="fp32", gives="logits")
    source = Source(name="m", preprocess=preprocess, labels=None, demo=False, candidates=(model,))
    (tmp_path / "settings.h").write_text(settings_header(source, model))
    shutil.copy(TEMPLATE / "cpp" / "picture.h", tmp_path)
    (tmp_path / "dump.cpp").write_text(DUMP)
    options = ("-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
    subprocess.run(["g++", *options, "dump.cpp", "-o", "dump"], cwd=tmp_path, check=True)
    made = pictures(tmp_path, COUNT if channels == "rgb" else 20)
    done = subprocess.run(
        [tmp_path / "dump", *(path for path, _ in made)], capture_output=True, check=True
    )
    found = np.frombuffer(done.stdout, np.float32).reshape(len(made), 24, 31, count)
    for one, (_, pixels) in zip(found, made, strict=True):
        own = picture.cropped(picture.of_channels(pixels, channels), 30, (24, 31))
        wanted = picture.normalised(own, preprocess.mean, preprocess.std, channels)
        np.testing.assert_array_equal(one.transpose(2, 0, 1), wanted[0])
    for name, content in {
        "large": b"P6 65535 65535 255\n" + bytes(99),
        "endless": b"P" * 10**6,
        "deep": b"P6 1 1 65535\n" + bytes(6),
        "none": b"P6 0 1 255\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        done = subprocess.run(
            [tmp_path / "dump", tmp_path / name], capture_output=True, check=False, preexec_fn=small
        )
        said = b"is cut off" if name == "large" else b"is no binary PPM"
        assert (done.returncode, said in done.stderr) == (1, True)


@pytest.mark.parametrize("precision", ["int8", "pixels"])
def test_labels_are_those_of_python(tmp_path, small_pixels, precision):
    include = next((one for one in HEADERS if (one / "onnxruntime_cxx_api.h").exists()), None)
    if include is None:
        pytest.skip("onnxruntime's C++ headers are not installed (Debian 13: libonnxruntime-dev)")
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("cmake or g++ is not installed")
    import onnxruntime

    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)
    app, build = tmp_path / "app", tmp_path / "build"
    options = ("--runtime", "ort", "--precision", precision)
    assert run("app", small_pixels, *options, "-o", app) == 0
    definitions = {"RUNTIME_INCLUDE": include, "RUNTIME_LIBRARY": library}
    given = [f"-D{name}={value}" for name, value in definitions.items()]
    subprocess.run(["cmake", "-S", app / "cpp", "-B", build, *given], check=True)
    subprocess.run(["cmake", "--build", build], check=True)
    paths = [str(path) for path, _ in pictures(tmp_path, COUNT)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run(
        [build / "classify", app, *paths],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    python = [sys.executable, "-I", app / "classify.py", "--top", "5", *paths]
    wanted = subprocess.run(python, capture_output=True, text=True, check=True).stdout
    assert done.stdout.splitlines() == wanted.splitlines()[:COUNT]
    failed = subprocess.run(
        [build / "classify", app, app / "README.md"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert failed.returncode == 1
    assert re.fullmatch(r"classify: .*README.md is no binary PPM.*\n", failed.stderr)


def test_every_runtimes_header_is_written(tmp_path, small):
    for runtime in ("ort", "litert"):
        assert run("app", small, "--runtime", runtime, "-o", tmp_path / runtime) == 0
        cpp = tmp_path / runtime / "cpp"
        assert f'"{runtime}" STREQUAL "ort"' in (cpp / "CMakeLists.txt").read_text()
        model = (TEMPLATE / "cpp" / f"model_{runtime}.h").read_text()
        assert (cpp / "model.h").read_text() == model
        assert "@" not in (cpp / "CMakeLists.txt").read_text()
        (one,) = re.findall(r'kModel = "(.+)"', (cpp / "settings.h").read_text())
        assert (tmp_path / runtime / one).exists()
