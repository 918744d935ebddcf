"""What must hold of every command, whatever it was given."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from campaign.case import Case, Outcome

DOCUMENTED = frozenset({0, *range(2, 13), 129, 130, 143})
MEMORY = 2 * 2**30
_RUDE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Caches of ONNX Runtime and torch, and our own folder for locks, which is used again.
_KEPT = re.compile(rf"\.ses|torchinductor_.*|edgeshuffle-{os.getuid()}")

Listing = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Failure:
    """What was broken, and where, so that failures of one cause can be counted together."""

    kind: str
    where: str
    detail: str


def judge(case: Case, outcome: Outcome, before: Listing, after: Listing) -> Iterator[Failure]:
    """Everything that is wrong with an outcome."""
    if outcome.signal:
        yield Failure("killed by a signal", str(outcome.signal), _last(outcome.err))
        return
    if "Traceback (most recent call last)" in outcome.err + outcome.out:
        yield Failure("traceback", _origin(outcome.err), _last(outcome.err))
        return
    if outcome.code not in DOCUMENTED:
        yield Failure("undocumented exit code", _origin(outcome.trace), _last(outcome.err))
    yield from _streams(case, outcome)
    yield from _files(case, outcome, before, after)
    for check in (case.right if outcome.code == 0 else None, case.after):
        wrong = check(outcome) if check is not None else None
        if wrong:
            yield Failure("wrong answer", case.arguments[0], wrong)


def listing(folder: Path) -> Listing:
    """Size and time of everything below a folder, hidden files included; folders have neither."""
    found: Listing = {}
    waiting = [folder]
    while waiting:
        for path in waiting.pop().iterdir():
            state = path.lstat()
            name = str(path.relative_to(folder))
            if path.is_dir() and not path.is_symlink():
                found[name] = (0, 0)
                waiting.append(path)
            else:
                found[name] = (state.st_size, state.st_mtime_ns)
    return found


def alive(root: Path) -> list[int]:
    """Processes on this machine that a command under `root` left behind."""
    mark = f"EDGESHUFFLE_CAMPAIGN_CASE={root}\0".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if mark in (process / "environ").read_bytes():
                    found.append(int(process.name))
    return found


def leftovers(folder: Path) -> list[str]:
    """What should not be in a folder for temporary files any more."""
    return sorted(path.name for path in folder.iterdir() if not _KEPT.fullmatch(path.name))


def strict_json(text: str) -> object:
    """One JSON value; raises ValueError for NaN, infinities and anything after it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def _streams(case: Case, outcome: Outcome) -> Iterator[Failure]:
    lines = outcome.err.splitlines()
    command = case.arguments[0] if case.arguments else ""
    for name, text in (("stdout", outcome.out), ("stderr", outcome.err)):
        rude = next((c for c in text if c not in "\n\t" and _rude(c)), None)
        if rude is not None:
            at = text.index(rude)
            yield Failure(
                f"control character on {name}", command, repr(text[max(0, at - 60) : at + 20])
            )
    if outcome.code in (129, 143, 0):
        strange = [line for line in lines if not line.startswith("edgeshuffle: ")]
        if strange:
            yield Failure("noise on stderr", f"{command}, exit {outcome.code}", strange[0])
    elif outcome.code == 2 and outcome.err.startswith("Usage: "):
        pass
    elif len(lines) != 1 or not lines[0].startswith("edgeshuffle: "):
        said = next((line for line in lines if not line.startswith("edgeshuffle: ")), "")
        yield Failure(
            "stderr is not one line of ours", f"{command}, exit {outcome.code}", said or str(lines)
        )
    if outcome.code == 0 and "--json" in case.arguments and "--help" not in case.arguments:
        try:
            strict_json(outcome.out)
        except (ValueError, RecursionError) as err:
            yield Failure("stdout is not one JSON value", command, f"{err}: {outcome.out[:80]!r}")


def _files(case: Case, outcome: Outcome, before: Listing, after: Listing) -> Iterator[Failure]:
    command = case.arguments[0] if case.arguments else ""
    for name in sorted(before.keys() - after.keys()):
        if not _allowed(name, case.changes):
            yield Failure("a file is gone", command, name)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name] and not _allowed(name, case.changes):
            yield Failure("a file was changed", command, name)
    allowed = (*case.changes, *(case.writes if outcome.code in (0, 11) else ()), "bench")
    for name in sorted(after.keys() - before.keys()):
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if hidden or not _allowed(name, allowed):
            yield Failure("something half-written is left", command, name)
            return


def _allowed(name: str, names: Mapping[str, object] | tuple[str, ...]) -> bool:
    return any(
        name == one or name.startswith(f"{one}/") or one.startswith(f"{name}/") for one in names
    )


def _rude(letter: str) -> bool:
    return unicodedata.category(letter) in _RUDE or letter in _BIDI


def _origin(err: str) -> str:
    """The last place in our own code that a traceback names, and the error's type."""
    places = re.findall(r'File "[^"]*/(edgeshuffle/[^"]+)", line (\d+), in (\S+)', err)
    kind = _last(err).partition(":")[0]
    return f"{places[-1][0]}:{places[-1][2]}: {kind}" if places else kind


def _last(err: str) -> str:
    lines = [line for line in err.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing on stderr"
