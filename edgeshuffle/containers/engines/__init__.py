"""Programs that build and run images; the first one that works is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgeshuffle.errors import ImageError
from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeshuffle.containers.targets import Target


class Engine(Protocol):
    """Makes argument lists; nothing is run here but the check."""

    def works(self) -> bool:
        """Whether it is installed and its engine answers."""
        ...

    def build(
        self,
        target: Target,
        platform: str,
        checkout: Path,
        settings: Mapping[str, str],
        pip_conf: Path | None,
    ) -> list[str]: ...

    def run(
        self,
        image: str,
        platform: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        board: Path | None,
        network: bool,
    ) -> list[str]: ...


ENGINES: Table[Engine] = Table("engine", __name__, "runtime", "docker", "podman", "buildah")


def choose_engine(wanted: str | None) -> tuple[str, Engine]:
    """The engine of that name, or the first that works; raises UnknownNameError and ImageError."""
    for name in (wanted,) if wanted else ENGINES:
        engine = ENGINES[name]
        if engine.works():
            return name, engine
    if wanted:
        raise ImageError(
            f"{wanted} does not work here: install it, start its engine, or leave out --engine."
        )
    raise ImageError(
        "No container engine works here: install Docker and start it, or install podman or buildah."
    )
