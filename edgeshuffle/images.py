"""Folders or .npz files of pictures, preprocessed as torchvision does: resize, crop, normalise."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from PIL import Image

from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgeshuffle.artifact import Preprocess

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_SEED: Final = 2018


class _Pictures(Protocol):
    def __len__(self) -> int: ...

    def picture(self, index: int) -> Image.Image:
        """One RGB picture; raises DataError."""
        ...

    def content(self, index: int) -> bytes:
        """The bytes that the digest covers; raises DataError."""
        ...


@dataclass(frozen=True)
class _Files:
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                return _rgb(image)
        # Pillow's decoders let errors of many types out of a damaged file.
        except Exception as err:
            raise DataError(f"{path} cannot be read as a picture ({err}). Remove it.") from err

    def content(self, index: int) -> bytes:
        path = self.paths[index]
        try:
            return path.read_bytes()
        except OSError as err:
            raise DataError(f"{path} cannot be read ({err.strerror}). Remove it.") from err


@dataclass(frozen=True, eq=False)
class _Pixels:
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def picture(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index]).convert("RGB")

    def content(self, index: int) -> bytes:
        pixels: bytes = self.pixels[index].tobytes()
        return str(self.pixels.shape[1:]).encode() + pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images in a fixed order; iterating decodes one at a time to float32 (1, 3, crop, crop).

    `labels` are class indices of the same order, int64 (n,), or None where there are none.
    """

    pictures: _Pictures
    preprocess: Preprocess
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for index in range(len(self)):
            yield preprocess_picture(self.pictures.picture(index), self.preprocess)

    @cached_property
    def digest(self) -> str:
        """Sha256 over the encoded files, or pixels, of all images in order."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            content = self.pictures.content(index)
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        return digest.hexdigest()


def open_images(
    path: Path,
    preprocess: Preprocess,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    labelled: bool = False,
    limit: int | None = None,
) -> ImageSet:
    """Open a flat folder, a folder of class folders, or an .npz file.

    An .npz file holds `x` or `images`, uint8 (n, h, w), (n, h, w, 1) or (n, h, w, 3); optionally
    `y` or `labels`, integer (n,); and optionally `classes`, the names of its labels. With `limit`
    at most so many images are used, spread evenly over the classes and over the set.

    Raises DataError where there are no images, or labels are missing though `labelled`, are out
    of range of `num_classes`, or cannot be told from the class folders' names.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} leaves no images. Give 1 or more.")
    if not path.exists():
        raise DataError(f"{path} does not exist. Give an image folder or an .npz file.")
    if path.is_dir():
        opened = _open_folder(path, num_classes, class_names)
    elif path.suffix.lower() == ".npz":
        opened = _open_npz(path, num_classes, class_names)
    else:
        raise DataError(f"{path} is neither an image folder nor an .npz file.")
    if opened.labels is None and labelled:
        raise DataError(
            f"{path} has no labels. Put the images into one folder a class, or add `y` to the .npz."
        )
    if opened.labels is not None and num_classes is not None:
        wrong = opened.labels[(opened.labels < 0) | (opened.labels >= num_classes)]
        if wrong.size:
            raise DataError(
                f"{path} has label {wrong[0]}, but the model's {num_classes} classes are "
                f"0 to {num_classes - 1}. Give images of the model's classes."
            )
    chosen = spread(opened.strata, limit)
    return ImageSet(
        pictures=opened.take(chosen),
        preprocess=preprocess,
        labels=None if opened.labels is None else opened.labels[chosen],
    )


