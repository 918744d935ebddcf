"""A board behind a made-up link: a shell of this machine whose `python3` says what it is told.

What the host sends is run as on a board, by sh in a home of the board's own. Only an agent that
describes or measures is not run: its replies are played from a file.
"""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from campaign.case import Sandbox
    from campaign.seeds import Seeds

ADDRESS = "ssh://board"
# A reply that nobody could wait for is what some cases are about; they shall not take minutes.
_PATIENCE = 1.5
_PYTHON = """#!/bin/sh
for argument in "$@"; do
    case "$argument" in
        --describe) exec {player} '{folder}/describe' ;;
        --runtime) exec {player} '{folder}/model' ;;
    esac
done
exec {python} "$@"
"""
# Plays a file line by line, one line a line that it reads; a line of its own language first.
_PLAYER = """
import sys, time
path = sys.argv[1]
out = sys.stdout.buffer
for number, line in enumerate(open(path, "rb")):
    if number and not sys.stdin.buffer.readline():
        sys.exit()
    word, _, rest = line.rstrip(b"\\n").partition(b" ")
    if word == b"SILENT":
        time.sleep(60)
    elif word == b"ENDLESS":
        while True:
            out.write(b"x" * 65536)
    elif word == b"FLOOD":
        while True:
            out.write(rest + b"\\n")
    elif word == b"ENDS":
        sys.exit(int(rest or 0))
    elif word == b"STDERR":
        sys.stderr.buffer.write(rest.replace(b"\\\\n", b"\\n") * 1000)
    else:
        out.write(line)
    out.flush()
"""


@dataclass
class Board:
    """What `--device ssh://board` reaches; `describe` and `model` are lines that its agents say."""

    seeds: Seeds
    sandbox: Sandbox
    describe: list[bytes] = field(default_factory=list)
    model: list[bytes] = field(default_factory=list)

    def install(self) -> None:
        """Make it, and have ssh reach it; in the process of the command."""
        folder = self.sandbox.root / "board"
        for name in ("home", "bin"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "describe").write_bytes(b"\n".join(self.describe or [self.said()]) + b"\n")
        (folder / "model").write_bytes(b"\n".join(self.model or self.answers()) + b"\n")
        (folder / "player.py").write_text(_PLAYER)
        player = f"{sys.executable} -S -E '{folder}/player.py'"
        python = folder / "bin" / "python3"
        python.write_text(_PYTHON.format(folder=folder, player=player, python=sys.executable))
        python.chmod(0o755)
        _impatient()
        ssh = import_module("edgeshuffle.device.ssh")
        remote = import_module("edgeshuffle.device.remote")

        def connect(address: str, progress: Callable[..., None], *more: Any, **named: Any) -> Any:
            return remote.RemoteDevice(_Link(folder), progress, *more, **named)

        ssh.connect = connect
        remote.RemoteDevice.set_up = lambda *_, **__: str(folder / "site")

    def said(self, **changed: Any) -> bytes:
        """What a describing agent says; as a Raspberry Pi 5, so that it is worth measuring."""
        told = {
            **self.seeds.description,
            "machine": "aarch64",
            "is_arm": True,
            "cpu": "Raspberry Pi 5",
        }
        return json.dumps({**told, **changed}).encode()

    def answers(self, *, blocks: int = 40) -> list[bytes]:
        """What an agent with a model says to a quick bench."""
        return [json.dumps(one).encode() for one in replies(blocks)]


def replies(blocks: int = 40) -> list[dict[str, Any]]:
    """Ready, warm-up, state, and blocks of a quick bench."""
    state = {
        "peak_rss_bytes": 5 * 10**7,
        "clock_khz": 2_400_000,
        "temperature_mc": 50_000,
        "throttled": 0,
    }
    ready = {
        "ready": True,
        "load_ns": 5_000_000,
        "first_ns": 2_000_000,
        "runtime_version": "1.0",
        "input_shape": [1, 3, 32, 32],
        "rss_before_bytes": 4 * 10**7,
    }
    warm = {"samples_ns": [1_000_000 + 100 * i for i in range(20)], "state": state}
    block = [
        {"samples_ns": [1_000_000 + 300 * i + n for i in range(11)], "state": state}
        for n in range(blocks)
    ]
    return [ready, warm, state, *block[:16], state, *block[16:]]


def logits(n: int, classes: int) -> list[dict[str, Any]]:
    """Ready, and what an agent says to images."""
    return [
        replies(0)[0],
        *(
            {"outputs": [_encoded(float(i == k % classes) for i in range(classes))]}
            for k in range(n)
        ),
    ]


def _encoded(values: Iterable[float]) -> str:
    return base64.b64encode(np.array(list(values), "<f4").tobytes()).decode()


class _Link:
    """A transport that is a shell."""

    name = ADDRESS

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.base = f"{folder}/home/.cache/edgeshuffle"

    def command(self, line: str) -> list[str]:
        folder = self._folder
        return [
            *("/usr/bin/env", f"HOME={folder}/home", f"PATH={folder}/bin:/usr/bin:/bin"),
            *("/bin/sh", "-c", line),
        ]

    def run(self, argv: list[str] | str, timeout: float) -> Any:
        line = argv if isinstance(argv, str) else shlex.join(argv)
        done = subprocess.run(
            self.command(line),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        return SimpleNamespace(status=done.returncode, out=done.stdout, err=done.stderr)

    def send(self, file: Path, target: str) -> None:
        shutil.copyfile(file, target)

    def close(self) -> None:
        pass


def _impatient() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("edgeshuffle.device"):
            for constant, value in list(vars(module).items()):
                if constant.endswith("_SECONDS") and isinstance(value, int | float):
                    setattr(module, constant, min(value, _PATIENCE))
