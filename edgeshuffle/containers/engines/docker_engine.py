"""Docker with BuildKit: `docker buildx bake` and `docker run`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgeshuffle.containers.engines import answers
from edgeshuffle.containers.targets import BASE_IMAGES, tag

if TYPE_CHECKING:
    from edgeshuffle.containers.engines import ContainerRun, ImageBuild


def works() -> bool:
    """Whether the client reaches an engine."""
    return answers("docker", "version", "--format", "{{.Server.Version}}")


def build(wanted: ImageBuild) -> list[str]:
    """One platform a call: the classic image store holds no image of several."""
    argv = ["docker", "buildx", "bake", "--progress", "plain"]
    for file in ("docker/docker-bake.hcl", BASE_IMAGES):
        argv += ["--file", str(wanted.checkout / file)]
    target = wanted.target
    overridden = {f"args.{name}": value for name, value in wanted.settings.items()}
    overridden |= {"platform": wanted.platform, "context": str(wanted.checkout)}
    if target.output is None:
        argv += ["--load"]
        overridden["tags"] = tag(target, wanted.platform)
    if wanted.pip_conf is not None:
        overridden["secrets"] = f"id=pip_conf,src={wanted.pip_conf}"
    for name, value in overridden.items():
        argv += ["--set", f"{target.name}.{name}={value}"]
    return [*argv, target.name]


def run(wanted: ContainerRun) -> list[str]:
    """A container that can write to `folder` and /tmp only, as this user."""
    return ["docker", *run_arguments(wanted)]


def run_arguments(wanted: ContainerRun) -> list[str]:
    """What `run` takes, of Docker and of podman."""
    argv = ["run", "--rm", "--interactive", "--platform", wanted.platform, "--pull", "never"]
    argv += ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
    argv += ["--user", f"{os.getuid()}:{os.getgid()}"]
    argv += ["--network", "host" if wanted.network else "none"]
    argv += ["--volume", f"{wanted.folder}:/work", "--workdir", "/work"]
    for name, value in wanted.environment.items():
        argv += ["--env", f"{name}={value}"]
    if wanted.board is not None:
        for place in ("proc/cpuinfo", "sys/devices/system/cpu"):
            argv += ["--volume", f"{wanted.board / place}:/{place}:ro"]
    return [*argv, wanted.image, *wanted.arguments]
