"""Folders or .npz files of pictures, preprocessed as torchvision does: resize, crop, normalise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.agent.picture import MODES
from edgeshuffle.dataset.folder import open_folder
from edgeshuffle.dataset.npz import open_npz
from edgeshuffle.dataset.pictures import PictureSubset
from edgeshuffle.dataset.prepare import preprocess_picture
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edgeshuffle.artifact import Preprocess
    from edgeshuffle.dataset.labels import ClassOrder
    from edgeshuffle.dataset.pictures import Pictures

_SEED: Final = 2018
_LISTED: Final = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """Images in a fixed order; iterating decodes one at a time to float32 (1, C, height, width).

    `labels` are class indices of the same order, int64 (n,), or None where there are none;
    `class_order` tells how class folders were told apart, where labels came from those.
    """

    pictures: Pictures
    preprocess: Preprocess
    labels: NDArray[np.int64] | None
    class_order: ClassOrder | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """One of them; several threads may ask."""
        picture = self.pictures.picture(index, MODES[self.preprocess.channels])
        return preprocess_picture(picture, self.preprocess)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[index] for index in range(len(self)))

    def some(self, limit: int) -> ImageSet:
        """At most so many of them, spread evenly over the classes, if known, and over the set."""
        strata = np.zeros(len(self), np.int64) if self.labels is None else self.labels
        chosen = spread(strata, limit)
        return ImageSet(
            pictures=PictureSubset(self.pictures, tuple(chosen.tolist())),
            preprocess=self.preprocess,
            labels=None if self.labels is None else self.labels[chosen],
            class_order=self.class_order,
        )

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
    class_order: str | None = None,
    limit: int | None = None,
) -> ImageSet:
    """Open a flat folder, a folder of class folders, or an .npz file.

    An .npz file holds `x` or `images`, uint8 (n, h, w) or (n, h, w, C) with C 1, 3 or 4 (RGBA);
    optionally `y` or `labels`, integer (n,); and optionally `classes`, the names of its labels.
    With `limit` at most so many images are used, spread evenly over the classes and over the set.
    `class_order` decides how class folders are told apart (`labels.class_indices`).

    Raises DataError where there are no images, or labels are missing though `labelled`, are out
    of range of `num_classes`, or cannot be told from the class folders' names.
    """
    if limit is not None and limit < 1:
        raise DataError(f"A limit of {limit} leaves no images. Give 1 or more.")
    if not path.exists():
        raise DataError(f"{path} does not exist. Give an image folder or an .npz file.")
    if path.is_dir():
        source = open_folder(path, num_classes, class_names, class_order)
    elif path.suffix.lower() == ".npz" and path.is_file():
        source = open_npz(path, num_classes, class_names)
    else:
        raise DataError(f"{path} is neither an image folder nor an .npz file.")
    if source.labels is None and labelled:
        raise DataError(
            f"{path} has no labels. Put the images into one folder a class or add `y` to the .npz, "
            "or give `labelled=False` to compare with the float model only."
        )
    if source.labels is not None and num_classes is not None:
        wrong = source.labels[(source.labels < 0) | (source.labels >= num_classes)]
        if wrong.size:
            by_index = source.class_order is not None and source.class_order.rule == "index"
            beyond = np.unique(wrong).tolist()
            shown = ", ".join(map(str, beyond[:_LISTED]))
            more = f" and {len(beyond) - _LISTED} more" if len(beyond) > _LISTED else ""
            raise DataError(
                f"{path} has label{'s' if len(beyond) > 1 else ''} {shown}{more}, but the model's "
                f"{num_classes} classes are 0 to {num_classes - 1}. Give images of the model's "
                f"classes{', or `class_order=sorted`' if by_index else ''}."
            )
    chosen = spread(source.strata, limit)
    return ImageSet(
        pictures=source.pictures.take(chosen),
        preprocess=preprocess,
        labels=None if source.labels is None else source.labels[chosen],
        class_order=source.class_order,
    )


def spread(strata: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """Ascending indices of `limit` items, the same ones each time.

    Stratified sampling: strata are drawn from in proportion to their sizes, equal ones alike to
    within one item, and a smaller limit chooses a subset of what a larger one does.
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
