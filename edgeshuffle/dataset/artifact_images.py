"""Images for an artifact: those that are given, or the demo's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.dataset import ImageSet, open_images
from edgeshuffle.errors import DataError
from edgeshuffle.host.packaged import CALIBRATION_IMAGES, TEST_IMAGES

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact import Artifact


def calibration_images(
    artifact: Artifact, data: Path | None, limit: int | None
) -> tuple[Path, ImageSet]:
    """Where they are, and the images without labels; raises DataError."""
    path = _path(artifact, data, CALIBRATION_IMAGES)
    return path, open_images(path, artifact.manifest.preprocess, limit=limit)


def evaluation_images(
    artifact: Artifact,
    data: Path | None,
    *,
    labelled: bool,
    class_order: str | None,
    limit: int | None,
) -> tuple[Path, ImageSet]:
    """Where they are, and the images, with the artifact's class indices where `labelled`.

    `class_order` is as in `open_images`. Raises DataError.
    """
    path = _path(artifact, data, TEST_IMAGES)
    if not labelled:
        return path, open_images(path, artifact.manifest.preprocess, limit=limit)
    return path, open_images(
        path,
        artifact.manifest.preprocess,
        num_classes=artifact.manifest.num_classes,
        class_names=artifact.labels,
        labelled=True,
        class_order=class_order,
        limit=limit,
    )


def _path(artifact: Artifact, data: Path | None, packaged: Path) -> Path:
    if data is not None:
        return data
    if artifact.manifest.source.get("kind") != "demo":
        raise DataError(
            f"{artifact.folder} was not made from the demo weights, so there are no images for it. "
            "Give `data=DIR` or `data=FILE.npz`."
        )
    return packaged
