"""Where an inference's time goes, or its instructions: by kind of operator and by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.progress import silent
from edgeshuffle.runner.bench.cores import choose_cores
from edgeshuffle.runner.profile.measure import Measuring, measure
from edgeshuffle.runner.profile.results import ProfiledFile, ProfileReport
from edgeshuffle.runner.profile.subjects import subjects

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.artifact import Artifact, Precision
    from edgeshuffle.progress import Progress

__all__ = ["ProfileOptions", "ProfileReport", "ProfiledFile", "profile"]


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """What to profile and where: artifacts, and .onnx and .tflite files.

    `runtimes` () is all of them, `precision` None both. A device that somebody else uses is waited
    for `wait` seconds. `seed` decides the input and the order. `cycles` estimates them, too, on an
    emulated board.
    """

    targets: tuple[Artifact | Path, ...]
    device: str = "local"
    runtimes: tuple[str, ...] = ()
    precision: Precision | None = None
    threads: int = 1
    wait: float = 0.0
    seed: int = 0
    cycles: bool = False


def profile(options: ProfileOptions, progress: Progress | None = None) -> ProfileReport:
    """Measure what each layer of every model file costs: time, or instructions where emulated.

    `progress` is called with a stage, and how much of how much is done.

    Raises UnknownNameError (device, threads where instructions are counted), ArtifactError (no
    such file), ModelError (a file that cannot be read), MissingExtraError,
    RuntimeUnavailableError and DeviceError.
    """
    report = progress or silent
    files = subjects(options.targets, options.runtimes, options.precision)
    with open_device(options.device, report) as device:
        device.steady(options.wait)
        described = device.describe()
        info = DeviceInfo.of(described)
        info.must_measure()
        if options.cycles:
            device.prepare_cycles()
        if info.counted and options.threads != 1:
            raise UnknownNameError("Instructions are counted with one thread: leave out `threads`.")
        cores = () if info.emulated else choose_cores("fast", described.clusters, options.threads)
        measuring = Measuring(
            device=device,
            counts=info.counted,
            cycles=options.cycles,
            threads=options.threads,
            cores=cores,
            seed=options.seed,
            progress=report,
        )
        return ProfileReport(
            device=info,
            threads=options.threads,
            unit="instructions" if info.counted else "ns",
            files=tuple(measure(measuring, file) for file in files),
        )
