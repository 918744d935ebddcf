"""A phone's end of adb's transport protocol: enough for the real client's `shell` and `push`.

Source: the Android Open Source Project, packages/modules/adb, protocol.txt and SYNC.TXT.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 0x01000001
LARGEST = 256 * 1024
FEATURES = "device::ro.product.name=standin;ro.product.model=StandIn;features=shell_v2,cmd"
STDIN, STDOUT, STDERR, EXIT = range(4)
HEADER = struct.Struct("<4s5I")
AUTH_TOKEN, AUTH_KEY = 1, 3


class ClosedError(Exception):
    """The other end is gone."""


@dataclass
class Stream:
    """One service's two directions: every write waits until the last one was taken."""

    link: Link
    ours: int
    theirs: int
    come: queue.Queue[bytes] = field(default_factory=queue.Queue)
    taken: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    sending: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False
    rest: bytes = b""

    def write(self, data: bytes) -> None:
        with self.sending:
            for start in range(0, len(data), self.link.largest):
                self.taken.acquire()
                if self.closed:
                    raise ClosedError
                piece = data[start : start + self.link.largest]
                self.link.send(b"WRTE", self.ours, self.theirs, piece)

    def read(self, count: int) -> bytes:
        while len(self.rest) < count:
            data = self.come.get()
            if not data:
                raise ClosedError
            self.link.send(b"OKAY", self.ours, self.theirs)
            self.rest += data
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def end(self) -> None:
        self.closed = True
        self.come.put(b"")
        self.taken.release()


class Link:
    """One connection of an adb server."""

    def __init__(self, connection: socket.socket, phone: Adbd) -> None:
        self.connection, self.phone = connection, phone
        self.largest = LARGEST
        self.streams: dict[int, Stream] = {}
        self.sending = threading.Lock()

    def send(self, kind: bytes, first: int, second: int, data: bytes = b"") -> None:
        inverse = int.from_bytes(kind, "little") ^ 0xFFFFFFFF
        message = HEADER.pack(kind, first, second, len(data), sum(data) & 0xFFFFFFFF, inverse)
        with self.sending:
            self.connection.sendall(message + data)

    def serve(self) -> None:
        with suppress(ClosedError, OSError):
            while True:
                kind, first, second, size, _, _ = HEADER.unpack(self._receive(HEADER.size))
                self._handle(kind, first, second, self._receive(size))
        for stream in list(self.streams.values()):
            stream.end()
        self.connection.close()

    def _receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise ClosedError
            data += piece
        return bytes(data)

    def _handle(self, kind: bytes, first: int, second: int, data: bytes) -> None:
        if kind == b"AUTH" and first == AUTH_KEY:
            return  # A new key: the phone asks its owner, who does not answer.
        if kind in (b"CNXN", b"AUTH") and not self.phone.allows:
            self.send(b"AUTH", AUTH_TOKEN, 0, os.urandom(20))
        elif kind == b"CNXN":
            self.largest = min(second, LARGEST)
            self.send(b"CNXN", VERSION, LARGEST, FEATURES.encode())
        elif kind == b"OPEN":
            number = len(self.phone.opened) + 1
            self.phone.opened.append(data.rstrip(b"\0").decode())
            stream = self.streams[number] = Stream(self, number, first)
            threading.Thread(
                target=self._service, args=(stream, self.phone.opened[-1]), daemon=True
            ).start()
        elif second in self.streams and kind == b"WRTE":
            self.streams[second].come.put(data)
        elif second in self.streams and kind == b"OKAY":
            self.streams[second].taken.release()
        elif second in self.streams and kind == b"CLSE":
            self.streams.pop(second).end()

    def _service(self, stream: Stream, name: str) -> None:
        kind, _, argument = name.partition(":")
        serve: Callable[[Stream, str], None] | None = {
            "shell": self.phone.shell,
            "sync": self.phone.sync,
        }.get(kind.partition(",")[0])
        with suppress(ClosedError, OSError):
            if serve is not None:
                self.send(b"OKAY", stream.ours, stream.theirs)
                serve(stream, argument)
                # The last piece must be taken before the end may be told.
                stream.taken.acquire(timeout=5)
            if self.streams.pop(stream.ours, None):
                self.send(b"CLSE", stream.ours, stream.theirs)


@dataclass
class Adbd:
    """A listening phone. Below `place`, the paths of the phone lie in `files`."""

    place: str
    files: Path
    environment: dict[str, str]
    allows: bool = True
    # No file can grow beyond it, as if the disk were full.
    file_bytes: int | None = None
    opened: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    port: int = 0

    def listen(self) -> None:
        """Start to listen, on the same port as before if there was one."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self) -> None:
        """Go out of reach."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        while self.links:
            with suppress(OSError):
                self.links.pop().connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.links.append(Link(connection, self))
                threading.Thread(target=self.links[-1].serve, daemon=True).start()

    def shell(self, stream: Stream, line: str) -> None:
        """Run a line of shell with its three streams apart and its exit status told."""
        line = line.replace(self.place, str(self.files))
        if self.file_bytes is not None:
            line = f"trap '' XFSZ; ulimit -f {self.file_bytes // 512}; {line}"
        process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.files,
            start_new_session=True,
        )

        def feed() -> None:
            with suppress(ClosedError, OSError, ValueError):
                while True:
                    kind, size = struct.unpack("<BI", stream.read(5))
                    if kind == STDIN:
                        process.stdin.write(stream.read(size))
                        process.stdin.flush()
                    else:
                        stream.read(size)
                        process.stdin.close()
            if stream.closed:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGHUP)

        def drain(pipe: object, kind: int) -> None:
            with suppress(ClosedError, OSError):
                while data := os.read(pipe.fileno(), 32768):
                    stream.write(struct.pack("<BI", kind, len(data)) + data)

        threading.Thread(target=feed, daemon=True).start()
        drains = [
            threading.Thread(target=drain, args=pair, daemon=True)
            for pair in ((process.stdout, STDOUT), (process.stderr, STDERR))
        ]
        for thread in drains:
            thread.start()
        for thread in drains:
            thread.join()
        status = process.wait()
        code = status if status >= 0 else 128 - status
        stream.write(struct.pack("<BIB", EXIT, 1, code))

    def sync(self, stream: Stream, _: str) -> None:
        """Take files (SEND), and tell of files (STAT)."""
        while True:
            request, size = struct.unpack("<4sI", stream.read(8))
            path = stream.read(size).decode().replace(self.place, str(self.files))
            if request == b"STAT":
                try:
                    found = os.lstat(path)
                    known = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))
                except OSError:
                    known = (0, 0, 0)
                stream.write(b"STAT" + struct.pack("<3I", *known))
            elif request == b"SEND":
                self._take(stream, Path(path.rpartition(",")[0]))
            else:
                return

    def _take(self, stream: Stream, path: Path) -> None:
        error = b""
        left = self.file_bytes if self.file_bytes is not None else float("inf")
        with path.open("wb") as file:
            while True:
                kind, size = struct.unpack("<4sI", stream.read(8))
                if kind == b"DONE":
                    break
                data = stream.read(size)
                left -= size
                if left < 0:
                    error = b"No space left on device"
                else:
                    file.write(data)
        stream.write(struct.pack("<4sI", b"FAIL" if error else b"OKAY", len(error)) + error)
