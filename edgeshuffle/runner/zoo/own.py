"""What was measured of artifacts of the family, from the records that `bench` kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeshuffle.artifact import MANIFEST, Artifact
from edgeshuffle.converter.zoo.cards import card_names, load_card
from edgeshuffle.errors import ArtifactError
from edgeshuffle.runner.bench.journal import records_folder
from edgeshuffle.runner.bench.reading import read_run
from edgeshuffle.runner.bench.results import CountedCase, MeasuredCase, replay
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.runner.bench.events import Run
    from edgeshuffle.runner.bench.record import Measurement
    from edgeshuffle.runner.bench.stats import Estimate
    from edgeshuffle.runner.bench.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class OwnResult:
    """One model file of an artifact on one device: `p50`, in nanoseconds an inference, or, on an
    emulated device, `instructions`.

    `full_size` tells whether it reads images of the card's size and has as many classes, so that
    what is published of the network is of the same work.
    """

    model: str
    artifact: Path
    records: Path
    image: tuple[int, ...]
    classes: int | None
    full_size: bool
    measured: Measurement
    threads: int
    verdict: Verdict
    p50: Estimate | None = None
    instructions: int | None = None

    @property
    def device(self) -> DeviceInfo:
        """Where it was measured."""
        return self.measured.device

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        p50 = self.p50
        return {
            "artifact": str(self.artifact),
            "records": str(self.records),
            "file": self.measured.file,
            "runtime": self.measured.runtime,
            "precision": self.measured.precision,
            "batch": self.measured.batch,
            "threads": self.threads,
            "cpu": self.device.cpu,
            "hostname": self.device.hostname,
            "device_label": self.device.label,
            "image": list(self.image),
            "num_classes": self.classes,
            "full_size": self.full_size,
            "p50_ms": None
            if p50 is None
            else {
                name: None if value is None else value / 1e6
                for name, value in (("value", p50.value), ("low", p50.low), ("high", p50.high))
            },
            "instructions": self.instructions,
            "verdict": str(self.verdict),
            "reasons": list(self.verdict.reasons),
        }


def own_results(folders: Sequence[Path], root: Path, notes: list[str]) -> Iterator[OwnResult]:
    """The newest result of every file of the artifacts in `folders`, or else of all under `root`.

    Of each device and number of threads. What cannot be read under `root` is noted; raises
    ArtifactError for one of `folders` that is no artifact.
    """
    artifacts = [Artifact.load(folder) for folder in folders] or _under(root, notes)
    for artifact in artifacts:
        if artifact.manifest.model in card_names():
            yield from _of_artifact(artifact, notes)


def _under(root: Path, notes: list[str]) -> list[Artifact]:
    found = []
    for path in sorted(root.glob(f"[!.]*/{MANIFEST}")):
        try:
            found.append(Artifact.load(path.parent))
        except ArtifactError as err:
            notes.append(quoted(f"{path.parent} is left out: {err}", 1000))
    return found


def _of_artifact(artifact: Artifact, notes: list[str]) -> Iterator[OwnResult]:
    manifest = artifact.manifest
    card = load_card(manifest.model)
    full_size = (
        manifest.num_classes == card.num_classes
        and manifest.preprocess.shape[1:] == card.preprocess.crop
    )
    seen: set[object] = set()
    for path, run in _runs(artifact):
        try:
            cases = replay(path).cases
        except ArtifactError as err:
            notes.append(quoted(f"{path} is left out: {err}", 1000))
            continue
        for case in cases:
            measured = case.record if isinstance(case, MeasuredCase) else case.count
            device = measured.device
            key = (device.hostname, device.cpu, device.machine, run.threads, measured.name)
            if key in seen or (isinstance(case, CountedCase) and case.count.instructions is None):
                continue
            seen.add(key)
            yield OwnResult(
                model=card.name,
                artifact=artifact.folder,
                records=path,
                image=manifest.preprocess.shape,
                classes=manifest.num_classes,
                full_size=full_size,
                measured=measured,
                threads=run.threads,
                verdict=case.verdict,
                p50=case.statistics.p50 if isinstance(case, MeasuredCase) else None,
                instructions=case.count.instructions if isinstance(case, CountedCase) else None,
            )


def _runs(artifact: Artifact) -> Iterator[tuple[Path, Run]]:
    """Records of the artifact as it is now, the newest first."""
    found = []
    for path in records_folder(artifact).glob("*.jsonl"):
        run = read_run(path)
        if run is not None and run.manifest_sha256 == artifact.manifest_sha256:
            found.append((run.started, path, run))
    for _, path, run in sorted(found, key=lambda one: one[:2], reverse=True):
        yield path, run
