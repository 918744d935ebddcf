"""The runner image on a board: nothing of ours is installed there, files are pushed over ssh.

The container has no network, no rights and a read-only root; it sees the run's files only, and
cannot set the board's clock.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from edgeshuffle.device import hold
from edgeshuffle.device.remote import COMMAND_SECONDS, RemoteDevice
from edgeshuffle.device.ssh import Address, SshTransport
from edgeshuffle.errors import DeviceError, UnknownNameError
from edgeshuffle.untrusted import last_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeshuffle.device.process import JsonProcess
    from edgeshuffle.device.transport import Transport
    from edgeshuffle.progress import Progress

PYTHON: Final = "/usr/bin/python3.11"
LABEL: Final = "edgeshuffle.run"
# As the OCI distribution specification has names, tags and digests.
_IMAGE: Final = re.compile(
    r"[a-z0-9][a-z0-9._/:-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?(?:@sha256:[0-9a-f]{64})?"
)
_NO_ENGINE: Final = 3
_FIND: Final = f"""
for engine in docker podman; do
    command -v "$engine" >/dev/null || continue
    "$engine" image inspect "$1" >/dev/null || exit 1
    echo "$engine $(id -u):$(id -g)"
    exit 0
done
exit {_NO_ENGINE}
"""
_SIGN: Final = """
printf "%s" "$2" >"$1"
"""
_REMOVE: Final = """
left=$("$1" ps --all --quiet --filter "label=$2=$3") || exit 1
[ -z "$left" ] || "$1" rm --force $left >/dev/null
"""


class DockerDevice(RemoteDevice):
    """A board whose programs run in containers of an image that it has."""

    def __init__(self, transport: Transport, image: str, progress: Progress) -> None:
        self._image = image
        try:
            self._engine, self._user = _find(transport, image)
            super().__init__(transport, progress)
        except BaseException:
            transport.close()
            raise

    @property
    def python(self) -> str:
        """The image's Python, which has the runtimes."""
        return PYTHON

    def spawn(self, argv: Sequence[str]) -> JsonProcess:
        """Start a program in a container; raises DeviceError."""
        return self._start(argv, {})

    def choose(self) -> None:
        """The runtimes are part of the image."""

    def set_up(self, wait: float = 0.0) -> str:  # noqa: ARG002
        """The runtimes are part of the image."""
        return self._image

    def steady(self, wait: float = 0.0) -> None:
        """Hold the board; a container may not set the clock's governor."""
        self._take(wait, governor=False)
        if self._hold is not None:
            # To the container, the lock is there to be held, but not to be written.
            self._script(_SIGN, f"{self._state}/lock", hold.holder())

    def _restore(self) -> None:
        """A container could not: what a run over ssh left is for the next one."""

    def _leave(self) -> None:
        # A container outlives the client that is killed; it would end with its input, but late.
        self._script(_REMOVE, self._engine, LABEL, self._name)
        super()._leave()

    @property
    def _name(self) -> str:
        return PurePosixPath(self._run).name

    def _program(self, argv: Sequence[str], environment: dict[str, str]) -> list[str]:
        command = [self._engine, "run", "--rm", "--interactive", "--pull", "never"]
        command += ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
        # Records name the board; a container's own name is another one each time.
        command += ["--uts", "host"]
        command += ["--user", self._user, "--label", f"{LABEL}={self._name}"]
        for folder in (self._run, self._state):
            command += ["--volume", f"{folder}:{folder}:ro"]
        for name, value in environment.items():
            command += ["--env", f"{name}={value}"]
        return [*command, "--entrypoint", argv[0], self._image, *argv[1:]]


def _find(transport: Transport, image: str) -> tuple[str, str]:
    """The engine there that has the image, and this user's numbers; raises DeviceError."""
    done = transport.run(["sh", "-c", _FIND, "sh", image], COMMAND_SECONDS)
    if not done.status:
        engine, _, user = done.out.strip().partition(" ")
        return engine, user
    if done.status == _NO_ENGINE:
        raise DeviceError(f"{transport.name} has neither docker nor podman. Install one there.")
    reason = last_line(done.err) or "no reason given"
    if "permission denied" in done.err.lower():
        advice = "Add its user to the group docker, and log in anew."
    elif "cannot connect" in done.err.lower():
        advice = "Start Docker there."
    else:
        advice = (
            f"Bring the image there: docker save {image} | ssh "
            f"{transport.name.removeprefix('ssh://')} docker load."
        )
    raise DeviceError(f"{transport.name} cannot run {image} ({reason}). {advice}")


def check(address: str) -> None:
    """Raise UnknownNameError unless it is `[user@]host[:port]/image`."""
    host, _, image = address.partition("/")
    Address.parse(host)
    if not _IMAGE.fullmatch(image):
        raise UnknownNameError(
            f"'{address}' names no image. Give docker://[user@]host[:port]/image, such as "
            "docker://pi@raspberrypi.local/edgeshuffle-runner:arm64."
        )


def connect(address: str, progress: Progress) -> DockerDevice:
    """The image at `[user@]host[:port]/image`; raises DeviceError."""
    host, _, image = address.partition("/")
    return DockerDevice(SshTransport(Address.parse(host)), image, progress)
