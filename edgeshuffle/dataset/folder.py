"""Image folders, flat or of class folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.dataset.labels import class_indices
from edgeshuffle.dataset.pictures import FilePictures
from edgeshuffle.dataset.source import ImageSource
from edgeshuffle.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def open_folder(
    path: Path,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    class_order: str | None = None,
) -> ImageSource:
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    flat = tuple(entry for entry in entries if _is_image(entry.name) and entry.is_file())
    classes = {entry.name: images_below(entry) for entry in entries if entry.is_dir()}
    nested = tuple(image for images in classes.values() for image in images)
    if not flat and not nested:
        raise DataError(f"{path} holds no images ({', '.join(SUFFIXES)}). Give another folder.")
    if flat and nested:
        raise DataError(
            f"{path} mixes images ({flat[0].name}) with class folders "
            f"({nested[0].relative_to(path).parts[0]}). Give it one or the other."
        )
    if flat:
        return ImageSource(
            pictures=FilePictures(flat), labels=None, strata=np.zeros(len(flat), np.int64)
        )
    sizes = [len(images) for images in classes.values()]
    mapped = class_indices(
        tuple(classes), num_classes=num_classes, class_names=class_names, order=class_order
    )
    labels = order = None
    if mapped is not None:
        indices, order = mapped
        labels = np.repeat(np.array([indices[name] for name in classes], np.int64), sizes)
    strata = np.repeat(np.arange(len(classes)), sizes)
    return ImageSource(
        pictures=FilePictures(nested),
        labels=labels,
        strata=strata if labels is None else labels,
        class_order=order,
    )


def class_folders(path: Path) -> tuple[str, ...]:
    """Names of the folders that images may lie in by class, sorted; empty where there are none."""
    if not path.is_dir():
        return ()
    entries = (entry for entry in path.iterdir() if not entry.name.startswith("."))
    return tuple(sorted(entry.name for entry in entries if entry.is_dir()))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def images_below(folder: Path) -> list[Path]:
    """Picture files in a folder and all below it, sorted, without hidden ones."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if _is_image(name)]
    return sorted(found)
