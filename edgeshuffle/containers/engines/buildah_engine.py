"""Buildah, which needs no engine that runs: for machines that only build.

It has no `run` for images. A working container is made, used and removed by a script that gets all
names as arguments. Under chroot isolation a container sees the machine's own /proc and /sys, so a
board's files are put over them in a mount namespace of the script's own.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from edgeshuffle.containers.engines import answers
from edgeshuffle.containers.targets import own_platform, tag

if TYPE_CHECKING:
    from edgeshuffle.containers.engines import ContainerRun, ImageBuild

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


def build(wanted: ImageBuild) -> list[str]:
    """With cached layers."""
    return ["buildah", *build_arguments(wanted)]


def build_arguments(wanted: ImageBuild) -> list[str]:
    """What `build` takes, of buildah and of podman."""
    target = wanted.target
    argv = ["build", "--layers", "--platform", wanted.platform]
    argv += ["--file", str(wanted.checkout / target.dockerfile)]
    # Releases before 1.30 leave this one empty in FROM unless they are told.
    for name, value in {"BUILDPLATFORM": own_platform(), **wanted.settings}.items():
        argv += ["--build-arg", f"{name}={value}"]
    if wanted.pip_conf is not None:
        argv += ["--secret", f"id=pip_conf,src={wanted.pip_conf}"]
    if target.output is None:
        argv += ["--tag", tag(target, wanted.platform)]
    else:
        argv += ["--output", f"type=local,dest={target.output}"]
    return [*argv, str(wanted.checkout)]


def run(wanted: ContainerRun) -> list[str]:
    """A working container, in which `folder` is /work; it is removed at the end.

    Under chroot isolation its network is the machine's, whatever is wanted.
    """
    container = f"edgeshuffle-{secrets.token_hex(6)}"
    argv = ["unshare", "--mount", "--propagation", "private"] if wanted.board is not None else []
    argv += ["sh", "-c", _RUN, "sh"]
    argv += ["" if wanted.board is None else str(wanted.board)]
    argv += [wanted.platform, wanted.image, container]
    argv += ["--isolation", "chroot", "--user", f"{os.getuid()}:{os.getgid()}"]
    argv += ["--volume", f"{wanted.folder}:/work", "--workingdir", "/work"]
    for name, value in wanted.environment.items():
        argv += ["--env", f"{name}={value}"]
    # `buildah run` does not take the image's own entry point.
    return [*argv, container, "--", "edgeshuffle", *wanted.arguments]
