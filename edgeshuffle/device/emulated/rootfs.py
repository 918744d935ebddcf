"""A board's root file system: Debian packages and wheels, unpacked, never installed.

No root, no container and no foreign program is needed to build it: apt resolves and verifies the
arm64 packages in a state folder of its own, pip the aarch64 wheels, and both are only unpacked. It
is built once into the cache, under a name made of everything that decides what is in it.
"""

from __future__ import annotations

import compileall
import hashlib
import py_compile
import shutil
import subprocess
import sys
import tarfile
import zipfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from edgeshuffle.atomic import atomic_folder
from edgeshuffle.errors import ArtifactError, DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device import Progress

# Counts changes of this module that change what it makes.
RECIPE: Final = 1
SUITE: Final = "bookworm"
MIRROR: Final = "http://deb.debian.org/debian"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PACKAGES: Final = ("python3", "libstdc++6")
PYTHON: Final = (3, 11)
WHEELS: Final = ("onnxruntime", "ai-edge-litert")
SITE: Final = "usr/lib/python3/dist-packages"
_UNNEEDED: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")
# pip does not take a newer platform tag to include the older ones.
_GLIBC: Final = ("2_17", "2_24", "2_26", "2_27", "2_28", "2_31", "2_34", "2_35", "2_36")


def root_filesystem(cache: Path, progress: Progress) -> Path:
    """The root folder in `cache`, built if need be; raises DeviceError."""
    wheels = tuple(f"{name}=={_installed(name)}" for name in WHEELS)
    parts = (str(RECIPE), SUITE, *PACKAGES, *wheels)
    target = cache / f"root-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:16]}"
    if target.is_dir():
        return target
    steps = ("packages", "wheels", "compile")
    work = cache / f"{target.name}-download"
    try:
        with atomic_folder(target, overwrite=False) as root:
            for done, step in enumerate(steps):
                progress(f"build board: {step}", done, len(steps))
                if step == "packages":
                    _unpack_packages(_download_packages(work), root)
                elif step == "wheels":
                    _unpack_wheels(_download_wheels(wheels, work), root / SITE)
                else:
                    _compile(root)
    except ArtifactError as err:
        # Another process may have been faster; its root is as good.
        if not target.is_dir():
            raise DeviceError(str(err)) from err
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _installed(name: str) -> str:
    """The version on this machine, so that both run the same code."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as err:
        raise DeviceError(
            f"The emulated board takes the version of {name} that is installed here, and none is: "
            "pip install 'edgeshuffle[runtime]'."
        ) from err


def _download_packages(work: Path) -> list[Path]:
    if not KEYRING.exists():
        raise DeviceError(f"{KEYRING} is missing: install the package debian-archive-keyring.")
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
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
    _run(["apt-get", *options, "-qq", "update"], "apt-get")
    _run(["apt-get", *options, "-qq", "--yes", "--download-only", "install", *PACKAGES], "apt-get")
    return sorted((work / "archives").glob("*.deb"))


def _unpack_packages(packages: Sequence[Path], root: Path) -> None:
    # Packages of a merged-/usr system may ship either of the two names.
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    for package in packages:
        with (
            subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
            ) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            for member in archive:
                path = PurePosixPath(member.name)
                if path != PurePosixPath("lib") and not _is_unneeded(path):
                    archive.extract(member, root, filter="tar")
        if process.returncode:
            raise DeviceError(f"{package.name} cannot be unpacked. Try again.")


def _is_unneeded(path: PurePosixPath) -> bool:
    return any(path.is_relative_to(folder) for folder in _UNNEEDED)


def _download_wheels(wheels: Sequence[str], work: Path) -> list[Path]:
    version = f"{PYTHON[0]}{PYTHON[1]}"
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", version]
    for glibc in _GLIBC:
        options += ["--platform", f"manylinux_{glibc}_aarch64"]
    options += ["--platform", "manylinux2014_aarch64"]
    for abi in (f"cp{version}", "abi3", "none"):
        options += ["--abi", abi]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _run([*pip, *options, "--dest", str(work / "wheels"), *wheels], "pip")
    return sorted((work / "wheels").glob("*.whl"))


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


def _run(argv: Sequence[str], program: str) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as err:
        raise DeviceError(
            f"The emulated board is built with {program}, which is not installed here. It needs a "
            "Debian or Ubuntu host."
        ) from err
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        reason = next((line for line in lines if "rror" in line or line.startswith("E:")), "")
        with suppress(IndexError):
            reason = reason or lines[-1]
        raise DeviceError(
            f"{program} cannot fetch the emulated board's files ({reason.strip()[:200]}). It needs "
            "the Debian and Python package registries once."
        )
