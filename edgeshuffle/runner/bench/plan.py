"""What is measured, for how long, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from edgeshuffle.artifact import check_file
from edgeshuffle.runner.files import files_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgeshuffle.artifact import Artifact, ModelFile

Mode = Literal["quick", "full", "sustained"]
# Of all cases together: what a records file may hold (`reading.MAX_BYTES`).
MAX_SAMPLES: Final = 8_000_000


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where and how model files are measured; with `profile`, each operator's time, too, and with
    `cycles`, an estimate of them on an emulated board.

    `cores` is read by `choose_cores`. `minutes` is how long all cases together run in the mode
    `sustained`. Unless `fresh`, a run that was cut off is continued. A device that somebody else
    uses is waited for `wait` seconds.
    """

    device: str = "local"
    threads: int = 1
    cores: str = "fast"
    mode: Mode = "quick"
    minutes: float = 10.0
    profile: bool = False
    cycles: bool = False
    fresh: bool = False
    wait: float = 0.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class BenchOptions(Conditions):
    """What to measure, and how: `runtimes` () is all of them, `against` are the records of a run to
    compare with.
    """

    artifact: Artifact
    runtimes: tuple[str, ...] = ()
    against: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model file and where it lies; `variant` tells it from others of its runtime and
    precision.
    """

    file: ModelFile
    path: Path
    variant: str = ""

    @property
    def name(self) -> str:
        """As people read it: `ort/int8`."""
        return "/".join(filter(None, (self.file.runtime, self.file.precision, self.variant)))

    def check(self) -> None:
        """Raise ArtifactError unless the file is still what it was."""
        check_file(self.path, self.file)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What takes turns; `manifest_sha256` is the identity of all of it."""

    model: str
    manifest_sha256: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How long to measure a case: blocks of `block` inferences until both limits or one is met.

    With `either`, `samples` or `seconds` (of inference) is enough, but `minimum` samples are taken
    in any case, and never more than `most`. `warmup_seconds` bounds the warm-up. Where
    `steady_state`, statistics are of the second half of the blocks only.
    """

    block: int
    samples: int
    seconds: float
    either: bool
    minimum: int
    warmup_seconds: float
    steady_state: bool = False
    most: int = MAX_SAMPLES

    @property
    def counted(self) -> int:
        """How many samples statistics must have."""
        return self.minimum // 2 if self.steady_state else self.minimum

    def share(self, samples: int, seconds: float) -> float:
        """How much is done, 0 to 1; 1 is enough."""
        shares = (samples / self.samples, seconds / self.seconds)
        share = max(shares) if self.either else min(shares)
        return 1.0 if samples >= self.most else min(1.0, share, samples / self.minimum)


SAMPLINGS: Final[dict[Mode, Sampling]] = {
    "quick": Sampling(block=8, samples=128, seconds=10, either=True, minimum=30, warmup_seconds=2),
    "full": Sampling(
        block=32, samples=1024, seconds=60, either=False, minimum=1024, warmup_seconds=10
    ),
    # Its seconds are the user's where `sampling` is asked.
    "sustained": Sampling(
        block=32,
        samples=512,
        seconds=600,
        either=False,
        minimum=512,
        warmup_seconds=2,
        steady_state=True,
    ),
}


def sampling(options: Conditions, cases: int) -> Sampling:
    """How long to measure each of so many cases."""
    chosen = replace(SAMPLINGS[options.mode], most=MAX_SAMPLES // cases)
    if options.mode == "sustained":
        return replace(chosen, seconds=60 * options.minutes / cases)
    return chosen


def plan(options: BenchOptions) -> Subject:
    """A case for every model file of the chosen runtimes.

    Raises UnknownNameError, and ArtifactError where no file is for these runtimes.
    """
    artifact = options.artifact
    return Subject(
        model=artifact.manifest.model,
        manifest_sha256=artifact.manifest_sha256,
        cases=tuple(
            Case(file=file, path=artifact.path(file))
            for file in files_for(artifact, options.runtimes)
        ),
    )


def rounds(cases: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Without end: each round is every case's index, in an order that the seed decides."""
    rng = np.random.default_rng(seed)
    while True:
        yield tuple(int(index) for index in rng.permutation(cases))
