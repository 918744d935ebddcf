"""Docker with BuildKit: `docker buildx bake` and `docker run`."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

from edgeshuffle.containers.targets import BASE_IMAGES, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeshuffle.containers.targets import Target

_ANSWER_SECONDS: Final = 60


def works() -> bool:
    """Whether the client reaches an engine."""
    return answers("docker", "version", "--format", "{{.Server.Version}}")


def answers(program: str, *arguments: str) -> bool:
    """Whether a program is installed and ends well, in good time."""
    try:
        subprocess.run(
            [program, *arguments], capture_output=True, check=True, timeout=_ANSWER_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def build(
    target: Target,
    platform: str,
    checkout: Path,
    settings: Mapping[str, str],
    pip_conf: Path | None,
) -> list[str]:
    """One platform a call: the classic image store holds no image of several."""
    argv = ["docker", "buildx", "bake", "--progress", "plain"]
    for file in ("docker/docker-bake.hcl", BASE_IMAGES):
        argv += ["--file", str(checkout / file)]
    overridden = {f"args.{name}": value for name, value in settings.items()}
    overridden |= {"platform": platform, "context": str(checkout)}
    if target.output is None:
        argv += ["--load"]
        overridden["tags"] = tag(target, platform)
    if pip_conf is not None:
        overridden["secrets"] = f"id=pip_conf,src={pip_conf}"
    for name, value in overridden.items():
        argv += ["--set", f"{target.name}.{name}={value}"]
    return [*argv, target.name]


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
    return ["docker", *container(image, platform, arguments, environment, folder, board, network)]


def container(
    image: str,
    platform: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    board: Path | None,
    network: bool,
) -> list[str]:
    """Arguments that Docker and podman have in common."""
    argv = ["run", "--rm", "--interactive", "--platform", platform, "--pull", "never"]
    argv += ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
    argv += ["--user", f"{os.getuid()}:{os.getgid()}"]
    argv += ["--network", "host" if network else "none"]
    argv += ["--volume", f"{folder}:/work", "--workdir", "/work"]
    for name, value in environment.items():
        argv += ["--env", f"{name}={value}"]
    if board is not None:
        for place in ("proc/cpuinfo", "sys/devices/system/cpu"):
            argv += ["--volume", f"{board / place}:/{place}:ro"]
    return [*argv, image, *arguments]
