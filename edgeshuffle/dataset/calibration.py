"""Unlabelled images for an artifact: those that are given, or the demo's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.dataset import ImageSet, open_images
from edgeshuffle.errors import DataError
from edgeshuffle.packaged import CALIBRATION_IMAGES

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact import Artifact


def calibration_images(
    artifact: Artifact, data: Path | None, limit: int | None
) -> tuple[Path, ImageSet]:
    """Where they are, and the images, prepared for the artifact; raises DataError."""
    if data is None:
        if artifact.manifest.source.get("kind") != "demo":
            raise DataError(
                f"{artifact.folder} was not made from the demo weights, so there are no images "
                "for it. Give --data DIR or --data FILE.npz."
            )
        data = CALIBRATION_IMAGES
    return data, open_images(data, artifact.manifest.preprocess, limit=limit)
