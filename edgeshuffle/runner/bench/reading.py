"""Records files, read strictly: each line is an event or the file is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench.events import MAX_LINE, Run, from_line
from edgeshuffle.runner.bench.history import History, check_blocks, check_counts
from edgeshuffle.runner.bench.record import Count, Record
from edgeshuffle.untrusted import UntrustedError, decode, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

# More than `run.MAX_SAMPLES` take.
MAX_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a records file holds: `records` of times or `counts` of instructions, never both.

    `missing` names the model files that had no sample yet when the run ended.
    """

    records: tuple[Record, ...] = ()
    counts: tuple[Count, ...] = ()
    missing: tuple[str, ...] = ()
    continued: bool = False


def read_measured(path: Path) -> Measured:
    """What a bench kept; raises ArtifactError for anything else."""
    if not path.exists():
        raise ArtifactError(f"There is no file {path}.")
    try:
        return _measured(path)
    except (UntrustedError, OSError) as err:
        reason = (err.strerror if isinstance(err, OSError) else None) or str(err)
        raise ArtifactError(
            f"{path} holds no records of a bench ({reason}). Give a .jsonl file that `edgeshuffle "
            "bench` wrote."
        ) from err


def read_history(file: BinaryIO) -> tuple[History, int]:
    """The run of an open file, and the length of its whole lines in bytes.

    A last line without its end was being written when the writer was ended, and does not count.
    Raises UntrustedError and OSError.
    """
    history, whole, number = History(), 0, 0
    while (line := file.readline(MAX_LINE + 1)).endswith(b"\n"):
        number += 1
        whole += len(line)
        if whole > MAX_BYTES:
            raise UntrustedError(f"more than {MAX_BYTES} bytes")
        try:
            history.add(from_line(line))
        except UntrustedError as err:
            raise UntrustedError(f"line {number}: {err}") from err
    if len(line) > MAX_LINE:
        raise UntrustedError(f"line {number + 1}: more than {MAX_LINE} bytes")
    return history, whole


def read_run(path: Path) -> Run | None:
    """What the first line says; None where the file holds no run."""
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_LINE + 1)
        event = from_line(line) if line.endswith(b"\n") else None
    except (UntrustedError, OSError):
        return None
    return event if isinstance(event, Run) else None


def measured_of(history: History) -> Measured:
    """What a run added up to."""
    missing = [one.file for one in history.files if not one.blocks and not one.counted]
    return Measured(
        records=history.records(),
        counts=history.counts(),
        missing=tuple(file.name for file in missing),
        continued=history.resumed > 0,
    )


def _measured(path: Path) -> Measured:
    # A pipe would be waited for.
    if not path.is_file():
        raise UntrustedError("it is no file")
    with path.open("rb") as file:
        first = file.readline(MAX_LINE + 1)
        # Before version 2, each line was a whole record.
        if first.startswith(b'{"run":') or not first.strip():
            file.seek(0)
            history, _ = read_history(file)
            if history.run is None:
                raise UntrustedError("it is empty")
            found = measured_of(history)
        else:
            found = _version_1(read_bounded(path))
    if not found.records and not found.counts:
        raise UntrustedError("it has no samples")
    return found


@dataclass(frozen=True, kw_only=True)
class _Version1:
    schema_version: Any = None
    inferences: Any = None


def _version_1(raw: bytes) -> Measured:
    kept: list[Record | Count] = []
    for number, line in enumerate(raw.splitlines(), 1):
        try:
            kept.append(_line_of_version_1(line))
        except UntrustedError as err:
            raise UntrustedError(f"line {number}: {err}") from err
    records = tuple(one for one in kept if isinstance(one, Record))
    counts = tuple(one for one in kept if isinstance(one, Count))
    if records and counts:
        raise UntrustedError("times and instructions are mixed")
    return Measured(records=records, counts=counts)


def _line_of_version_1(line: bytes) -> Record | Count:
    kind = decode(line, _Version1)
    if kind.inferences is not None:
        count = decode(line, Count)
        check_counts(count.inferences, count.device)
        return count
    if kind.schema_version != 1:
        raise UntrustedError(f"schema version {kind.schema_version!r:.20}, not 1 or 2")
    record = decode(line, Record)
    check_blocks(record.blocks)
    return record
