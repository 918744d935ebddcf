"""A stand-in `docker` for the stand-in board: it runs the real files of real images.

A container has a root that cannot be written, no network, the user it was told to be, and sees the
board's /proc/cpuinfo and /sys. Only what edgeshuffle asks of Docker is understood; anything else is
an error. Installed as a script: docker.py SETTINGS docker's-arguments.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

# $1 is an empty folder, $2 the image's root, $3 the board's files; then volumes up to --, then what
# `env` is given.
CONTAINER = """
at=$1; root=$2; board=$3; shift 3
mount -t tmpfs tmpfs "$at" && mkdir "$at/u" "$at/w" "$at/m" || exit 125
mount -t overlay -o "lowerdir=$root,upperdir=$at/u,workdir=$at/w" overlay "$at/m" || exit 125
m=$at/m
mkdir -p "$m/proc" "$m/sys" "$m/dev" "$m/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$m/tmp" || exit 125
while [ "$1" != -- ]; do
    mkdir -p "$m$1" && mount --bind "$1" "$m$1" && mount -o remount,ro,bind "$m$1" || exit 125
    shift
done
shift
mount -t proc proc "$m/proc" && mount --bind "$board/proc/cpuinfo" "$m/proc/cpuinfo" || exit 125
mount --bind "$board/sys" "$m/sys" && mount --bind /dev "$m/dev" || exit 125
mount -o remount,ro "$m" || exit 125
exec env -i "$@"
"""


def container(
    at: Path,
    root: Path,
    board: Path,
    user: str,
    command: list[str],
    *,
    volumes: list[str] | None = None,
    environment: dict[str, str] | None = None,
) -> list[str]:
    """A command that runs `command` in an image's root; `at` is an empty folder for its mounts."""
    return [
        *("unshare", "--mount", "--net", "--propagation", "private"),
        *("sh", "-c", CONTAINER, "sh", str(at), str(root), str(board), *(volumes or ()), "--"),
        *(f"{name}={value}" for name, value in (environment or {}).items()),
        *("/usr/sbin/chroot", f"--userspec={user}", f"{at}/m", *command),
    ]


def script(place: Path, images: dict[str, Path], board: Path, qemu_cpu: str) -> str:
    """The text of a `docker` whose containers are below `place`."""
    place.mkdir()
    settings = place / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "images": {name: str(root) for name, root in images.items()},
                "board": str(board),
                "qemu_cpu": qemu_cpu,
                "place": str(place),
            }
        )
    )
    return f"exec '{sys.executable}' '{__file__}' '{settings}' \"$@\""


def main(settings: dict, arguments: list[str]) -> int:
    place = Path(settings["place"])
    if arguments[:2] == ["image", "inspect"]:
        if arguments[2] in settings["images"]:
            return 0
        sys.stderr.write(f"Error: No such image: {arguments[2]}\n")
        return 1
    if arguments[:3] == ["ps", "--all", "--quiet"]:
        _, wanted = arguments[3:]
        for container in sorted(place.glob("*.container")):
            if f"label={_read(container).get('label')}" == wanted:
                sys.stdout.write(f"{container.stem}\n")
        return 0
    if arguments[:2] == ["rm", "--force"]:
        for name in arguments[2:]:
            container = place / f"{name}.container"
            with suppress(ProcessLookupError, KeyError):
                os.kill(_read(container)["pid"], signal.SIGKILL)
            container.unlink(missing_ok=True)
        return 0
    return run(settings, place, arguments)


def _read(container: Path) -> dict:
    """A container's record; nothing if it has ended by now."""
    try:
        return json.loads(container.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def run(settings: dict, place: Path, arguments: list[str]) -> int:
    assert arguments[0] == "run", arguments
    given, volumes, environment = {}, [], {"QEMU_CPU": settings["qemu_cpu"], "HOME": "/tmp"}
    position = 1
    while arguments[position].startswith("--"):
        name = arguments[position]
        position += 1
        if name in ("--rm", "--interactive", "--read-only"):
            given[name] = True
            continue
        value = arguments[position]
        position += 1
        if name == "--volume":
            source, target, mode = value.split(":")
            assert (source, mode) == (target, "ro")
            volumes.append(source)
        elif name == "--env":
            environment |= [value.split("=", 1)]
        else:
            given[name] = value
    image, *rest = arguments[position:]
    expected = {
        "--rm": True, "--interactive": True, "--read-only": True, "--pull": "never",
        "--network": "none", "--uts": "host", "--tmpfs": "/tmp", "--cap-drop": "ALL",
    }  # fmt: skip
    assert {name: given.get(name) for name in expected} == expected
    at = place / f"{os.getpid()}"
    at.mkdir()
    record = place / f"{at.name}.container"
    started = subprocess.Popen(
        container(
            at,
            Path(settings["images"][image]),
            Path(settings["board"]),
            given["--user"],
            [given["--entrypoint"], *rest],
            volumes=volumes,
            environment=environment,
        )
    )
    record.write_text(json.dumps({"label": given["--label"], "pid": started.pid}))
    try:
        status = started.wait()
        return status if status >= 0 else 128 - status
    finally:
        record.unlink(missing_ok=True)
        with suppress(OSError):
            at.rmdir()


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2:]))
