"""A stand-in Raspberry Pi: a real OpenSSH server on loopback, whose `python3` is real ARM code.

Its shell is this machine's, with the board's programs first on PATH and a home of its own. The
board's /proc and /sys are plain files in `root`, which tests can change in mid-run.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgeshuffle.device.emulated import QEMU
from edgeshuffle.device.emulated.boards import BOARDS, write_board
from edgeshuffle.host.folders import cache_folder
from edgeshuffle.payload.rootfs import root_filesystem

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
HOST = "raspberrypi"
QEMU_32_BIT = "qemu-arm"


def missing() -> str | None:
    """Why there can be no stand-in here, or None."""
    for program in (SSHD, "ssh", "scp", "ssh-keygen", QEMU):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


@dataclass
class StandInPi:
    """A running server. `home` and `root` are the board's; `path` has ssh with its own settings."""

    folder: Path
    home: Path
    root: Path
    path: Path
    port: int
    command: list[str]
    server: subprocess.Popen[bytes] = field(init=False)

    @property
    def address(self) -> str:
        return f"ssh://{HOST}"

    @property
    def base(self) -> Path:
        """Where everything of ours lies."""
        return self.home / ".cache" / "edgeshuffle"

    def real(self, path: str) -> Path:
        """Where a path of the board's is on this machine."""
        return Path(path)

    def environment(self) -> dict[str, str]:
        """What a client needs to find it."""
        return {"PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}"}

    def sessions(self) -> list[int]:
        """Processes that serve a connection."""
        return _children(self.server.pid)

    def cut(self) -> None:
        """Break every connection."""
        _kill(self.sessions())

    def power_off(self) -> None:
        """Go out of reach, with everything that runs."""
        # Nobody else can tell which sessions were the server's once it has ended.
        serving = self.sessions()
        self.server.terminate()
        self.server.wait(10)
        _kill(serving)

    def power_on(self) -> None:
        """Be there again."""
        self.listen()

    def throttle(self, bits: int) -> None:
        """What `vcgencmd get_throttled` says from now on."""
        (self.folder / "throttled").write_text(f"throttled={bits:#x}\n")

    @property
    def clock_file(self) -> Path:
        """Core 0's clock, as the kernel tells it."""
        return self.root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"

    @property
    def governor_file(self) -> Path:
        """Core 0's clock governor."""
        return self.clock_file.with_name("scaling_governor")

    def governor(self, name: str) -> None:
        """Give core 0 a clock governor."""
        self.governor_file.write_text(f"{name}\n")

    def listen(self) -> None:
        """Start the server."""
        self.server = subprocess.Popen(self.command)
        _wait_for(self.port)

    def clock(self, khz: int) -> None:
        """What the kernel says of the clock from now on."""
        self.clock_file.write_text(f"{khz}\n")

    def program(self, name: str, script: str) -> None:
        """Put a program of the board's on its PATH."""
        _script(self.folder / "bin" / name, script)

    def left(self) -> list[str]:
        """Files of the runs that the board still holds."""
        runs = self.base / "runs"
        return sorted(path.name for path in runs.iterdir()) if runs.exists() else []

    def stop(self) -> None:
        self.cut()
        self.power_off()


def start(
    folder: Path,
    board: str = "pi4",
    *,
    runtimes: bool = True,
    file_bytes: int | None = None,
    machine: str = "aarch64",
) -> StandInPi:
    """Start a server; without `runtimes` its Python has no packages at all.

    `machine` armv7l is a 32-bit system.

    Where `file_bytes` is given, no file can grow beyond it, as if the disk were full.
    """
    home, root, path = folder / "home with space", folder / "root", folder / "client"
    for made in (home, root, path, folder / "bin"):
        made.mkdir()
    shared = root_filesystem(cache_folder() / "emulated", lambda *_: None, machine)
    for entry in shared.iterdir():
        (root / entry.name).symlink_to(entry)
    write_board(BOARDS[board], root)
    hidden = "" if runtimes else "-S "
    qemu, core = (
        (QEMU_32_BIT, "cortex-a15") if machine == "armv7l" else (QEMU, BOARDS[board].qemu_cpu)
    )
    _script(
        folder / "bin" / "python3",
        f"export PYTHONHOME='{root}/usr' PYTHONHASHSEED=0\n"
        f"exec {qemu} -cpu {core} -L '{root}' "
        f"'{root}/usr/bin/python3.11' {hidden}\"$@\"",
    )
    _script(folder / "bin" / "vcgencmd", f"cat '{folder}/throttled'")
    (folder / "throttled").write_text("throttled=0x0\n")
    port = _keys_and_settings(folder, home)
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    if file_bytes is not None:
        # With the signal ignored, a write beyond the limit fails as one to a full disk does.
        script = f"trap '' XFSZ; ulimit -f {file_bytes // 512}; exec \"$@\""
        command = ["sh", "-c", script, "sh", *command]
    for name in ("ssh", "scp"):
        _script(path / name, f"exec {shutil.which(name)} -F '{folder}/ssh_config' \"$@\"")
    made = StandInPi(folder, home, root, path, port, command)
    made.listen()
    return made


def _keys_and_settings(folder: Path, home: Path) -> int:
    for name in ("host_key", "user_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nPidFile none\nUsePAM no\nStrictModes no\n"
        "Subsystem sftp internal-sftp\n"
        f'SetEnv "HOME={home}" "PATH={folder}/bin:/usr/bin:/bin"\n'
    )
    key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(key)}\n")
    (folder / "ssh_config").write_text(
        f"Host {HOST}\nHostName 127.0.0.1\nPort {port}\nUser {getpass.getuser()}\n"
        f"IdentityFile {folder}/user_key\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n"
    )
    return port


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(child) for child in listed.stdout.split()]


def _kill(sessions: list[int]) -> None:
    for pid in sessions:
        for process in (pid, *_children(pid)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"the stand-in does not listen on port {port}")
