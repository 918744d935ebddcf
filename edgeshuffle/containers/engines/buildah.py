"""Buildah, which needs no engine that runs: for machines that only build.

It has no `run` for images. A working container is made, used and removed by a script that gets all
names as arguments. Under chroot isolation a container sees the machine's own /proc and /sys, so a
board's files are put over them in a mount namespace of the script's own.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from edgeshuffle.containers.engines.docker import answers
from edgeshuffle.containers.targets import own_platform, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeshuffle.containers.targets import Target

_RUN: Final = """
board=$1; platform=$2; image=$3; container=$4; shift 4
if [ -n "$board" ]; then
    mount --bind "$board/proc/cpuinfo" /proc/cpuinfo || exit 125
    mount --bind "$board/sys/devices/system/cpu" /sys/devices/system/cpu || exit 125
fi
buildah from --pull-never --name "$container" --platform "$platform" "$image" >/dev/null || exit 125
trap 'buildah rm "$container" >/dev/null' EXIT
trap 'exit 130' INT TERM
buildah run "$@"
"""


def works() -> bool:
    """Whether it is installed and can use its storage."""
    return answers("buildah", "info")


def build(
    target: Target,
    platform: str,
    checkout: Path,
    settings: Mapping[str, str],
    pip_conf: Path | None,
) -> list[str]:
    """With cached layers."""
    return ["buildah", *arguments(target, platform, checkout, settings, pip_conf)]


def arguments(
    target: Target,
    platform: str,
    checkout: Path,
    settings: Mapping[str, str],
    pip_conf: Path | None,
) -> list[str]:
    """What `build` takes, of buildah and of podman."""
    argv = ["build", "--layers", "--platform", platform]
    argv += ["--file", str(checkout / target.dockerfile)]
    # Releases before 1.30 leave this one empty in FROM unless they are told.
    for name, value in {"BUILDPLATFORM": own_platform(), **settings}.items():
        argv += ["--build-arg", f"{name}={value}"]
    if pip_conf is not None:
        argv += ["--secret", f"id=pip_conf,src={pip_conf}"]
    if target.output is None:
        argv += ["--tag", tag(target, platform)]
    else:
        argv += ["--output", f"type=local,dest={target.output}"]
    return [*argv, str(checkout)]


def run(
    image: str,
    platform: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    board: Path | None,
    network: bool,  # noqa: ARG001 - under chroot isolation, the network is the machine's
) -> list[str]:
    """A working container, in which `folder` is /work; it is removed at the end."""
    container = f"edgeshuffle-{secrets.token_hex(6)}"
    argv = ["unshare", "--mount", "--propagation", "private"] if board is not None else []
    argv += ["sh", "-c", _RUN, "sh"]
    argv += ["" if board is None else str(board), platform, image, container]
    argv += ["--isolation", "chroot", "--user", f"{os.getuid()}:{os.getgid()}"]
    argv += ["--volume", f"{folder}:/work", "--workingdir", "/work"]
    for name, value in environment.items():
        argv += ["--env", f"{name}={value}"]
    # `buildah run` does not take the image's own entry point.
    return [*argv, container, "--", "edgeshuffle", *arguments]
