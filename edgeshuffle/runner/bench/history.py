"""What the events of a run add up to: one record a model file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.runner.bench.events import (
    Block,
    Counted,
    Ended,
    Finished,
    Loaded,
    Resumed,
    Run,
    WarmedUp,
)
from edgeshuffle.runner.bench.record import Count, Record
from edgeshuffle.untrusted import UntrustedError

if TYPE_CHECKING:
    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.runner.bench.events import Event, MeasuredFile
    from edgeshuffle.runner.bench.record import State

# What reports show of a count, and what else there may be.
SHOWN: Final = ("instructions", "dot", "widening_mac", "fmla")
OTHERS: Final = ("simd_load", "simd_store", "simd_other", "load", "store", "branch", "other")


@dataclass(kw_only=True)
class FileHistory:
    """What happened to one model file; of a run that was resumed, the start is the first one's."""

    file: MeasuredFile
    loaded: Loaded | None = None
    started: str = ""
    warmed_up: WarmedUp | None = None
    before: State | None = None
    blocks: list[tuple[int, ...]] = field(default_factory=list)
    during: list[State] = field(default_factory=list)
    spent_ns: int = 0
    finished: Finished | None = None
    counted: Counted | None = None

    def add(self, event: Loaded | WarmedUp | Block | Finished | Counted) -> None:
        """Raises UntrustedError for an event that cannot follow those before."""
        if self.finished is not None and isinstance(event, Block):
            raise UntrustedError("a block follows the end of its model file")
        if isinstance(event, Loaded):
            self._load(event)
        elif isinstance(event, WarmedUp):
            self.warmed_up = event
            self.before = self.before or event.state
        elif isinstance(event, Block):
            self._block(event)
        elif isinstance(event, Finished):
            if not self.blocks:
                raise UntrustedError("a model file is finished without a block")
            self.finished = event
        else:
            self.counted = event

    def _load(self, event: Loaded) -> None:
        if self.loaded and self.loaded.runtime_version != event.runtime_version:
            raise UntrustedError("a run goes on with another version of a runtime")
        self.loaded = event
        self.started = self.started or event.started

    def _block(self, event: Block) -> None:
        if self.loaded is None or self.warmed_up is None:
            raise UntrustedError("a block comes before its model is loaded and warmed up")
        # An interrupted write may be made again.
        if event.index < len(self.blocks):
            return
        if event.index > len(self.blocks):
            raise UntrustedError(f"block {len(self.blocks)} is missing")
        if not event.samples_ns or (self.blocks and len(event.samples_ns) != len(self.blocks[0])):
            raise UntrustedError("blocks are empty or of unequal length")
        self.blocks.append(event.samples_ns)
        self.during.append(event.state)
        self.spent_ns += sum(event.samples_ns)


class History:
    """A run so far: `run` is None until its first event."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.files: list[FileHistory] = []
        self.ended: str | None = None
        self.resumed = 0

    def add(self, event: Event) -> None:
        """Take the next event in; raises UntrustedError for one that cannot follow."""
        if isinstance(event, Run):
            if self.run is not None:
                raise UntrustedError("a second run begins")
            self.run = event
            self.files = [FileHistory(file=file) for file in event.files]
        elif self.run is None:
            raise UntrustedError("it does not begin with what is measured")
        elif isinstance(event, Ended):
            self.ended = event.reason
        elif isinstance(event, Resumed):
            self.resumed += 1
        elif isinstance(event, Counted) != (self.run.kind == "instructions"):
            raise UntrustedError("times and instructions are mixed")
        elif event.file >= len(self.files):
            raise UntrustedError(f"there is no model file {event.file}")
        else:
            if isinstance(event, Counted):
                check_counts(event.inferences, self.run.device)
            self.files[event.file].add(event)

    @property
    def complete(self) -> bool:
        """Whether every model file has all that was to be measured."""
        return all(file.finished or file.counted for file in self.files)

    def records(self) -> tuple[Record, ...]:
        """Of every file with a block, in the run's order."""
        return tuple(self._record(file) for file in self.files if file.blocks)

    def counts(self) -> tuple[Count, ...]:
        """Of every file that was counted, in the run's order."""
        return tuple(
            Count(
                **self._measurement(file, file.counted.runtime_version),
                inferences=file.counted.inferences,
                cycles=file.counted.cycles,
            )
            for file in self.files
            if file.counted
        )

    def _record(self, file: FileHistory) -> Record:
        run, end = self._run(), file.finished
        assert file.loaded is not None
        assert file.warmed_up is not None
        assert file.before is not None
        return Record(
            **self._measurement(file, file.loaded.runtime_version),
            bytes=file.file.bytes,
            threads=run.threads,
            cores=run.cores,
            seed=run.seed,
            mode=run.mode,
            minutes=run.minutes,
            load_ns=file.loaded.load_ns,
            first_ns=file.loaded.first_ns,
            warmup_ns=file.warmed_up.warmup_ns,
            blocks=tuple(file.blocks),
            rss_before_bytes=file.loaded.rss_before_bytes,
            peak_rss_bytes=end.peak_rss_bytes if end else None,
            before=file.before,
            during=tuple(file.during),
            operators=end.operators if end else (),
            energy=end.energy if end else None,
            after=end.state if end else None,
            started=file.started,
            finished=end is not None,
        )

    def _measurement(self, file: FileHistory, runtime_version: str) -> dict[str, Any]:
        """The fields of a `Measurement`."""
        run = self._run()
        return {
            "manifest_sha256": run.manifest_sha256,
            "model": run.model,
            "device": run.device,
            "runtime": file.file.runtime,
            "runtime_version": runtime_version,
            "precision": file.file.precision,
            "file": file.file.path,
            "file_sha256": file.file.sha256,
            "batch": file.file.batch,
            "variant": file.file.variant,
        }

    def _run(self) -> Run:
        assert self.run is not None
        return self.run


def check_blocks(blocks: tuple[tuple[int, ...], ...]) -> None:
    """Raises UntrustedError for no samples and for blocks of unequal length."""
    if not blocks or not blocks[0] or {len(block) for block in blocks} != {len(blocks[0])}:
        raise UntrustedError("blocks are empty or of unequal length")


def check_counts(inferences: tuple[dict[str, int], ...], device: DeviceInfo) -> None:
    """Raises UntrustedError for an inference without what reports show, or with something else."""
    if bool(inferences) != device.counted:
        raise UntrustedError("instructions are there where they are not counted, or are missing")
    for counts in inferences:
        if not set(SHOWN) <= counts.keys() <= {*SHOWN, *OTHERS} or not counts["instructions"]:
            raise UntrustedError(f"an inference has not the counts of {', '.join(SHOWN)}")