def spread(strata: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """Ascending indices of `limit` items, the same ones each time.

    Strata are drawn from in proportion to their sizes, equal ones alike to within one item, and a
    smaller limit chooses a subset of what a larger one does.
    """
    count = len(strata)
    if limit is None or limit >= count:
        return np.arange(count)
    # RandomState's stream is frozen by NumPy's compatibility policy; default_rng's is not.
    random = np.random.RandomState(_SEED)
    key = np.empty(count)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        key[random.permutation(members)] = (np.arange(len(members)) + random.rand()) / len(members)
    return np.sort(np.argsort(key, kind="stable")[:limit])


def class_indices(
    folders: Sequence[str],
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[str, int] | None:
    """Map class folders to class indices; None where nothing is known of the classes.

    The names are class names (with `_` for `/`), or indices, or, where there are exactly
    `num_classes` folders, in sorted order, as torchvision's ImageFolder has it. Raises DataError
    for any other set of names.
    """
    known = {name.replace("/", "_"): index for index, name in enumerate(class_names or ())}
    strangers = sorted(name for name in folders if name not in known)
    if not strangers:
        return {name: known[name] for name in folders}
    if all(name.isascii() and name.isdecimal() for name in folders):
        return {name: int(name) for name in folders}
    if num_classes is None and class_names is None:
        return None
    some_known = len(strangers) < len(folders)
    if len(folders) == num_classes and not some_known:
        return {name: index for index, name in enumerate(sorted(folders))}
    example = f" such as '{next(iter(known))}'" if known else ""
    raise DataError(
        f"The class folder '{strangers[0]}' is no class of the model. Name folders by class"
        f"{example}, by index (0, 1, ...), or have exactly {num_classes or len(known)} folders "
        f"that sort in class order (there are {len(folders)})."
    )


def preprocess_picture(picture: Image.Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """An RGB picture as normalised float32 (1, 3, crop, crop); a crop x crop one is not resized."""
    crop = preprocess.crop
    if picture.size != (crop, crop):
        picture = _centre(_resized(picture, preprocess.resize), crop)
    pixels: NDArray[np.float32] = np.asarray(picture, np.float32) / np.float32(255)
    mean, std = np.array((preprocess.mean, preprocess.std), np.float32)
    pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Opened:
    """Everything at a path, before the limit; `strata` are what the limit is spread over."""

    source: tuple[Path, ...] | NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    strata: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64]) -> _Pictures:
        if isinstance(self.source, tuple):
            return _Files(tuple(self.source[index] for index in chosen))
        return _Pixels(self.source[chosen])


def _open_folder(path: Path, num_classes: int | None, class_names: Sequence[str] | None) -> _Opened:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    flat = tuple(entry for entry in entries if _is_image(entry.name) and entry.is_file())
    classes = {entry.name: _images_below(entry) for entry in entries if entry.is_dir()}
    nested = tuple(image for images in classes.values() for image in images)
    if not flat and not nested:
        raise DataError(f"{path} holds no images ({', '.join(SUFFIXES)}). Give another folder.")
    if flat and nested:
        raise DataError(
            f"{path} mixes images ({flat[0].name}) with class folders "
            f"({nested[0].relative_to(path).parts[0]}). Give it one or the other."
        )
    if flat:
        return _Opened(source=flat, labels=None, strata=np.zeros(len(flat), np.int64))
    sizes = [len(images) for images in classes.values()]
    indices = class_indices(tuple(classes), num_classes=num_classes, class_names=class_names)
    labels = None
    if indices is not None:
        labels = np.repeat(np.array([indices[name] for name in classes], np.int64), sizes)
    strata = np.repeat(np.arange(len(classes)), sizes)
    return _Opened(source=nested, labels=labels, strata=strata if labels is None else labels)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _images_below(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if _is_image(name)]
    return sorted(found)


def _open_npz(path: Path, num_classes: int | None, class_names: Sequence[str] | None) -> _Opened:
    arrays = _read_npz(path)
    pixels = arrays.get("x", arrays.get("images"))
    if pixels is None:
        raise DataError(f"{path} has no array `x` or `images`. Give uint8 images of that name.")
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    good_shape = pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)
    if pixels.dtype != np.uint8 or not good_shape or 0 in pixels.shape[1:]:
        raise DataError(
            f"{path} has images of type {pixels.dtype} and shape {pixels.shape}. "
            "Give uint8 (n, h, w), (n, h, w, 1) or (n, h, w, 3)."
        )
    if not len(pixels):
        raise DataError(f"{path} holds no images. Give another file.")
    labels = arrays.get("y", arrays.get("labels"))
    if labels is None:
        return _Opened(source=pixels, labels=None, strata=np.zeros(len(pixels), np.int64))
    if labels.shape != (len(pixels),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path} has labels of type {labels.dtype} and shape {labels.shape} for "
            f"{len(pixels)} images. Give one integer an image."
        )
    labels = labels.astype(np.int64)
    names = _npz_class_names(arrays, len(pixels), num_classes)
    if names and class_names and set(names) <= set(class_names):
        if labels.min() < 0 or labels.max() >= len(names):
            raise DataError(f"{path} has labels beyond its {len(names)} `classes`. Make it again.")
        labels = np.array([class_names.index(name) for name in names], np.int64)[labels]
    return _Opened(source=pixels, labels=labels, strata=labels)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    wanted = ("x", "images", "y", "labels", "classes", "names")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in wanted if key in file}
    # zipfile and numpy do so too, and an .npy file of this name gives an array without `with`.
    except Exception as err:
        raise DataError(f"{path} is not a readable .npz file ({err}). Make it again.") from err


def _npz_class_names(
    arrays: dict[str, NDArray[Any]], count: int, num_classes: int | None
) -> list[str] | None:
    names = arrays.get("classes")
    if names is None:
        names = arrays.get("names")
        # `names` may also be one file name an image.
        if names is None or len(names) == count or len(names) != num_classes:
            return None
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names.flat]


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits of red, green and blue, without the alpha channel."""
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys at 255; their upper byte is the picture.
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "P":
        # Straight to RGB, Pillow warns about the palette's transparency.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _resized(picture: Image.Image, shorter: int) -> Image.Image:
    """Resize the shorter side to `shorter` pixels, rounding the longer one as torchvision does."""
    short, long = sorted(picture.size)
    other = int(shorter * long / short)
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and shorter * other > limit:
        raise DataError(f"A picture of {picture.width}x{picture.height} is too narrow. Remove it.")
    size = (shorter, other) if picture.width <= picture.height else (other, shorter)
    return picture.resize(size, Image.Resampling.BILINEAR)


def _centre(picture: Image.Image, crop: int) -> Image.Image:
    if min(picture.size) < crop:
        raise DataError(
            f"The model resizes pictures to {min(picture.size)} pixels but crops {crop}. "
            "Make `resize` at least `crop`."
        )
    left = round((picture.width - crop) / 2)
    top = round((picture.height - crop) / 2)
    return picture.crop((left, top, left + crop, top + crop))
