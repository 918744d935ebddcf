"""Container images of the tool: built and run by whichever engine the machine has."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeshuffle.containers.engines import ContainerRun, ImageBuild, choose_engine
from edgeshuffle.containers.follow import follow
from edgeshuffle.containers.targets import TARGETS, base_images, is_emulated, tag
from edgeshuffle.device.emulated.boards import BOARDS, write_board
from edgeshuffle.errors import ContainerError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable

# The board whose core qemu has and whose files the runtimes ask for.
_BOARD: Final = BOARDS["pi5"]


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What to build; `platforms` () is all of the target's, `engine` None the first one found.

    `checkout` is the folder with `docker/`. `index` and `mirror` are addresses of a PyPI and a
    Debian mirror, `pip_conf` a file that is used and not kept in any layer.
    """

    target: str = "runner"
    platforms: tuple[str, ...] = ()
    engine: str | None = None
    checkout: Path = Path()
    index: str | None = None
    mirror: str | None = None
    pip_conf: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Build:
    """One finished image, or the folder of a target that is none."""

    platform: str
    result: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which command of edgeshuffle to run in the exporter image; `folder` is /work there."""

    arguments: tuple[str, ...]
    platform: str
    engine: str | None = None
    folder: Path = Path()
    network: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """How it ended."""

    engine: str
    image: str
    platform: str
    emulated: bool
    status: int


def build(options: BuildOptions, tell: Callable[[str], None]) -> tuple[str, tuple[Build, ...]]:
    """Build a target for each platform; `tell` gets the engine's lines.

    Returns the engine's name and what was built. Raises UnknownNameError and ContainerError.
    """
    if options.target not in TARGETS:
        raise UnknownNameError(f"Unknown target '{options.target}'. Known: {', '.join(TARGETS)}.")
    target = TARGETS[options.target]
    for name in options.platforms:
        if name not in target.platforms:
            raise UnknownNameError(
                f"The target '{target.name}' has no platform '{name}'. It has: "
                f"{', '.join(target.platforms)}."
            )
    if not (options.checkout / target.dockerfile).is_file():
        raise ContainerError(
            f"{options.checkout.absolute()} has no {target.dockerfile}. Run it in a checkout of "
            "edgeshuffle, or name one with `checkout`."
        )
    if options.pip_conf is not None and not options.pip_conf.is_file():
        raise ContainerError(
            f"There is no file {options.pip_conf}. Check the path given to `pip_conf`."
        )
    name, engine = choose_engine(options.engine)
    settings = {
        **base_images(options.checkout),
        **({"PIP_INDEX_URL": options.index} if options.index else {}),
        **({"DEBIAN_MIRROR": options.mirror} if options.mirror else {}),
    }
    built = []
    for wanted in options.platforms or target.platforms:
        started = time.monotonic()
        job = ImageBuild(
            target=target,
            platform=wanted,
            checkout=options.checkout,
            settings=settings,
            pip_conf=options.pip_conf,
        )
        follow(engine.build(job), tell, what=f"Building {target.name} for {wanted}")
        built.append(
            Build(
                platform=wanted,
                result=target.output or tag(target, wanted),
                seconds=time.monotonic() - started,
            )
        )
    return name, tuple(built)


def run(options: RunOptions) -> Run:
    """Run a command in the exporter image, on this terminal.

    Under emulation the container sees a Raspberry Pi's /proc/cpuinfo, as the runtimes choose their
    kernels by it, and is told that it is emulated. Raises UnknownNameError and ContainerError.
    """
    target = TARGETS["exporter"]
    if options.platform not in target.platforms:
        raise UnknownNameError(
            f"There is no image for '{options.platform}'. Known: {', '.join(target.platforms)}."
        )
    name, engine = choose_engine(options.engine)
    emulated = is_emulated(options.platform)
    environment = {"HOME": "/tmp"}  # noqa: S108 - the container's own
    with tempfile.TemporaryDirectory(prefix="edgeshuffle-") as folder:
        board = Path(folder)
        if emulated:
            write_board(_BOARD, board)
            environment |= {"EDGESHUFFLE_EMULATED": "1", "QEMU_CPU": _BOARD.qemu_cpu}
        image = tag(target, options.platform)
        wanted = ContainerRun(
            image=image,
            platform=options.platform,
            arguments=options.arguments,
            environment=environment,
            folder=options.folder.absolute(),
            board=board if emulated else None,
            network=options.network,
        )
        status = follow(engine.run(wanted), None, what=f"Running {image}", forgiving=True)
    return Run(
        engine=name, image=image, platform=options.platform, emulated=emulated, status=status
    )
