"""The artifact: a folder of model files with `manifest.json`, which the device side starts from.

Nothing after this point opens the graph again; everything a runner needs is in the manifest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.class_names import parse_class_names
from edgeshuffle.artifact.manifest import (
    LABELS,
    RUNTIME_OF_FORMAT,
    SCHEMA_VERSION,
    Manifest,
    ModelFile,
    Precision,
    TensorInfo,
)
from edgeshuffle.artifact.preprocess import Preprocess
from edgeshuffle.errors import ArtifactError
from edgeshuffle.host.atomic import refuse_existing
from edgeshuffle.untrusted import UntrustedError, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "LABELS",
    "MANIFEST",
    "RUNTIME_OF_FORMAT",
    "SCHEMA_VERSION",
    "Artifact",
    "Manifest",
    "ModelFile",
    "Precision",
    "Preprocess",
    "TensorInfo",
    "check_file",
    "refuse_target",
    "sha256",
]

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class Artifact:
    """An artifact folder on disk, as it was loaded or written.

    `manifest_sha256` is of the bytes that `manifest` was read from: the identity that measurements
    point to. `labels` are class names by index, where known.
    """

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    labels: tuple[str, ...] | None = None

    def path(self, file: ModelFile) -> Path:
        """Where one of the manifest's files lies."""
        return self.folder / file.path

    def check_files(self, files: Iterable[ModelFile]) -> None:
        """Raise ArtifactError unless these files are still what the manifest says."""
        for file in files:
            check_file(self.path(file), file)

    @classmethod
    def load(cls, folder: Path) -> Artifact:
        """Read the manifest and check every file's sha256; raises ArtifactError."""
        path = folder / MANIFEST
        if not folder.exists():
            raise ArtifactError(f"There is no {folder}. Make an artifact: edgeshuffle export.")
        if not path.is_file():
            raise ArtifactError(
                f"{folder} has no {MANIFEST}, so it is no artifact. Make one: edgeshuffle export."
            )
        try:
            raw = read_bounded(path)
            manifest = Manifest.from_json(raw)
        except (ValueError, OSError) as err:
            raise ArtifactError(f"{path} cannot be read ({err}). Export it again.") from err
        labels = _read_labels(folder, manifest)
        artifact = cls(folder, manifest, hashlib.sha256(raw).hexdigest(), labels)
        artifact.check_files(manifest.files)
        return artifact

    @classmethod
    def newest(cls, root: Path) -> Artifact:
        """Load the artifact under `root` that was written last; raises ArtifactError."""
        manifests = sorted(root.glob(f"[!.]*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns)
        if not manifests:
            raise ArtifactError(
                f"There is no artifact under {root}/. Make one: edgeshuffle export --int8."
            )
        return cls.load(manifests[-1].parent)


def _read_labels(folder: Path, manifest: Manifest) -> tuple[str, ...] | None:
    """Class names, if the manifest has any: exactly those that it was written with."""
    path = folder / LABELS
    if manifest.labels is None:
        if path.exists():
            raise ArtifactError(
                f"{path} is not in the manifest, so its order cannot be trusted. Export it again."
            )
        return None
    try:
        raw = read_bounded(path)
        names = parse_class_names(raw)
    except OSError as err:
        raise ArtifactError(f"{path} is missing or unreadable. Export it again.") from err
    except UntrustedError as err:
        raise ArtifactError(f"{path} cannot be read ({err}). Export it again.") from err
    if hashlib.sha256(raw).hexdigest() != manifest.labels.sha256:
        raise ArtifactError(f"{path} was changed. Export it again.")
    if len(names) != manifest.num_classes:
        raise ArtifactError(
            f"{path} names {len(names)} classes, the model has {manifest.num_classes}. Export it "
            "again."
        )
    return names


def refuse_target(target: Path, *, overwrite: bool) -> None:
    """Raise ArtifactError if an artifact may not be written to `target`.

    Replaced is only what an export wrote: a folder that is something else, or in which other files
    lie too, stays as it is.
    """
    refuse_existing(target, overwrite=overwrite)
    if not target.is_dir() or not any(target.iterdir()):
        return
    try:
        manifest = Manifest.from_json(read_bounded(target / MANIFEST))
    except (OSError, ValueError) as err:
        raise ArtifactError(
            f"{target} holds files that are not an edgeshuffle artifact, so it is not replaced. "
            "Choose another `output`."
        ) from err
    written = {MANIFEST, LABELS, *(file.path for file in manifest.files)}
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in written)
    if others:
        raise ArtifactError(
            f"{target} also holds '{others[0]}', which no export wrote, so it is not replaced. "
            "Move it away, or choose another `output`."
        )


def check_file(path: Path, file: ModelFile) -> None:
    """Raise ArtifactError unless a model file is still what was written."""
    if not path.is_file():
        raise ArtifactError(f"{path} is missing. Export it again.")
    if sha256(path) != file.sha256:
        raise ArtifactError(f"{path} was changed. Export it again.")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
