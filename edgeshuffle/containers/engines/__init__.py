"""Programs that build and run images; the first one that works is taken."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.errors import ContainerError
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgeshuffle.containers.targets import Target

_ANSWER_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class ImageBuild:
    """A target for one platform, built from `checkout` with `settings` as build arguments.

    `pip_conf` is a secret, kept in no layer.
    """

    target: Target
    platform: str
    checkout: Path
    settings: Mapping[str, str]
    pip_conf: Path | None


@dataclass(frozen=True, kw_only=True)
class ContainerRun:
    """A command in an image: `folder` is /work there, `board` has a board's /proc and /sys."""

    image: str
    platform: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    board: Path | None
    network: bool


class Engine(Protocol):
    """Makes argument lists; nothing is run here but the check."""

    def works(self) -> bool:
        """Whether it is installed and its engine answers."""
        ...

    def build(self, wanted: ImageBuild) -> list[str]: ...

    def run(self, wanted: ContainerRun) -> list[str]: ...


ENGINES: Table[Engine] = Table(
    "engine", __name__, "runtime", "docker", "podman", "buildah", module="{}_engine"
)


def choose_engine(wanted: str | None) -> tuple[str, Engine]:
    """The engine of that name, or the first that works; raises UnknownNameError, ContainerError."""
    for name in (wanted,) if wanted else ENGINES:
        engine = ENGINES[name]
        if engine.works():
            return name, engine
    if wanted:
        raise ContainerError(
            f"{wanted} does not work here: install it, start its engine, or leave out `engine`."
        )
    raise ContainerError(
        "No container engine works here: install Docker and start it, or install podman or buildah."
    )


def answers(program: str, *arguments: str) -> bool:
    """Whether a program is installed and ends well, in good time."""
    try:
        subprocess.run(
            [program, *arguments], capture_output=True, check=True, timeout=_ANSWER_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
