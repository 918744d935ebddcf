"""Podman: builds as buildah does, runs as Docker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.containers.engines import answers
from edgeshuffle.containers.engines.buildah_engine import build_arguments
from edgeshuffle.containers.engines.docker_engine import run_arguments

if TYPE_CHECKING:
    from edgeshuffle.containers.engines import ContainerRun, ImageBuild


def works() -> bool:
    """Whether it is installed and can use its storage."""
    return answers("podman", "info")


def build(wanted: ImageBuild) -> list[str]:
    """With cached layers."""
    return ["podman", *build_arguments(wanted)]


def run(wanted: ContainerRun) -> list[str]:
    """A container that can write to `folder` and /tmp only, as this user."""
    command, *given = run_arguments(wanted)
    # Rootless, this user is root inside unless told otherwise.
    return ["podman", command, "--userns", "keep-id", *given]
