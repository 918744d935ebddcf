"""Images and labels in an .npz file, of which no more is unpacked than is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgeshuffle.dataset.labels import are_wordnet_ids, indices_of_names, listed, unknown_names
from edgeshuffle.dataset.npy import Member, UnreadableError, members
from edgeshuffle.dataset.packed import PackedPictures
from edgeshuffle.dataset.source import ImageSource
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_MOST_IMAGES: Final = 10_000_000
_MOST_PIXELS: Final = 1 << 26
_MOST_LABEL_BYTES: Final = 256 << 20


def open_npz(path: Path, num_classes: int | None, class_names: Sequence[str] | None) -> ImageSource:
    try:
        arrays = members(path)
        return _source(path, arrays, num_classes, class_names)
    except UnreadableError as err:
        raise DataError(
            f"{path} is not a readable .npz file of plain arrays ({err}). Make it again, by "
            "numpy.savez."
        ) from err


def _source(
    path: Path,
    arrays: Mapping[str, Member],
    num_classes: int | None,
    class_names: Sequence[str] | None,
) -> ImageSource:
    pixels = arrays.get("x", arrays.get("images"))
    if pixels is None:
        raise DataError(f"{path} has no array `x` or `images`. Give uint8 images of that name.")
    pictures = PackedPictures.of(path, pixels)
    count = len(pictures)
    if not count:
        raise DataError(f"{path} holds no images. Give another file.")
    if count > _MOST_IMAGES or max(pictures.shape[:2]) ** 2 > _MOST_PIXELS:
        raise DataError(
            f"{path} holds {count} images of {pictures.shape[1]}x{pictures.shape[0]} pixels; "
            f"{_MOST_IMAGES} of {int(_MOST_PIXELS**0.5)} pixels a side are the most."
        )
    stored = arrays.get("y", arrays.get("labels"))
    if stored is None:
        return ImageSource(pictures=pictures, labels=None, strata=np.zeros(count, np.int64))
    if (
        stored.shape not in ((count,), () if count == 1 else (count,))
        or stored.dtype.kind not in "iu"
    ):
        raise DataError(
            f"{path} has labels of type {stored.dtype} and shape {stored.shape} for "
            f"{count} images. Give one integer an image."
        )
    labels = np.atleast_1d(stored.whole(_MOST_LABEL_BYTES)).astype(np.int64)
    names = _class_names(arrays, count, num_classes)
    if names and class_names and not are_wordnet_ids(names):
        indices = indices_of_names(names, class_names)
        if indices is None:
            raise DataError(
                f"{path} has `classes` that are none of the model's: "
                f"{listed(unknown_names(names, class_names))}; the model's are such as "
                f"'{class_names[0]}'. Name them alike, or leave `classes` out if the order is the "
                "model's."
            )
        if labels.min() < 0 or labels.max() >= len(names):
            raise DataError(f"{path} has labels beyond its {len(names)} `classes`. Make it again.")
        labels = np.array(indices, np.int64)[labels]
    return ImageSource(pictures=pictures, labels=labels, strata=labels)


def _class_names(
    arrays: Mapping[str, Member], count: int, num_classes: int | None
) -> list[str] | None:
    stored = arrays.get("classes")
    if stored is None:
        stored = arrays.get("names")
        # `names` may also be one file name an image.
        if stored is None or stored.length == count or stored.length != num_classes:
            return None
    names: NDArray[Any] = stored.whole(_MOST_LABEL_BYTES)
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names.flat]
