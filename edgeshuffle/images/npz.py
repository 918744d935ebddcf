"""Images and labels in an .npz file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgeshuffle.errors import DataError
from edgeshuffle.images.labels import are_wordnet_ids, indices_of_names
from edgeshuffle.images.opened import Opened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def open_npz(path: Path, num_classes: int | None, class_names: Sequence[str] | None) -> Opened:
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
        return Opened(source=pixels, labels=None, strata=np.zeros(len(pixels), np.int64))
    if labels.shape != (len(pixels),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path} has labels of type {labels.dtype} and shape {labels.shape} for "
            f"{len(pixels)} images. Give one integer an image."
        )
    labels = labels.astype(np.int64)
    names = _npz_class_names(arrays, len(pixels), num_classes)
    if names and class_names and not are_wordnet_ids(names):
        indices = indices_of_names(names, class_names)
        if indices is None:
            raise DataError(
                f"{path} has `classes` such as '{names[0]}', the model such as '{class_names[0]}'. "
                "Name them alike, or leave `classes` out if the order is the model's."
            )
        if labels.min() < 0 or labels.max() >= len(names):
            raise DataError(f"{path} has labels beyond its {len(names)} `classes`. Make it again.")
        labels = np.array(indices, np.int64)[labels]
    return Opened(source=pixels, labels=labels, strata=labels)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    wanted = ("x", "images", "y", "labels", "classes", "names")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: np.atleast_1d(file[key]) for key in wanted if key in file}
    # zipfile and numpy do so too, and an .npy file of this name gives an array without `with`.
    except Exception as err:
        raise DataError(
            f"{path} is not a readable .npz file of plain arrays. Make it again, by numpy.savez."
        ) from err


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
