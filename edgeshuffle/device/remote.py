"""A device at the other end of a link: files pushed once under their hash, programs in a folder of
the run's own, both cleaned up whatever happens.

What lies on the device, below the transport's base folder:

    files/SHA256         pushed files, kept for later runs
    site-KEY/            the runtimes' packages, put there by `edgeshuffle setup`
    runs/XXXXXXXX/       one run's links to its files; removed at its end, or a day later
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from edgeshuffle.artifact import sha256
from edgeshuffle.device import DeviceInfo
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.device.wheels import RUNTIMES, WITHOUT_NUMPY, download_wheels, installed_here
from edgeshuffle.errors import DeviceError
from edgeshuffle.runtime import agent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from edgeshuffle.device import Progress

COMMAND_SECONDS: Final = 60.0
DESCRIBE_SECONDS: Final = 60.0
_ENTER: Final = """
mkdir -p "$1/files" "$1/runs" || exit 1
find "$1/runs" -mindepth 1 -maxdepth 1 -mtime +0 -exec rm -rf {} + 2>/dev/null
mktemp -d "$1/runs/XXXXXXXX"
"""
# Ends what the link's end does not: a process that neither reads nor writes. The variable tells it
# from another process that has got its number since.
_LEAVE: Final = """
for file in "$1"/pid-*; do
    pid=$(cat "$file" 2>/dev/null) || continue
    grep -qs "EDGESHUFFLE_RUN=$1" "/proc/$pid/environ" && kill -9 "$pid"
done
rm -rf "$1"
"""
_PLACE: Final = """
sum=$(sha256sum "$1") || exit 1
if [ "${sum%% *}" != "$2" ]; then rm -f "$1"; echo "the copy differs" >&2; exit 1; fi
mv "$1" "$3"
"""
_UNPACK: Final = """
site=$1; python=$2; shift 2
rm -rf "$site.part" && mkdir -p "$site.part" || exit 1
for wheel in "$@"; do
    "$python" -m zipfile -e "$wheel" "$site.part" || { rm -rf "$site.part"; exit 1; }
done
mv "$site.part" "$site"
"""


@dataclass(frozen=True)
class Completed:
    """A remote program's end."""

    status: int
    out: str
    err: str


class Transport(Protocol):
    """A way to a device. Its methods raise DeviceError where the link fails."""

    name: str
    base: str

    def command(self, line: str) -> list[str]:
        """The local argv that runs a line of the device's shell."""
        ...

    def run(self, line: str, timeout: float) -> Completed:
        """Run a line of the device's shell; short failures of the link are retried."""
        ...

    def send(self, file: Path, target: str) -> None:
        """Copy a file; `target` has no character that any shell minds."""
        ...

    def close(self) -> None: ...


def shell_line(argv: Sequence[str]) -> str:
    """The line that a POSIX shell splits into `argv`: the only place where anything is quoted."""
    return shlex.join(argv)


