"""What there is to build: docker/docker-bake.hcl's targets, for engines that do not read it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import ContainerError
from edgeshuffle.untrusted import UntrustedError, decode, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

# Machines, as `uname -m` names them, that run a platform's programs themselves.
PLATFORMS: Final = {
    "linux/amd64": ("x86_64",),
    "linux/arm64": ("aarch64", "arm64"),
    "linux/arm/v7": ("armv7l", "aarch64", "arm64"),
}
BASE_IMAGES: Final = "docker/base-images.json"


@dataclass(frozen=True)
class _Variable:
    default: str


@dataclass(frozen=True)
class _Bake:
    variable: dict[str, _Variable]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A Dockerfile and its platforms; `image` is a name, or `output` a folder."""

    name: str
    dockerfile: str
    platforms: tuple[str, ...]
    image: str | None = None
    output: str | None = None


TARGETS: Final = {
    target.name: target
    for target in (
        Target(
            name="runner",
            dockerfile="docker/runner.Dockerfile",
            platforms=("linux/arm64", "linux/arm/v7"),
            image="edgeshuffle-runner",
        ),
        Target(
            name="exporter",
            dockerfile="docker/exporter.Dockerfile",
            platforms=("linux/amd64", "linux/arm64"),
            image="edgeshuffle",
        ),
        Target(
            name="bundle",
            dockerfile="docker/bundle.Dockerfile",
            platforms=("linux/arm64",),
            output="build/bundle",
        ),
    )
}


def tag(target: Target, wanted: str) -> str:
    """An image's name on this machine, such as `edgeshuffle-runner:arm64`."""
    return f"{target.image}:{wanted.removeprefix('linux/').replace('/', '-')}"


def is_emulated(wanted: str) -> bool:
    """Whether this machine runs programs of a platform by an emulator only."""
    return platform.machine() not in PLATFORMS[wanted]


def own_platform() -> str:
    """The platform of this machine; raises ContainerError where there is no image for it."""
    for name, machines in PLATFORMS.items():
        if platform.machine() in machines:
            return name
    raise ContainerError(f"There are no images for {platform.machine()}.")


def base_images(checkout: Path) -> dict[str, str]:
    """Base images by build argument, with their digests where known; raises ContainerError."""
    file = checkout / BASE_IMAGES
    try:
        found = decode(read_bounded(file), _Bake)
    except (OSError, UntrustedError) as err:
        raise ContainerError(f"{file} cannot be read ({err}). Restore it with git.") from err
    return {name: variable.default for name, variable in found.variable.items()}
