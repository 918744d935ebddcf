"""Where the model is: an artifact folder, or one of its model files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeshuffle.artifact import MANIFEST, Artifact
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from edgeshuffle.artifact import ModelFile


def find_model(place: Path | None) -> tuple[Artifact, ModelFile | None]:
    """The artifact in a folder, the newest one under build/, or that of a file, and this file.

    Raises ArtifactError.
    """
    if place is None:
        return Artifact.newest(Path("build")), None
    if place.is_dir() or not place.exists():
        return Artifact.load(place), None
    if not (place.parent / MANIFEST).is_file():
        raise ArtifactError(
            f"{place} has no {MANIFEST} beside it, which says how to read it. Give an artifact."
        )
    artifact = Artifact.load(place.parent)
    file = next((one for one in artifact.manifest.files if one.path == place.name), None)
    if file is None:
        raise ArtifactError(f"{place} is not in the {MANIFEST} beside it. Give one that is.")
    return artifact, file
