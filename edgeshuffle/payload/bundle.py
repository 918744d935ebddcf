"""Python with the runtimes for a phone, which has neither: one archive that needs no installation.

It is the emulated board's root file system less what a shell would need. Every program is started
through the archive's own loader, so nothing of the phone's own C library is used.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Final

from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.host.folders import cache_folder
from edgeshuffle.payload.rootfs import PYTHON, SITE, alone, root_filesystem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgeshuffle.progress import Progress

_VERSION: Final = f"python{PYTHON[0]}.{PYTHON[1]}"
_LIBRARIES: Final = "usr/lib/aarch64-linux-gnu"
_LOADER: Final = "ld-linux-aarch64.so.1"
# Tests and tools that only a developer of Python needs.
_UNNEEDED: Final = ("test", "tests", "idlelib", "ensurepip", "lib2to3", "tkinter", "turtledemo")
# `$0` is this script, whichever way it was found.
_START: Final = f"""#!/system/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONHOME="$here/usr" PYTHONPATH="$here/{SITE}" PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
exec "$here/lib/{_LOADER}" --library-path "$here/{_LIBRARIES}" --argv0 "$here/python3" \\
    "$here/usr/bin/{_VERSION}" "$@"
"""


def bundle(progress: Progress) -> Path:
    """The archive (.tar.gz) in the cache, built if need be; raises DeviceError."""
    cache = cache_folder() / "emulated"
    root = root_filesystem(cache, progress)
    target = cache / f"{root.name.replace('root', 'bundle')}.tar.gz"
    if not target.exists():
        with alone(target):
            if not target.exists():
                progress("build bundle", 0, 1)
                pack(root, target)
    return target


def pack(root: Path, target: Path) -> None:
    """Write the archive of a board's root file system; raises ArtifactError."""
    with (
        atomic_file(target) as temporary,
        temporary.open("wb") as raw,
        # Without times and names, the same root gives the same bytes.
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        _add(archive, "python3", _START.encode(), 0o755)
        for name, file in _files(root):
            _add(archive, name, file.read_bytes(), 0o755 if file.stat().st_mode & 0o111 else 0o644)


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Names in the archive and what they hold; links are followed, as phones may not make them."""
    yield f"lib/{_LOADER}", root / "lib" / _LOADER
    yield f"usr/bin/{_VERSION}", root / "usr" / "bin" / _VERSION
    for folder in (_LIBRARIES, f"usr/lib/{_VERSION}", SITE):
        for file in sorted((root / folder).rglob("*")):
            parts = file.relative_to(root).parts
            is_shared = folder != _LIBRARIES or ".so" in file.name
            if file.is_file() and is_shared and not set(parts) & set(_UNNEEDED):
                yield "/".join(parts), file


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
