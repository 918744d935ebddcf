""".npz files: what is unpacked, and what is refused before it costs anything."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgeshuffle.artifact import Preprocess
from edgeshuffle.dataset import open_images, spread
from edgeshuffle.dataset.npy import UnreadableError, members
from edgeshuffle.errors import DataError

PLAIN = Preprocess(resize=8, crop=(8, 8), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def refused(path, message, **given):
    with pytest.raises(DataError, match=message) as caught:
        open_images(path, PLAIN, **given)
    assert "\n" not in str(caught.value)


def tensors(images):
    return np.concatenate(list(images))


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(50, 8, 8), (50, 8, 8, 1), (50, 8, 8, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("held", [True, False])
def test_pictures_and_digest_are_the_arrays(tmp_path, write, shape, order, held, monkeypatch):
    pixels = noise(*shape)
    write(tmp_path / "a.npz", x=np.asarray(pixels, order=order), y=np.arange(50) % 5)
    write(tmp_path / "plain.npz", x=pixels, y=np.arange(50) % 5)
    plain = open_images(tmp_path / "plain.npz", PLAIN, limit=7)
    monkeypatch.setattr("edgeshuffle.dataset.npy._CHUNK", 100)
    monkeypatch.setattr("edgeshuffle.dataset.packed._HELD", 1 << 20 if held else 0)
    images = open_images(tmp_path / "a.npz", PLAIN, limit=7)
    chosen = spread(np.arange(50) % 5, 7)
    np.testing.assert_array_equal(
        plain.pictures.pixels, pixels[chosen].reshape(7, 8, 8, -1).squeeze()
    )
    np.testing.assert_array_equal(tensors(images), tensors(plain))
    np.testing.assert_array_equal(images.labels, np.arange(50)[chosen] % 5)
    assert images.digest == plain.digest


def header(shape, dtype="|u1", fortran=False):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"shape": shape, "fortran_order": fortran, "descr": dtype}
    )
    return out.getvalue()


def archive(path, *, name="x", method=zipfile.ZIP_DEFLATED, zeros=0, **given):
    """An .npz file with any header and so many zeros after it."""
    with (
        zipfile.ZipFile(path, "w", method) as file,
        file.open(f"{name}.npy", "w", force_zip64=True) as out,
    ):
        out.write(header(**given))
        for _ in range(zeros >> 22):
            out.write(bytes(1 << 22))
        out.write(bytes(zeros & ((1 << 22) - 1)))
    return path


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = archive(tmp_path / "bomb.npz", shape=(320, 1024, 1024), zeros=320 << 20)
    script = (
        "import re, sys\nfrom pathlib import Path\n"
        "from edgeshuffle.artifact import Preprocess\nfrom edgeshuffle.dataset import open_images\n"
        "try:\n    open_images(Path(sys.argv[1]), Preprocess(resize=8, crop=(8, 8), mean=(0,)*3, "
        "std=(1,)*3), limit=1)\nexcept Exception as err:\n    print(err)\n"
        "print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bomb)], capture_output=True, text=True, check=True
    )
    message, kilobytes = done.stdout.splitlines()
    assert "to 320 MiB, as no pictures do" in message
    assert int(kilobytes) < 200_000


def test_one_picture_of_many_costs_one(tmp_path):
    path = archive(
        tmp_path / "many.npz", method=zipfile.ZIP_STORED, shape=(600, 512, 1024), zeros=300 << 20
    )
    import tracemalloc

    tracemalloc.start()
    images = open_images(path, PLAIN, limit=2)
    assert tensors(images).shape == (2, 3, 8, 8)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": (10**12, 8, 8)}, "images of 8x8 pixels"),
        ({"shape": (1, 10**6, 10**6)}, "images of 1000000x1000000 pixels"),
        ({"shape": (10, 8, 8)}, "ends early"),
        ({"shape": (1, 8, 8), "zeros": 65}, "more values than its header says"),
        ({"shape": (1, 8, 8), "dtype": "|O"}, "no plain array"),
        ({"shape": (1, -8, 8)}, "not a readable|of type"),
        ({"shape": (1, 8, 8), "zeros": 64, "method": zipfile.ZIP_LZMA}, "as numpy does not pack"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, given, message):
    refused(archive(tmp_path / "a.npz", **given), message)


def test_labels_and_names_are_bounded(tmp_path):
    np.savez(tmp_path / "a.npz", x=noise(3, 8, 8), y=np.zeros((3, 1 << 20), np.int8))
    refused(tmp_path / "a.npz", r"labels of type int8 and shape \(3, 1048576\)")
    np.savez(tmp_path / "b.npz", x=noise(3, 8, 8), y=np.arange(3))
    with zipfile.ZipFile(tmp_path / "b.npz", "a") as file:
        file.writestr("classes.npy", header((10**9,), "<U300"))
    refused(tmp_path / "b.npz", "classes has", class_names=["a", "b", "c"])


def test_a_damaged_picture_is_found_though_it_is_not_chosen(tmp_path):
    np.savez(tmp_path / "a.npz", x=noise(50, 8, 8))
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(raw)
    refused(tmp_path / "a.npz", "Bad CRC", limit=1)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "neither an image folder nor an .npz file")
    (tmp_path / "folder" / "cat").mkdir(parents=True)
    os.mkfifo(tmp_path / "folder" / "cat" / "a.png")
    images = open_images(tmp_path / "folder", PLAIN)
    for read in (lambda: list(images), lambda: images.digest):
        with pytest.raises(DataError, match=r"a\.png is no file"):
            read()


def test_pictures_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    Image.new("1", (300, 300)).save(tmp_path / "a.png")
    images = open_images(tmp_path, PLAIN)
    for limit in (40_000, 80_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match="exceeds limit"):
            list(images)
    monkeypatch.setattr("edgeshuffle.dataset.pictures.MOST_BYTES", 10)
    with pytest.raises(DataError, match="larger than"):
        images.digest  # noqa: B018


@given(st.binary(max_size=300), st.integers(0, 2**31), st.booleans())
def test_no_other_error_comes_through(tmp_path_factory, noise_bytes, seed, whole):
    out = io.BytesIO()
    np.savez_compressed(out, x=noise(4, 8, 8), y=np.arange(4))
    raw = bytearray(noise_bytes if whole else out.getvalue())
    random = np.random.default_rng(seed)
    for _ in range(3):
        if raw:
            raw[random.integers(len(raw))] = random.integers(256)
    path = tmp_path_factory.getbasetemp() / "any.npz"
    path.write_bytes(raw)
    with contextlib.suppress(DataError):
        list(open_images(path, PLAIN))
    with contextlib.suppress(UnreadableError):
        members(path)
