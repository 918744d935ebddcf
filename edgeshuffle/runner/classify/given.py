"""The pictures that are to be classified, one after another, whatever they lie in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.agent.picture import MODES, converted, frames, upright
from edgeshuffle.dataset import open_images, spread
from edgeshuffle.dataset.folder import SUFFIXES, images_below
from edgeshuffle.dataset.pictures import MOST_BYTES, decoded
from edgeshuffle.errors import DataError, Obstacles
from edgeshuffle.host.packaged import TEST_IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL import Image

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.dataset import ImageSet
    from edgeshuffle.runner.classify.source import Source

STDIN: Final = Path("-")
# Of the demo's own pictures, where none are given.
_DEMO: Final = 10


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A picture of the mode that the network reads, and what was odd about it."""

    image: Image.Image
    odd: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A picture that is not decoded yet; `decode` raises DataError. `truth` is its class."""

    name: str
    decode: Callable[[], Decoded]
    truth: int | None = None


def given_pictures(places: Sequence[Path], source: Source, limit: int | None) -> list[Given]:
    """All pictures of files, folders (with all below them), .npz files and `-`, in order.

    With `limit` at most so many, spread evenly. Without any place, some of the packaged test images
    if it is the demo that classifies. Raises DataError for all places that hold none.
    """
    preprocess = source.preprocess
    if not places:
        if not source.demo:
            raise DataError("There is nothing to classify. Give a picture, a folder or -.")
        return list(_rows(TEST_IMAGES, preprocess, limit or _DEMO))
    found: list[Given] = []
    obstacles = Obstacles()
    for place in places:
        with obstacles.noted():
            found += _at(place, preprocess)
    obstacles.refuse()
    if limit is None:
        return found
    return [found[index] for index in spread(np.zeros(len(found), np.int64), limit)]


def _at(place: Path, preprocess: Preprocess) -> Iterator[Given]:
    mode = MODES[preprocess.channels]
    if place == STDIN:
        if sys.stdin is None:
            raise DataError("There is no standard input. Give a picture or a folder.")
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise DataError(f"Standard input has more than {MOST_BYTES >> 20} MiB.")
        yield Given(name="-", decode=lambda: _decode(BytesIO(content), "Standard input", mode))
    elif _is(Path.is_dir, place):
        files = images_below(place)
        if not files:
            raise DataError(
                f"{place} holds no pictures ({', '.join(SUFFIXES)}). Give another folder."
            )
        yield from map(_file(mode), files)
    elif place.suffix.lower() == ".npz" and _is(Path.is_file, place):
        yield from _rows(place, preprocess, None)
    else:
        yield _file(mode)(place)


def _is(kind: Callable[[Path], bool], place: Path) -> bool:
    """Of what cannot be looked at, such as a name that no system takes, decoding tells why."""
    try:
        return kind(place)
    except OSError:
        return False


def _file(mode: str) -> Callable[[Path], Given]:
    return lambda path: Given(name=str(path), decode=lambda: _decode(path, str(path), mode))


def _rows(file: Path, preprocess: Preprocess, limit: int | None) -> Iterator[Given]:
    images = open_images(file, preprocess, limit=limit)
    mode = MODES[preprocess.channels]
    for index in range(len(images)):
        yield Given(
            name=images.pictures.name(index),
            decode=_row(images, index, mode),
            truth=None if images.labels is None else int(images.labels[index]),
        )


def _row(images: ImageSet, index: int, mode: str) -> Callable[[], Decoded]:
    return lambda: Decoded(image=images.pictures.picture(index, mode), odd=())


def _decode(source: Path | BytesIO, name: str, mode: str) -> Decoded:
    def read(image: Image.Image) -> Decoded:
        count = frames(image)
        if count > 1:
            raise DataError(
                f"{name} is an animation or has {count} pages. Give one of its pictures."
            )
        turned, odd = upright(image)
        return Decoded(image=converted(turned, mode), odd=tuple(odd))

    return decoded(source, name, read)
