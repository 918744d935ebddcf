"""Pictures, films and cameras as pixels, one after another.

Stands alone, beside `picture.py`: needs numpy; Pillow for pictures but PPM, OpenCV for films and
cameras, or picamera2 for a Raspberry Pi's camera. Python 3.9 or later.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILMS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".h264", ".mjpeg")
PPM = (".ppm", ".pgm", ".pnm")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")
# What a camera's picture is made of a network's input by, which is smaller.
CAMERA_SIZE = (640, 480)


class Problem(Exception):  # noqa: N818 - it is told in one line
    """What cannot be read or opened, and what to do about it."""


def files_at(place: Path) -> list[Path]:
    """A file, or the pictures and films of a folder; the folder itself where it has none."""
    known = (*FILMS, *PPM, *PICTURES)
    try:
        files = sorted(place.iterdir()) if place.is_dir() else []
        files = [path for path in files if path.suffix.lower() in known and path.is_file()]
    except OSError:
        # Whoever reads it is told why it cannot be.
        files = []
    return [path for path in files if not path.name.startswith(".")] or [place]


def pixels_of(path: Path, channels: str, picture: Any) -> Iterator[np.ndarray]:
    """uint8 (h, w, C) of a picture, or of each of a film's; `picture` is that module."""
    try:
        yield from _pixels_of(path, channels, picture)
    except OSError as err:
        raise Problem(f"{path} cannot be read ({err.strerror or line(err)}).") from err


def _pixels_of(path: Path, channels: str, picture: Any) -> Iterator[np.ndarray]:
    if path.is_dir():
        raise Problem(f"{path} holds no pictures or films, or cannot be read.")
    if not path.is_file():
        raise Problem(f"{path} is no file. Give pictures, films or folders of pictures.")
    if path.suffix.lower() in FILMS:
        for frame in film(str(path)):
            yield picture.of_channels(frame, channels)
    elif path.suffix.lower() in PPM:
        yield picture.of_channels(read_ppm(path), channels)
    else:
        yield from _pillow(path, channels, picture)


def _pillow(path: Path, channels: str, picture: Any) -> Iterator[np.ndarray]:
    try:
        from PIL import Image, ImageSequence
    except ImportError:
        raise Problem(
            f"{path} needs the package pillow (pip install pillow), or make it a .ppm file."
        ) from None
    mode = picture.MODES[channels]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(path)
        with opened as image:
            many = picture.frames(image) > 1
            for one in ImageSequence.Iterator(image) if many else (image,):
                turned, _ = picture.upright(one)
                pixels = np.asarray(picture.converted(turned, mode))
                yield pixels.reshape(*pixels.shape[:2], -1)
    except (Problem, GeneratorExit):
        raise
    # Pillow's decoders let errors of many types out of a damaged file.
    except Exception as err:
        raise Problem(f"{path} cannot be read as a picture ({line(err)}).") from err


def read_ppm(path: Path) -> np.ndarray:
    """uint8 (h, w, 3) of a binary PPM or PGM file (P6, P5) of 8 bits."""
    content = path.read_bytes()
    words: list[bytes] = []
    place = 0
    while len(words) < 4 and place < len(content):
        line_end = content.find(b"\n", place)
        if content[place : place + 1] == b"#":
            place = len(content) if line_end < 0 else line_end + 1
        elif content[place : place + 1].isspace():
            place += 1
        else:
            start = place
            while place < len(content) and not content[place : place + 1].isspace():
                place += 1
            words.append(content[start:place])
    known = {b"P6": 3, b"P5": 1}
    digits = len(words) == 4 and all(word.isdigit() and len(word) < 6 for word in words[1:])
    if not digits or words[0] not in known or words[3] != b"255":
        raise Problem(f"{path} is no binary PPM or PGM file (P6, P5) of 8 bits.")
    width, height, count = int(words[1]), int(words[2]), known[words[0]]
    pixels = np.frombuffer(content, np.uint8, offset=min(place + 1, len(content)))
    if not width * height or len(pixels) < width * height * count:
        raise Problem(f"{path} is cut off.")
    image = pixels[: width * height * count].reshape(height, width, count)
    return np.repeat(image, 3 // count, axis=2)


def film(source: str | int) -> Iterator[np.ndarray]:
    """uint8 (h, w, 3) RGB of each picture of a film's file, or of a camera by number."""
    # What it warns of is told in one line here.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        import cv2
    except ImportError:
        raise Problem(
            "Films and cameras need OpenCV: pip install opencv-python-headless."
        ) from None
    capture = cv2.VideoCapture(source)
    try:
        if not capture.isOpened():
            what = f"camera {source}" if isinstance(source, int) else source
            raise Problem(f"OpenCV cannot open {what}. Check that it is there and not in use.")
        while True:
            there, frame = capture.read()
            if not there and isinstance(source, int):
                raise Problem(f"Camera {source} gives no more pictures. Check its cable.")
            if not there:
                return
            yield np.ascontiguousarray(frame[..., ::-1])
    finally:
        capture.release()


def camera(number: int) -> Iterator[np.ndarray]:
    """uint8 (h, w, 3) RGB of a camera, by picamera2 where it is installed, else by OpenCV."""
    try:
        from picamera2 import Picamera2
    except ImportError:
        yield from film(number)
        return
    try:
        device = Picamera2(number)
    except (IndexError, RuntimeError) as err:
        raise Problem(
            f"picamera2 cannot open camera {number} ({line(err)}). Check its cable, and what "
            "rpicam-hello --list-cameras tells."
        ) from err
    try:
        # picamera2's BGR888 is red, green and blue in memory.
        main = {"size": CAMERA_SIZE, "format": "BGR888"}
        device.configure(device.create_video_configuration(main=main))
        device.start()
        while True:
            yield device.capture_array("main")
    except RuntimeError as err:
        raise Problem(
            f"Camera {number} gives no more pictures ({line(err)}). Check its cable."
        ) from err
    finally:
        with contextlib.suppress(RuntimeError):
            device.stop()
        device.close()


def line(err: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(err).split()) or type(err).__name__
