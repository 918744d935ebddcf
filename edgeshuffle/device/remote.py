"""A device at the other end of a link: files pushed once under their hash, programs in a folder of
the run's own, both cleaned up whatever happens. `scripts` says what lies there.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.agent import agent_files
from edgeshuffle.artifact import sha256
from edgeshuffle.device import hold, replies, scripts
from edgeshuffle.device.in_use import InUse
from edgeshuffle.device.process import JsonProcess
from edgeshuffle.device.transport import shell_line
from edgeshuffle.errors import DeviceError
from edgeshuffle.host.signals import deferred
from edgeshuffle.payload.wheels import choose, download_wheels, wanted
from edgeshuffle.untrusted import last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgeshuffle.device.transport import Transport
    from edgeshuffle.payload.wheels import Choice
    from edgeshuffle.progress import Progress

COMMAND_SECONDS: Final = 60.0
UNPACK_SECONDS: Final = 600.0
# Writes its number, so that it can be ended, and says the word after which its own lines come.
_START: Final = 'echo "$0"; echo $$ >"$1"; shift; exec "$@"'


class RemoteDevice(InUse):
    """A device behind a transport."""

    # Whether there is a clock of Android's to be held, too.
    is_phone = False

    def __init__(self, transport: Transport, progress: Progress) -> None:
        self._transport = transport
        self._progress = progress
        self._processes: list[JsonProcess] = []
        self._started = 0
        self._described: replies.Described | None = None
        self._site: str | None = None
        self._there: set[str] = set()
        self._hold: hold.Hold | None = None
        self._run = f"{transport.base}/runs/{secrets.token_hex(8)}"
        self._state = f"{transport.base}/state"
        try:
            self._script(scripts.ENTER, transport.base, self._run)
            keeper = f"{self._run}/pid-keeper"
            self._launch(["sh", "-c", scripts.KEEP, "sh", keeper]).reply(COMMAND_SECONDS)
            # A run that could not, as the device lost its power.
            self._restore()
        except BaseException:
            with deferred():
                self._let_go()
            raise

    @property
    def python(self) -> str:
        """The device's own Python; its packages come from the site folder."""
        return "python3"

    def describe(self) -> replies.Described:
        """All that the agent tells of the device; needs only Python there."""
        if self._described is None:
            reply = self._reply(agent_files(), "--describe")
            self._described = replies.read(reply, replies.Described, self._where)
        return self._described

    def push(self, file: Path) -> str:
        """Copy a file unless the device has it, and link it into this run's folder."""
        suffix = file.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", file.suffix) else ""
        return self._push(file, f"files/{sha256(file)[:32]}{suffix}")

    def push_program(self, *files: Path) -> str:
        """Copy a program of ours to where nothing else gets: the last, beside the others."""
        return [self._push(file, f"agent/{file.name}") for file in files][-1]

    def spawn(self, argv: Sequence[str]) -> JsonProcess:
        """Start a program with the runtimes at hand; raises DeviceError."""
        return self._start(argv, {"PYTHONPATH": self.set_up(), "PYTHONNOUSERSITE": "1"})

    def steady(self, wait: float = 0.0) -> None:
        """Hold the device, and set the clock governor to `performance` where this user may."""
        self._take(wait, governor=True)

    def choose(self) -> Choice | None:
        """The runtimes that fit the device; raises DeviceError."""
        return choose(self.describe(), self._transport.name)

    def set_up(self, wait: float = 0.0) -> str:
        """The folder with the runtimes that fit the device, which is made if need be."""
        if self._site is None:
            described = self.describe()
            # Named by what is asked for: what was chosen then serves on without the index.
            asked = [*wanted(described, self._transport.name), described.machine]
            asked += [str(described.python_version), str(described.glibc_version)]
            key = hashlib.sha256(" ".join(asked).encode()).hexdigest()[:16]
            site = f"{self._transport.base}/site-{key}"
            self._make(site, lambda: self._install(site, described), wait)
            self._site = site
        return self._site

    def _let_go(self) -> DeviceError | None:
        # Where the link is gone, the next contact cleans up.
        failure = None
        for step in (self._release, self._stop, self._leave, self._transport.close):
            try:
                step()
            except DeviceError as err:
                failure = failure or err
        return failure

    def _stop(self) -> None:
        while self._processes:
            self._processes.pop().close()

    def _leave(self) -> None:
        self._script(scripts.LEAVE, self._run)

    def _take(self, wait: float, *, governor: bool) -> None:
        def start() -> JsonProcess:
            argv = [self.python, self.push_program(hold.PROGRAM)]
            argv += hold.arguments(self._state, wait, governor=governor, phone=self.is_phone)
            # Not ended with the run's other processes: it ends by itself, and sets back first.
            return self._start(argv, {}, keep=True)

        self._hold = hold.take(start, self._transport.name, wait, self._progress)
        if self._hold is not None:
            self._script(scripts.PRUNE, self._transport.base)

    def _release(self) -> None:
        held, self._hold = self._hold, None
        if held is not None:
            try:
                held.release()
            except DeviceError:
                # Says more, if the link is gone.
                self._restore()
                raise

    def _restore(self) -> None:
        memory = f"{self._state}/{hold.MEMORY}"
        if not self._transport.run(["test", "-f", memory], COMMAND_SECONDS).status:
            reply = self._reply([hold.PROGRAM], "--state", self._state, "--restore")
            restored = replies.read(reply, replies.Restored, self._where)
            hold.warn_of_left(restored.left, self._transport.name)

    @contextmanager
    def _alone(self, wait: float) -> Iterator[None]:
        """Hold the device for the block, unless it is held already."""
        if self._hold is not None:
            yield
            return
        self._take(wait, governor=False)
        try:
            yield
        finally:
            self._release()

    def _make(self, folder: str, make: Callable[[], None], wait: float) -> None:
        """Have a folder made unless it is whole; raises DeviceError."""
        if self._is_whole(folder):
            return
        with self._alone(wait):
            # Whoever was waited for may have made it.
            if not self._is_whole(folder):
                make()

    def _is_whole(self, folder: str) -> bool:
        argv = ["sh", "-c", scripts.IS_WHOLE, "sh", folder]
        return not self._transport.run(argv, COMMAND_SECONDS).status

    def _push(self, file: Path, name: str) -> str:
        digest = sha256(file)
        kept = f"{self._transport.base}/files/{digest}"
        if digest not in self._there:
            have = ["sh", "-c", scripts.HAVE, "sh", kept, digest]
            if self._transport.run(have, COMMAND_SECONDS).status:
                self._progress(f"push {file.name}", 0, 1)
                part = f"{kept}.{secrets.token_hex(8)}"
                self._transport.send(file, part)
                self._script(scripts.PLACE, part, digest, kept)
            self._there.add(digest)
        link = f"{self._run}/{name}"
        self._script(scripts.LINK, kept, link)
        return link

    def _reply(self, files: Sequence[Path], *arguments: str) -> dict[str, Any]:
        """The one reply of a program of ours, the last of `files`, that needs no runtime."""
        process = self._start([self.python, self.push_program(*files), *arguments], {})
        return process.reply(replies.START_SECONDS)

    def _start(
        self, argv: Sequence[str], environment: dict[str, str], *, keep: bool = False
    ) -> JsonProcess:
        return self._launch(self._program(argv, environment), keep=keep)

    def _launch(self, program: Sequence[str], *, keep: bool = False) -> JsonProcess:
        """Start what `env` is given, on the device itself."""
        self._started += 1
        word = f"edgeshuffle-{secrets.token_hex(8)}"
        pid = "/dev/null" if keep else f"{self._run}/pid-{self._started}"
        argv = ["env", f"EDGESHUFFLE_RUN={self._run}", *program]
        line = shell_line(["sh", "-c", _START, word, pid, *argv])
        command = self._transport.command(line)
        process = JsonProcess(command, f"on {self._transport.name}", greeting=word)
        if not keep:
            self._processes.append(process)
        return process

    def _program(self, argv: Sequence[str], environment: dict[str, str]) -> list[str]:
        """What `env` is given to run `argv`: settings and a command."""
        return [*(f"{name}={value}" for name, value in environment.items()), *argv]

    def _install(self, site: str, described: replies.Described) -> None:
        self._progress("fetch runtimes", 0, 1)
        chosen = choose(described, self._transport.name)
        if not chosen.versions:
            raise DeviceError(f"{self._transport.name} cannot be set up: {chosen.why_not}.")
        with tempfile.TemporaryDirectory() as folder:
            wheels = download_wheels(
                chosen.requirements,
                machine=chosen.machine,
                python=described.python_version,
                glibc=described.glibc_version,
                folder=Path(folder),
                alone=chosen.without_numpy,
            )
            pushed = []
            for done, wheel in enumerate(wheels):
                self._progress("push runtimes", done, len(wheels))
                pushed.append(self.push(wheel))
            self._progress("unpack runtimes", 0, 1)
            script = scripts.UNPACK_WHEELS
            self._script(script, site, self.python, *pushed, timeout=UNPACK_SECONDS)

    @property
    def _where(self) -> str:
        return f"on {self._transport.name}"

    def _script(self, script: str, *arguments: str, timeout: float = COMMAND_SECONDS) -> str:
        return self._check(["sh", "-c", script, "sh", *arguments], timeout)

    def _check(self, argv: Sequence[str], timeout: float = COMMAND_SECONDS) -> str:
        done = self._transport.run(argv, timeout)
        if done.status:
            reason = last_line(done.err) or f"exit status {done.status}"
            raise DeviceError(
                f"{self._transport.name} failed at '{argv[0]}' ({reason}). Check its disk space "
                "and permissions."
            )
        return done.out
