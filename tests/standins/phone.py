"""A stand-in Android phone: the real adb client talks to an adbd of ours, whose shell has only
what a phone's has - no Python - and which runs the pushed ARM programs under emulation.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edgeshuffle.device.adb import BASE
from edgeshuffle.device.emulated import QEMU
from edgeshuffle.device.emulated.boards import BOARDS, write_board
from standins.adbd import Adbd

# What Android 9 and later have in /system/bin, as far as it is used.
TOOLS = (
    *("sh", "cat", "cp", "dirname", "echo", "env", "find", "grep", "gzip", "kill", "ln"),
    *("mkdir", "mktemp", "mv", "rm", "sha256sum", "sort", "stat", "test", "touch"),
)
PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 8",
    "ro.build.version.release": "15",
}
BOARD = BOARDS["pi5"]
LOADER = "lib/ld-linux-aarch64.so.1"


def missing() -> str | None:
    """Why there can be no stand-in here, or None."""
    for program in ("adb", QEMU, "tar"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


class AdbServer:
    """An adb server of the tests' own; the environment of every client must name it."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.home = Path(tempfile.mkdtemp(prefix="adb-"))
        self.environment = {"ANDROID_ADB_SERVER_PORT": str(port)}
        self.adb("start-server")

    def adb(self, *arguments: str) -> str:
        done = subprocess.run(
            ["adb", *arguments],
            env={**os.environ, **self.environment, "HOME": str(self.home)},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    def stop(self) -> None:
        self.adb("kill-server")
        shutil.rmtree(self.home, ignore_errors=True)


@dataclass
class StandInPhone:
    """A phone that the server knows. `tmp` is its /data/local/tmp."""

    folder: Path
    tmp: Path
    root: Path
    adbd: Adbd
    server: AdbServer

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.adbd.port}"

    @property
    def address(self) -> str:
        return f"adb://{self.serial}"

    @property
    def base(self) -> Path:
        """Where everything of ours lies."""
        return self.tmp / Path(BASE).name

    def real(self, path: str) -> Path:
        """Where a path of the phone's is on this machine."""
        return self.base / Path(path).relative_to(BASE)

    def environment(self) -> dict[str, str]:
        """What a client needs to find it."""
        return self.server.environment

    def cut(self) -> None:
        """Break every connection."""
        self.adbd.cut()

    def power_off(self) -> None:
        """Go out of reach, with everything that runs."""
        self.adbd.stop()

    def power_on(self) -> None:
        """Plug it in, and wait until the server has seen that."""
        self.adbd.listen()
        self.server.adb("connect", self.serial)
        deadline = time.monotonic() + 20
        wanted = "device" if self.adbd.allows else "unauthorized"
        while f"{self.serial}\t{wanted}" not in self.server.adb("devices"):
            assert time.monotonic() < deadline, self.server.adb("devices")
            time.sleep(0.05)

    def left(self) -> list[str]:
        """Files of the runs that the phone still holds."""
        runs = self.base / "runs"
        return sorted(path.name for path in runs.iterdir()) if runs.exists() else []

    def asked(self) -> list[str]:
        """What Android's power service was told."""
        log = self.folder / "cmd.log"
        return log.read_text().splitlines() if log.exists() else []

    def stop(self) -> None:
        self.adbd.stop()
        self.server.adb("disconnect", self.serial)


def start(
    folder: Path,
    server: AdbServer,
    *,
    machine: str = "aarch64",
    allows: bool = True,
    file_bytes: int | None = None,
) -> StandInPhone:
    """A phone that is plugged in.

    Where `file_bytes` is given, no file can grow beyond it, as if the disk were full.
    """
    tmp, root, programs = folder / "tmp", folder / "root", folder / "bin"
    for made in (tmp, root, programs):
        made.mkdir()
    write_board(BOARD, root)
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    _script(programs / "uname", f"echo {machine}")
    _script(
        programs / "getprop",
        "case $1 in\n"
        + "".join(f"    {name}) echo '{value}' ;;\n" for name, value in PROPERTIES.items())
        + "esac",
    )
    _script(programs / "cmd", f"echo \"$@\" >>'{folder}/cmd.log'")
    # Unpacks, then lets this machine start the phone's programs: through the emulator, and with
    # this machine's shell, which is not where a phone's is.
    _script(
        programs / "tar",
        f'{shutil.which("tar")} "$@" || exit\nwhile [ "$1" != -C ]; do shift; done; cd "$2"\n'
        f"mv {LOADER} {LOADER}.real\n"
        f"printf '%s\\n' '#!/bin/sh' "
        f'\'exec {shutil.which(QEMU)} -cpu {BOARD.qemu_cpu} -L {root} "$0.real" "$@"\' >{LOADER}\n'
        f"/bin/chmod 755 {LOADER}\n/bin/sed -i '1s,/system,,' python3",
    )
    adbd = Adbd(
        str(Path(BASE).parent),
        tmp,
        {"PATH": str(programs), "HOME": "/", "PYTHONHASHSEED": "0"},
        allows,
        file_bytes,
    )
    phone = StandInPhone(folder, tmp, root, adbd, server)
    phone.power_on()
    return phone


def _script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
