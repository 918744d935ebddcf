#!/usr/bin/env python3
"""Fill a folder with Debian's Python and the runtimes for ARM: what the images are made of.

    python3 tools/build_root.py arm64 OUT              a root file system
    python3 tools/build_root.py arm OUT                the same for 32-bit ARM
    python3 tools/build_root.py --bundle arm64 OUT     a folder that brings its own C library
    python3 tools/build_root.py --lock arm64 FILE      choose the wheels anew

Needs Python 3.11, apt and dpkg, and no right of root. Wheels are those of docker/runner-*.lock, by
their hashes. DEBIAN_MIRROR names another mirror, or a day of snapshot.debian.org.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edgeshuffle.errors import EdgeShuffleError  # noqa: E402
from edgeshuffle.host.atomic import atomic_file  # noqa: E402
from edgeshuffle.payload.bundle import pack  # noqa: E402
from edgeshuffle.payload.rootfs import GLIBC, PYTHON, SITE, assemble  # noqa: E402
from edgeshuffle.payload.wheels import RUNTIMES, WITHOUT_NUMPY, download_wheels  # noqa: E402

DOCKER = ROOT / "docker"
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
# By Docker's names of architectures.
MACHINES = {"arm64": "aarch64", "arm": "armv7l"}
# What only developers of these packages run.
UNNEEDED = (
    *(f"{SITE}/onnxruntime/{name}" for name in ("datasets", "quantization", "tools")),
    f"{SITE}/onnxruntime/transformers",
    *("usr/lib/valgrind", "usr/lib/systemd"),
)
UNNEEDED_NAMES = ("tests", "test", "idlelib", "ensurepip", "lib2to3", "turtledemo")
USER = 65532


def main() -> int:
    """The exit status: that of the error, if there is one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--bundle", action="store_true")
    kind.add_argument("--lock", action="store_true")
    parser.add_argument("architecture", choices=MACHINES)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    machine = MACHINES[options.architecture]
    try:
        if options.lock:
            lock(machine, options.out)
        else:
            build(machine, options.out, bundle=options.bundle)
    except EdgeShuffleError as err:
        print(f"build_root: {err}", file=sys.stderr)
        return err.exit_code
    return 0


def build(machine: str, out: Path, *, bundle: bool) -> None:
    """Fill `out`, which must not exist; raises DeviceError."""
    with tempfile.TemporaryDirectory() as work:
        root = Path(work) / "root" if bundle else out
        root.mkdir(parents=True)
        assemble(
            root,
            Path(work) / "download",
            machine,
            ["--require-hashes", f"--requirement={DOCKER / f'runner-{machine}.lock'}"],
            lambda stage, done, total: print(f"{stage} ({done + 1} of {total})", flush=True),
            alone=True,
        )
        _prune(root)
        if bundle:
            archive = Path(work) / "bundle.tar.gz"
            pack(root, archive)
            with tarfile.open(archive) as packed:
                # Made here a moment ago; Debian's Python 3.11 knows no filters yet.
                packed.extractall(out)
        else:
            _add_user(root)


def lock(machine: str, file: Path) -> None:
    """Write the wheels that fit the tested versions, with their hashes; raises DeviceError."""
    lines = [f"# Made by: tools/build_root.py --lock. Wheels for {machine}, Python 3.11."]
    with tempfile.TemporaryDirectory() as folder:
        wheels = download_wheels(
            [f"--constraint={CONSTRAINTS}", *RUNTIMES[machine]],
            machine=machine,
            python=PYTHON,
            glibc=GLIBC,
            folder=Path(folder),
            alone=machine in WITHOUT_NUMPY,
        )
        for wheel in wheels:
            name, version = wheel.name.split("-")[:2]
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}")
    with atomic_file(file) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")


def _prune(root: Path) -> None:
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    for folder in (root / "usr" / "lib" / "python3.11", root / SITE):
        for found in [p for name in UNNEEDED_NAMES for p in folder.rglob(name) if p.is_dir()]:
            shutil.rmtree(found, ignore_errors=True)


def _add_user(root: Path) -> None:
    """A user without rights, and a folder for temporary files, as images without a shell need."""
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text(
        f"root:x:0:0:root:/:/none\nnonroot:x:{USER}:{USER}:nonroot:/tmp:/none\n"
    )
    (root / "etc" / "group").write_text(f"root:x:0:\nnonroot:x:{USER}:\n")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    sys.exit(main())
