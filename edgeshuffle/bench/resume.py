"""A run that lost its device is continued by the next one that would measure the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeshuffle.bench.record import Record, records_folder
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.bench.plan import BenchOptions
    from edgeshuffle.device import DeviceInfo


def read_records(path: Path) -> tuple[Record, ...]:
    """The records of a JSONL file; raises ArtifactError for anything else."""
    try:
        records = tuple(Record.from_json(line) for line in path.read_text("utf-8").splitlines())
    except FileNotFoundError as err:
        raise ArtifactError(f"There is no file {path}.") from err
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ArtifactError(
            f"{path} holds no records of times ({err}). Give a .jsonl file that `edgeshuffle "
            "bench` wrote."
        ) from err
    if not records:
        raise ArtifactError(f"{path} is empty.")
    return records


def broken_off(
    options: BenchOptions, info: DeviceInfo, cores: Sequence[int]
) -> tuple[Path, tuple[Record, ...]] | None:
    """The newest records of this artifact, if they broke off and are of the same measurement."""
    files = sorted(
        records_folder(options.artifact).glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns
    )
    if not files:
        return None
    try:
        records = read_records(files[-1])
    except ArtifactError:
        return None
    same = (options.artifact.manifest_sha256, options.threads, options.mode, options.seed)
    if all(record.finished for record in records) or any(
        (record.manifest_sha256, record.threads, record.mode, record.seed) != same
        or record.cores != tuple(cores)
        or record.device.identity != info.identity
        for record in records
    ):
        return None
    return files[-1], records
