"""Buildah with a storage of its own, and a base image made of Debian's packages.

It stands in for `python:3.11-slim-bookworm` where there is no registry: it has the same Python,
pip, apt and dpkg, for this machine's own architecture.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeshuffle.containers.targets import BASE_IMAGES
from edgeshuffle.payload import rootfs

BASE = rootfs.Architecture(
    debian="amd64",
    packages=(
        *("python3", "python3-pip", "python3-venv", "apt", "dpkg", "debian-archive-keyring"),
        *("ca-certificates", "coreutils", "dash", "grep", "sed", "tar", "gzip", "libc-bin"),
    ),
    wheels=(),
)
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# Of ELF files for these machines (elf(5)), as Debian's qemu-user-static registers them; F keeps the
# emulator open, so that it works in every root.
ELF = {
    "aarch64": r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    "arm": r"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00",
}
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def missing() -> str | None:
    """Why no image can be built here, or None."""
    if os.geteuid():
        return "only root can use buildah's chroot isolation"
    for program in ("buildah", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not rootfs.KEYRING.exists():
        return "debian-archive-keyring is not installed"
    return None


def missing_emulator() -> str | None:
    """Why no image of another platform can be run here, or None."""
    for machine in ELF:
        if shutil.which(f"qemu-{machine}-static") is None:
            return "qemu-user-static is not installed"
    return None


@dataclass
class Images:
    """`path` holds a `buildah` that knows its storage."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "bin"

    def environment(self) -> dict[str, str]:
        """What makes commands find it."""
        return {"PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}"}

    def buildah(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self.path / "buildah", *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def mounted(self, image: str) -> Path:
        """The root of a new working container of the image."""
        return Path(self.buildah("mount", self.buildah("from", "--pull-never", image)))

    def close(self) -> None:
        subprocess.run([self.path / "buildah", "umount", "--all"], capture_output=True, check=False)
        subprocess.run([self.path / "buildah", "rm", "--all"], capture_output=True, check=False)
        # The overlay of a broken build may be mounted still.
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(folder: Path, checkout: Path) -> Images:
    """A storage with the base image of a checkout's docker/base-images.json in it."""
    config = folder / ".config" / "containers"
    config.mkdir(parents=True)
    (config / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (config / "registries.conf").write_text("")
    made = Images(folder)
    made.path.mkdir()
    script = made.path / "buildah"
    script.write_text(
        "#!/bin/sh\n"
        f"export HOME='{folder}' BUILDAH_ISOLATION=chroot\n"
        f"export CONTAINERS_REGISTRIES_CONF='{config}/registries.conf'\n"
        # There is no registry to ask whether the base image is new.
        '[ "$1" = build ] && { shift; set -- build --pull-never "$@"; }\n'
        f"exec {shutil.which('buildah')} --root '{folder}/storage' --runroot '{folder}/run' "
        '"$@"\n'
    )
    script.chmod(0o755)
    _add_base(made, _base_name(checkout))
    return made


def _base_name(checkout: Path) -> str:
    variables = json.loads((checkout / BASE_IMAGES).read_text())["variable"]
    return variables["PYTHON_IMAGE"]["default"]


def _add_base(images: Images, name: str) -> None:
    root, work = images.folder / "root", images.folder / "packages"
    root.mkdir()
    rootfs._unpack_packages(rootfs._download_packages(work, BASE), root)
    shutil.rmtree(work)
    for place in ("tmp", "proc", "sys", "dev", "run", "root", "var/tmp"):
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    # Which certificates a machine trusts is its own matter.
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates, root / "etc/ssl/certs")
    container = images.buildah("from", "--platform", "linux/amd64", "scratch")
    images.buildah("add", "--quiet", container, root, "/")
    images.buildah(
        *("config", "--env", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        *("--cmd", "python3", container),
    )
    images.buildah("commit", "--quiet", "--rm", container, name)
    shutil.rmtree(root)


class Emulators:
    """Handlers of ARM programs in the kernel, where there are none; removed at the end."""

    def __init__(self) -> None:
        self.mounted = not (BINFMT / "register").exists()
        if self.mounted:
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
        self.made = []
        for machine, magic in ELF.items():
            if any((BINFMT / name).exists() for name in (f"qemu-{machine}", f"es-{machine}")):
                continue
            emulator = shutil.which(f"qemu-{machine}-static")
            line = f":es-{machine}:M::{magic}:{MASK}:{emulator}:PF\n"
            (BINFMT / "register").write_text(line)
            self.made.append(machine)

    def close(self) -> None:
        for machine in self.made:
            (BINFMT / f"es-{machine}").write_text("-1")
        if self.mounted:
            subprocess.run(["umount", BINFMT], check=False)


@contextmanager
def no_emulator():
    """Switch off every handler of ARM programs for a while."""
    handlers = [
        handler
        for machine in ELF
        for name in (f"qemu-{machine}", f"es-{machine}")
        if (handler := BINFMT / name).exists() and handler.read_text().startswith("enabled")
    ]
    for handler in handlers:
        handler.write_text("0")
    try:
        yield
    finally:
        for handler in handlers:
            handler.write_text("1")
