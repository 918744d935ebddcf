"""An engine's process: its lines are passed on, and its failure is put into one."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import ContainerError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LAST: Final = 60
_LONGEST: Final = 1 << 14
_BINFMT: Final = (
    "This machine cannot run programs of that platform: install an emulator, with the package "
    "qemu-user-static, or: docker run --privileged --rm tonistiigi/binfmt --install all."
)
_PLATFORM: Final = "The base image does not have that platform: choose another `platform`."
_INDEX: Final = (
    "A package index cannot be reached: check the network and HTTP_PROXY, or name a mirror with "
    "`index`, `mirror` or `pip_conf`."
)
_REGISTRY: Final = (
    "The base image cannot be fetched: check the network, and docker/base-images.json."
)
_BUILDX: Final = "Install Docker's plugin buildx (package docker-buildx-plugin)."
_ABSENT: Final = "The image is not there: build it with edgeshuffle image build exporter."
_ERRORS: Final = ("build_root:", "ERROR:", "E:")
# What engines and package managers say, and what to do; the first one found counts.
_SYMPTOMS: Final = {
    "exec format error": _BINFMT,
    "no image found in image index for architecture": _PLATFORM,
    "no image found in manifest list for architecture": _PLATFORM,
    "no match for platform": _PLATFORM,
    "no matching manifest": _PLATFORM,
    "was found but does not match the specified platform": _PLATFORM,
    "permission denied while trying to connect": "This user may not use Docker: join the group "
    "docker, or use rootless Docker or podman.",
    "cannot connect to the docker daemon": "Docker's engine is not running: start it, or choose "
    "another one with `engine`.",
    "unknown command: docker buildx": _BUILDX,
    "'buildx' is not a docker command": _BUILDX,
    "build_root: pip cannot fetch": _INDEX,
    "build_root: apt-get cannot fetch": _INDEX,
    "no matching distribution found": _INDEX,
    "temporary failure resolving": _INDEX,
    "image not known": _ABSENT,
    "no such image": _ABSENT,
    "pull access denied": _ABSENT,
    "unable to find image": _ABSENT,
    "pinging container registry": _REGISTRY,
    "failed to resolve source metadata": _REGISTRY,
    "no space left on device": "The disk is full: make room, for instance with docker image prune.",
}


def follow(
    argv: Sequence[str],
    tell: Callable[[str], None] | None,
    *,
    what: str,
    forgiving: bool = False,
) -> int:
    """Run an engine and pass its lines to `tell`; without it, it has this terminal's output.

    What it then says on stderr is held back for a while, as it may be put into an error's one line.

    Returns its exit status. Raises ContainerError where it fails; where the status is the command's
    own (`forgiving`), only for a failure of the engine.
    """
    lines: deque[str] = deque(maxlen=_LAST)
    try:
        process = subprocess.Popen(
            argv,
            stdout=None if tell is None else subprocess.PIPE,
            stderr=subprocess.PIPE if tell is None else subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as err:
        raise ContainerError(f"{argv[0]} cannot be started ({err.strerror}).") from err
    stream = process.stderr if tell is None else process.stdout
    assert stream is not None
    with process:
        try:
            # A line without an end comes in pieces.
            for line in iter(lambda: stream.readline(_LONGEST), ""):
                if tell is None and len(lines) == _LAST:
                    print(lines.popleft(), file=sys.stderr)  # noqa: T201
                lines.append(line.rstrip())
                if tell is not None:
                    tell(lines[-1])
        except BaseException:
            process.terminate()
            raise
    status = process.returncode
    advice = _advice(lines) if status else None
    if status and (advice or not forgiving):
        raise ContainerError(
            f"{what} failed ({quoted(_reason(lines))}). "
            f"{advice or 'Run it again in a terminal to see all that the engine says.'}"
        )
    if tell is None:
        for line in lines:
            print(line, file=sys.stderr)  # noqa: T201
    return status


def _reason(lines: Sequence[str]) -> str:
    """The last line in which a program of a build tells its error, or else the last of all."""
    said = [line.strip() for line in lines if line.strip()]
    marked = [line for line in said if line.startswith(_ERRORS)]
    return (marked or said or ["no reason given"])[-1]


def _advice(lines: Sequence[str]) -> str | None:
    text = "\n".join(lines).lower()
    return next((advice for symptom, advice in _SYMPTOMS.items() if symptom in text), None)