class RemoteDevice:
    """A device behind a transport."""

    def __init__(self, transport: Transport, progress: Progress) -> None:
        self._transport = transport
        self._progress = progress
        self._processes: list[JsonProcess] = []
        self._described: dict[str, Any] | None = None
        self._site: str | None = None
        self._run = self._script(_ENTER, transport.base).strip()
        self._governors = f"{transport.base}/governors.json"
        # A run whose link broke could not set them back.
        self._restore()

    @property
    def python(self) -> str:
        """The device's own Python; its packages come from the site folder."""
        return "python3"

    def info(self) -> DeviceInfo:
        """What the device shows of itself."""
        return DeviceInfo.of(self.describe())

    def describe(self) -> dict[str, Any]:
        """All that the agent tells of the device; needs only Python there."""
        if self._described is None:
            self._described = self._agent("--describe")
        return self._described

    def push(self, file: Path) -> str:
        """Copy a file unless the device has it, and link it into this run's folder."""
        digest = sha256(file)
        kept = f"{self._transport.base}/files/{digest}"
        if self._transport.run(shell_line(["test", "-f", kept]), COMMAND_SECONDS).status:
            self._progress(f"push {file.name}", 0, 1)
            part = f"{kept}.{PurePosixPath(self._run).name}"
            self._transport.send(file, part)
            self._script(_PLACE, part, digest, kept)
        link = f"{self._run}/{file.name}"
        # Not a symbolic link: the agent looks for its neighbours beside the file that it really is.
        self._script('ln -f "$1" "$2" 2>/dev/null || cp "$1" "$2"', kept, link)
        return link

    def spawn(self, argv: Sequence[str]) -> JsonProcess:
        """Start a program with the runtimes at hand; raises DeviceError."""
        return self._start(argv, {"PYTHONPATH": self.set_up(), "PYTHONNOUSERSITE": "1"})

    def steady(self) -> None:
        """Set the clock governor to `performance` where this user may; leaving sets it back."""
        self._agent("--governor", "performance", "--keep", self._governors)

    def set_up(self) -> str:
        """The folder with the runtimes that fit the device, which is made if need be."""
        if self._site is not None:
            return self._site
        described = self.describe()
        machine = "armv7l" if described["bits"] == 32 else described["machine"]
        if machine not in RUNTIMES:
            raise DeviceError(
                f"{self._transport.name} is a {machine}, for which there are no runtimes here. "
                f"Known: {', '.join(RUNTIMES)}."
            )
        wanted = [name if "==" in name else installed_here(name) for name in RUNTIMES[machine]]
        python = tuple(int(part) for part in described["python"].split(".")[:2])
        key = hashlib.sha256(" ".join([*wanted, machine, str(python)]).encode()).hexdigest()[:16]
        site = f"{self._transport.base}/site-{key}"
        if self._transport.run(shell_line(["test", "-d", site]), COMMAND_SECONDS).status:
            self._install(site, wanted, machine, (python[0], python[1]), described)
        self._site = site
        return site

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._processes:
            self._processes.pop().close()
        try:
            self._restore()
            self._leave()
        except DeviceError:
            # The link is gone; the next run of a later day removes the folder.
            if error is None:
                raise
        finally:
            self._transport.close()

    def _leave(self) -> None:
        self._script(_LEAVE, self._run)

    def _agent(self, *arguments: str) -> dict[str, Any]:
        """The one reply of an agent without a model."""
        argv = [self.python, self.push(Path(agent.__file__)), *arguments]
        return self._start(argv, {}).reply(DESCRIBE_SECONDS)

    def _restore(self) -> None:
        kept = shell_line(["test", "-f", self._governors])
        if not self._transport.run(kept, COMMAND_SECONDS).status:
            self._agent("--restore", "--keep", self._governors)

    def _start(self, argv: Sequence[str], environment: dict[str, str]) -> JsonProcess:
        program = ["env", f"EDGESHUFFLE_RUN={self._run}", *self._program(argv, environment)]
        pid = f"{self._run}/pid-{len(self._processes)}"
        line = shell_line(["sh", "-c", 'echo $$ > "$0"; exec "$@"', pid, *program])
        process = JsonProcess(self._transport.command(line), f"on {self._transport.name}")
        self._processes.append(process)
        return process

    def _program(self, argv: Sequence[str], environment: dict[str, str]) -> list[str]:
        """What `env` is given to run `argv`: settings and a command."""
        return [*(f"{name}={value}" for name, value in environment.items()), *argv]

    def _install(
        self,
        site: str,
        wanted: Sequence[str],
        machine: str,
        python: tuple[int, int],
        described: dict[str, Any],
    ) -> None:
        glibc = tuple(int(part) for part in (described["glibc"] or "0.0").split(".")[:2])
        self._progress("fetch runtimes", 0, 1)
        with tempfile.TemporaryDirectory() as folder:
            wheels = download_wheels(
                wanted,
                machine=machine,
                python=python,
                glibc=(glibc[0], glibc[1]),
                folder=Path(folder),
                alone=machine in WITHOUT_NUMPY,
            )
            pushed = []
            for done, wheel in enumerate(wheels):
                self._progress("push runtimes", done, len(wheels))
                pushed.append(self.push(wheel))
            self._progress("unpack runtimes", 0, 1)
            self._script(_UNPACK, site, self.python, *pushed, timeout=600)

    def _script(self, script: str, *arguments: str, timeout: float = COMMAND_SECONDS) -> str:
        return self._check(["sh", "-c", script, "sh", *arguments], timeout)

    def _check(self, argv: Sequence[str], timeout: float = COMMAND_SECONDS) -> str:
        done = self._transport.run(shell_line(argv), timeout)
        if done.status:
            lines = [line.strip() for line in done.err.splitlines() if line.strip()]
            reason = lines[-1] if lines else f"exit status {done.status}"
            raise DeviceError(
                f"{self._transport.name} failed at '{argv[0]}' ({reason[:200]}). Check its disk "
                "space and permissions."
            )
        return done.out
