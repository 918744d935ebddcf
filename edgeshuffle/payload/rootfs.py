"""A board's root file system: Debian packages and wheels, unpacked, never installed.

No root, no container and no foreign program is needed to build it: apt resolves and verifies the
ARM packages in a state folder of its own, pip the aarch64 wheels, and both are only unpacked. It
is built once into the cache, under a name made of everything that decides what is in it.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import ArtifactError, DeviceError
from edgeshuffle.host.atomic import atomic_folder
from edgeshuffle.payload.wheels import download_wheels, installed_here, run_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeshuffle.progress import Progress

# Counts changes of this module that change what it makes.
RECIPE: Final = 2
SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PYTHON: Final = (3, 11)
GLIBC: Final = (2, 36)
SITE: Final = "usr/lib/python3/dist-packages"
_UNNEEDED: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What is put into a root: Debian's name of it, packages, and wheels of the tested versions."""

    debian: str
    packages: tuple[str, ...]
    wheels: tuple[str, ...]


ARCHITECTURES: Final = {
    "aarch64": Architecture(
        debian="arm64",
        packages=("python3", "libstdc++6"),
        wheels=("onnxruntime", "ai-edge-litert"),
    ),
    # As 32-bit Raspberry Pi OS: its runtime comes by `setup`, its NumPy from Debian.
    "armv7l": Architecture(
        debian="armhf",
        packages=(
            *("python3", "libstdc++6"),
            *("python3-numpy", "libblas3", "liblapack3", "libgfortran5"),
        ),
        wheels=(),
    ),
}


def root_filesystem(cache: Path, progress: Progress, machine: str = "aarch64") -> Path:
    """The root folder in `cache`, built if need be; raises DeviceError."""
    chosen = ARCHITECTURES[machine]
    wheels = tuple(installed_here(name) for name in chosen.wheels)
    parts = (str(RECIPE), SUITE, *chosen.packages, *wheels)
    target = cache / f"root-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"
    # It appears whole, so that whoever only reads it needs no lock and may not even write here.
    if not target.is_dir():
        with alone(target):
            if not target.is_dir():
                _build(target, machine, wheels, progress)
    return target


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Hold the lock on something in the cache, and remove what a killed process left half-made.

    Whoever waited finds it made. Raises DeviceError where the cache cannot be written.
    """
    from filelock import FileLock

    lock = FileLock(f"{target}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as err:
        raise DeviceError(
            f"Cannot write {target} ({err.strerror or err}). Make room, or set XDG_CACHE_HOME to "
            "another folder."
        ) from err
    try:
        for left in target.parent.glob(f".{target.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


def _build(target: Path, machine: str, wheels: Sequence[str], progress: Progress) -> None:
    # Beside the target, where there is room; with a name that `alone` cleans up.
    work = target.parent / f".{target.name}.download"
    try:
        with atomic_folder(target, overwrite=False) as root:
            assemble(root, work, machine, wheels, progress)
    except ArtifactError as err:
        raise DeviceError(str(err)) from err
    finally:
        shutil.rmtree(work, ignore_errors=True)


def assemble(
    root: Path,
    work: Path,
    machine: str,
    requirements: Sequence[str],
    progress: Progress,
    *,
    alone: bool = False,
) -> None:
    """Fill an empty folder; `requirements` are what pip is given, without dependencies if `alone`.

    Raises DeviceError. What is downloaded is left in `work`.
    """
    for done, step in enumerate(("packages", "wheels", "compile")):
        progress(f"build board: {step}", done, 3)
        if step == "packages":
            _unpack_packages(_download_packages(work, ARCHITECTURES[machine]), root)
            _link_alternatives(root)
        elif step == "wheels" and requirements:
            found = download_wheels(
                requirements,
                machine=machine,
                python=PYTHON,
                glibc=GLIBC,
                folder=work / "wheels",
                alone=alone,
            )
            _unpack_wheels(found, root / SITE)
        elif step == "compile":
            _compile(root)


def _download_packages(work: Path, chosen: Architecture) -> list[Path]:
    if not KEYRING.exists():
        raise DeviceError(f"{KEYRING} is missing: install the package debian-archive-keyring.")
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    mirror = os.environ.get("DEBIAN_MIRROR") or MIRROR
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n")
    settings = {
        "APT::Architecture": chosen.debian,
        "APT::Architectures": chosen.debian,
        "APT::Sandbox::User": "",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Dir::State": str(work),
        "Dir::State::lists": str(work / "lists"),
        "Dir::State::status": str(work / "status"),
        "Dir::Cache": str(work),
        "Dir::Cache::archives": str(work / "archives"),
        "Dir::Etc::sourcelist": str(work / "sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Debug::NoLocking": "true",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    run_tool(["apt-get", *options, "-qq", "update"], "apt-get")
    run_tool(
        ["apt-get", *options, "-qq", "--yes", "--download-only", "install", *chosen.packages],
        "apt-get",
    )
    return sorted((work / "archives").glob("*.deb"))


def _unpack_packages(packages: Sequence[Path], root: Path) -> None:
    # Packages of a merged-/usr system may ship either of the two names.
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    unneeded = [f"--exclude=./{folder}" for folder in _UNNEEDED]
    unpack = ["tar", "-x", "-C", str(root), "--no-same-owner", "--keep-directory-symlink"]
    for package in packages:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
        ) as process:
            tar = subprocess.run([*unpack, *unneeded], stdin=process.stdout, check=False)
        if process.returncode or tar.returncode:
            raise DeviceError(f"{package.name} cannot be unpacked. Make room, or try again.")


def _link_alternatives(root: Path) -> None:
    """Set the links that Debian's packages for linear algebra set when they are installed."""
    for library in sorted(root.glob("usr/lib/*/*/lib*.so.3")):
        if library.parent.name in ("blas", "lapack"):
            link = library.parent.parent / library.name
            link.symlink_to(f"{library.parent.name}/{library.name}")


def _unpack_wheels(wheels: Sequence[Path], site: Path) -> None:
    """Unpack as pip does (PEP 427), less scripts and headers."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                first, _, rest = info.filename.partition("/")
                if first.endswith(".data"):
                    kind, _, rest = rest.partition("/")
                    if kind not in ("purelib", "platlib"):
                        continue
                    info.filename = rest
                archive.extract(info, site)


def _compile(root: Path) -> None:
    """Byte-compile here, where it takes seconds, if this Python's byte code is the board's."""
    if sys.version_info[:2] != PYTHON:
        return
    for folder in (root / "usr" / "lib" / "python3.11", root / SITE):
        compileall.compile_dir(
            folder,
            quiet=2,
            workers=0,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
