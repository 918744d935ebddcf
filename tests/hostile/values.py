"""Single hostile values: numbers and texts for options, and things that a path may name."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

NUMBERS = (
    *("nan", "NaN", "-nan", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e-400", "1e308"),
    *("0", "-0", "-0.0", "-1", "1", "2", "0.5", "1.5", "1.0", "3", "7", "31", "33", "64"),
    *("2147483647", "2147483648", "-2147483649", "9223372036854775808", "18446744073709551616"),
    *("9" * 400, "9" * 5000, "1_000", "0x10", "1e3", "+1", " 1", "1 ", "\u0661\u0662", "1,0"),
)
LISTS = (
    *("nan,nan,nan", "inf,0,0", "0,0,0", "1,1,1", "0.5,0.5,0.5", "1e-7,1,1", "1e7,1,1", ",,"),
    *("0-9999999999", "0-99999999", "9-0", "0,0", "-1", "0--1", "99", "1,2,3,4", "fast,slow", "-"),
)
TEXTS = (
    *("", " ", "\t", "\n", "a\nb", "\r\n", "-", "--", "-1", "~", "*", "$HOME", "%s%n", "{0}"),
    *("\x1b[31mred\x1b[0m", "\x1b]0;owned\x07", "\x9b31m", "\x07", "\x7f", "a\x08b"),
    *("\u202egnp.exe", "\u2028", "\u200b", "\ufeff", "\U0001f4a5", "\u00e9", "\udcff"),
    *("[/red]", "[bold]x", "[link=http://x]y[/link]", "'", '"', "\\", "`id`", "a" * 5000),
    *("../../x", "/etc/passwd", "ort.py", "agent.py", "NUL", ".", "..", "/", "a/b", "None", "null"),
)
ADDRESSES = (
    *("ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://h:99999999", "ssh://@", "ssh://h:0"),
    *("adb://", "adb://-s", "adb://x y", "docker://", "docker://h", "docker://h/", "docker:///x"),
    *("emulated://", "emulated://pi9", "emulated://../..", "local://", "local://x", "local"),
    *("://", "http://x", "SSH://h", "ssh://h/\n", "ssh://\x1b[0m", "pi", "android", "ssh://\u00e9"),
)


def number(random: Random) -> str:
    return random.choice(NUMBERS)


def text(random: Random) -> str:
    return random.choice((random.choice(TEXTS), random.choice(NUMBERS), random.choice(LISTS)))


def inserted(random: Random, into: str) -> str:
    """A text with a hostile one somewhere inside."""
    at = random.randint(0, len(into))
    return into[:at] + random.choice(TEXTS) + into[at:]


def paths(folder: Path) -> list[str]:
    """Things in `folder` and elsewhere that a path may name; each is made if it can be."""
    folder.mkdir(exist_ok=True)
    made = {
        name: folder / name
        for name in ("directory", "empty", "text", "closed", "loop", "dangling", "fifo", "socket")
    }
    made["directory"].mkdir(exist_ok=True)
    made["empty"].touch()
    made["text"].write_text("nothing of use\n")
    made["closed"].write_text("{}")
    made["closed"].chmod(0)
    with suppress(FileExistsError):
        made["loop"].symlink_to("loop")
        made["dangling"].symlink_to("nowhere/at/all")
        os.mkfifo(made["fifo"])
    # Bound by its bare name: a socket's whole path must be short.
    with suppress(OSError), socket.socket(socket.AF_UNIX) as bound:
        before = os.open(".", os.O_RDONLY)
        os.chdir(folder)
        try:
            bound.bind("socket")
        finally:
            os.fchdir(before)
            os.close(before)
    strange = [
        folder / "new\nline",
        folder / "\x1b[31mred",
        folder / "\u202etxt",
        folder / "\udcff",
    ]
    for file in strange:
        file.touch()
    return [
        *map(str, (*made.values(), *strange)),
        *(str(folder / "missing"), str(folder / "empty" / "below"), str(folder / ("n" * 300))),
        *(str(folder / "/".join("d" * 300)), "x" * 6000, "", ".", ".."),
        *("/dev/null", "/dev/zero", "/dev/full", "/dev/stdin", "/proc/self/mem", "/proc/self/fd"),
    ]
