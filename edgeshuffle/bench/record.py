"""The record of one case: every raw sample and what is needed to trust or doubt it later."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.atomic import atomic_file
from edgeshuffle.device import DeviceInfo
from edgeshuffle.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from edgeshuffle.artifact import Artifact
    from edgeshuffle.bench.plan import Mode

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """Clock in kHz, temperature in thousandths of a degree Celsius, throttle bits, where shown.

    The bits are a Raspberry Pi's: 0 to 3 for under-voltage, capped clock, throttled and soft
    temperature limit now, 16 to 19 for the same since the board was started.
    """

    clock_khz: int | None
    temperature_mc: int | None
    throttled: int | None = None


@dataclass(frozen=True, kw_only=True)
class OperatorTime:
    """Mean time of one operator of the model that the runtime made."""

    name: str
    op: str
    ns: int


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Mean power of the whole board while idle and while inferring, over so many inferences."""

    idle_mw: float
    busy_mw: float
    inferences: int
    seconds: float

    @property
    def mj(self) -> float:
        """Energy an inference of the whole board, in millijoules."""
        return self.busy_mw * self.seconds / self.inferences


@dataclass(frozen=True, kw_only=True)
class Record:
    """One model file's measurement.

    Block i belongs to round i, in which every unfinished case has one block, timed after a few
    inferences that are not kept (`run.SWITCH_SAMPLES`). `before` is right after the warm-up,
    `during` after each block, `after` right after the last one. `rss_before_bytes` is the process
    before it loads the model, with the runtime imported. `cores` are those it was pinned to, () is
    none. `operators` are there where they were asked for, `energy` where the board measures it.
    `finished` is False where the device failed; then `after` and `peak_rss_bytes` may be None.
    `started` is UTC in ISO 8601.
    """

    manifest_sha256: str
    model: str
    device: DeviceInfo
    runtime: str
    runtime_version: str
    precision: str
    file: str
    file_sha256: str
    bytes: int
    threads: int
    seed: int
    mode: Mode
    load_ns: int
    first_ns: int
    warmup_ns: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    rss_before_bytes: int | None
    peak_rss_bytes: int | None
    before: State
    after: State | None
    started: str
    during: tuple[State, ...] = ()
    cores: tuple[int, ...] = ()
    operators: tuple[OperatorTime, ...] = ()
    energy: Energy | None = None
    finished: bool = True
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """One line, without its end."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read what `to_json` wrote; raises ValueError, KeyError or TypeError on anything else."""
        data = json.loads(line)
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']}, not {SCHEMA_VERSION}")
        data["device"] = DeviceInfo(**data["device"])
        data["before"] = State(**data["before"])
        data["after"] = None if data["after"] is None else State(**data["after"])
        data["operators"] = tuple(OperatorTime(**entry) for entry in data["operators"])
        data["energy"] = None if data["energy"] is None else Energy(**data["energy"])
        data["cores"] = tuple(data["cores"])
        data["during"] = tuple(State(**state) for state in data["during"])
        data["warmup_ns"] = tuple(data["warmup_ns"])
        data["blocks"] = tuple(tuple(block) for block in data["blocks"])
        return cls(**data)


def records_folder(artifact: Artifact) -> Path:
    """The folder `bench` beside the artifact's: never inside it, whose files are checksummed."""
    folder = artifact.folder
    if folder.name in ("", ".."):
        folder = folder.resolve()
    return folder.parent / ("bench" if folder.name != "bench" else "bench-records")


@contextmanager
def records_file(artifact: Artifact, now: datetime) -> Iterator[Path]:
    """Yield where to `write`: a new file in the records' folder, which can be written, and is gone
    again if nothing was. Raises ArtifactError.
    """
    home = records_folder(artifact)
    try:
        home.mkdir(exist_ok=True)
        # Only writing tells; better now than after minutes of measuring.
        tempfile.TemporaryFile(dir=home).close()
    except OSError as err:
        raise ArtifactError(
            f"Cannot write {home}: {err.strerror}. Make room or move the artifact elsewhere."
        ) from err
    model = re.sub(r"[^\w.-]+", "_", artifact.manifest.model)
    try:
        yield home / f"{model}-{now:%Y%m%dT%H%M%S.%fZ}.jsonl"
    finally:
        with suppress(OSError):
            home.rmdir()


class Line(Protocol):
    """A record of any kind."""

    def to_json(self) -> str: ...


def write(path: Path, records: Sequence[Line]) -> None:
    """Replace the file by these records, one a line; raises ArtifactError."""
    with atomic_file(path) as temporary:
        temporary.write_text("".join(record.to_json() + "\n" for record in records), "utf-8")
