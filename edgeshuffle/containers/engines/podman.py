"""Podman: builds as buildah does, runs as Docker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.containers.engines import buildah
from edgeshuffle.containers.engines.docker import answers, container

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeshuffle.containers.targets import Target


def works() -> bool:
    """Whether it is installed and can use its storage."""
    return answers("podman", "info")


def build(
    target: Target,
    platform: str,
    checkout: Path,
    settings: Mapping[str, str],
    pip_conf: Path | None,
) -> list[str]:
    """With cached layers."""
    return ["podman", *buildah.arguments(target, platform, checkout, settings, pip_conf)]


def run(
    image: str,
    platform: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    board: Path | None,
    network: bool,
) -> list[str]:
    """A container that can write to `folder` and /tmp only, as this user."""
    given = container(image, platform, arguments, environment, folder, board, network)
    # Rootless, this user is root inside unless told otherwise.
    return ["podman", given[0], "--userns", "keep-id", *given[1:]]
