"""Accuracy of an artifact's model files: against labels, and against its own float model."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeshuffle.device import open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import ArtifactError, DataError, ModelError, RuntimeUnavailableError
from edgeshuffle.images import open_images
from edgeshuffle.metrics import decibels, energies, ranks, standard_error
from edgeshuffle.packaged import TEST_IMAGES
from edgeshuffle.runtime import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgeshuffle.artifact import Artifact, ModelFile
    from edgeshuffle.device import DeviceInfo
    from edgeshuffle.device.session import AgentSession
    from edgeshuffle.images import ImageSet
    from edgeshuffle.runtime import Session

    Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate. `data` None is the demo's test images; `runtimes` () is all of them.

    Where runtimes have to be put on a device that somebody else uses, `wait` seconds are waited.
    Without `labelled`, labels are not looked at: only agreement and SQNR are measured.
    """

    artifact: Artifact
    data: Path | None = None
    labelled: bool = True
    device: str = "local"
    runtimes: tuple[str, ...] = ()
    limit: int | None = None
    threads: int = 1
    wait: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model file over all images; shares in percent, `_se` their standard errors.

    `agreement` counts images whose largest class is the reference's. `sqnr_db` is None where the
    logits equal the reference's. `drop` is the reference's top-1 less this one, in points; its
    standard error is that of the paired difference. `device_agreement` counts images for which a
    device gives the same largest class as the same file does here, `device_difference` is the
    largest difference of a logit, in quantization steps of the output for int8. Without labels, too
    few classes for a top-5, or a device, values are None.
    """

    file: str
    runtime: str
    precision: str
    n: int
    top1: float | None
    top1_se: float | None
    top5: float | None
    drop: float | None
    drop_se: float | None
    agreement: float
    agreement_se: float
    sqnr_db: float | None
    device_agreement: float | None
    device_difference: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Results of one artifact on one set of `n` images; `reference` as `runtime/precision`.

    `device` is None where everything ran in this process.
    """

    model: str
    device: DeviceInfo | None
    manifest_sha256: str
    data: str
    data_sha256: str
    n: int
    reference: str
    results: tuple[Result, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def evaluate(options: EvaluateOptions, progress: Progress | None = None) -> Evaluation:
    """Run every model file on every image; each image is decoded once.

    The reference is the artifact's float ONNX file or, without one, its float TFLite file. It runs
    here, also where the files are evaluated on a device; they then run here too, to be compared.
    `progress` is called with the number of images done and the number of all.

    Raises DataError (images), ArtifactError (no file to run or to compare with), ModelError
    (logits that are no finite numbers), MissingExtraError, RuntimeUnavailableError, and for a
    device UnknownNameError and DeviceError.
    """
    artifact = options.artifact
    reference = _reference(artifact)
    files = _chosen(artifact, options.runtimes)
    images = _images(options)
    labels = images.labels if options.labelled else None
    here = {
        file.path: _session(file, artifact.path(file), options.threads)
        for file in (reference, *files)
    }
    base = _Tally()
    tallies = {file.path: _Tally() for file in files}
    with ExitStack() as stack:
        info, there = _on_device(options, files, stack)
        for index, image in enumerate(images):
            label = None if labels is None else int(labels[index])
            expected = {path: session.run(image) for path, session in here.items()}
            base.add(expected[reference.path], expected[reference.path], label)
            for path, tally in tallies.items():
                output = expected[path]
                if there:
                    output = there[path].run(image, len(output))
                if not np.isfinite(output).all():
                    raise ModelError(
                        f"{artifact.folder / path} gives logits that are no finite numbers for "
                        f"image {index} of {_data(options)}. Check the weights, and the mean and "
                        "std."
                    )
                tally.add(expected[reference.path], output, label)
                if there:
                    tally.compare(expected[path], output)
            if progress is not None:
                progress(index + 1, len(images))
    classes = artifact.manifest.num_classes
    return Evaluation(
        model=artifact.manifest.model,
        device=info,
        manifest_sha256=artifact.manifest_sha256,
        data=str(_data(options)),
        data_sha256=images.digest,
        n=len(images),
        reference=f"{reference.runtime}/{reference.precision}",
        results=tuple(
            tallies[file.path].result(file, base, classes, _step(artifact, file)) for file in files
        ),
    )


@dataclass(kw_only=True)
class _Tally:
    """What is kept of each image's logits, so that memory does not grow with the classes."""

    agree: list[bool] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    signal: float = 0.0
    noise: float = 0.0
    same: list[bool] = field(default_factory=list)
    difference: float = 0.0

    def add(
        self, reference: NDArray[np.float32], output: NDArray[np.float32], label: int | None
    ) -> None:
        self.agree.append(bool(np.argmax(reference) == np.argmax(output)))
        if label is not None:
            self.ranks.append(int(ranks(output[None], np.array([label]))[0]))
        signal, noise = energies(reference, output)
        self.signal += signal
        self.noise += noise

    def compare(self, here: NDArray[np.float32], there: NDArray[np.float32]) -> None:
        self.same.append(bool(np.argmax(here) == np.argmax(there)))
        self.difference = max(self.difference, float(np.abs(here - there).max()))

    def top(self, k: int) -> float:
        return 100 * float(np.mean(np.array(self.ranks) < k))

    def result(self, file: ModelFile, reference: _Tally, classes: int, step: float) -> Result:
        n = len(self.agree)
        agreement = 100 * float(np.mean(self.agree))
        sqnr = decibels(self.signal, self.noise)
        top1 = self.top(1) if self.ranks else None
        lost = (np.array(reference.ranks) < 1).astype(int) - (np.array(self.ranks) < 1)
        return Result(
            file=file.path,
            runtime=file.runtime,
            precision=file.precision,
            n=n,
            top1=top1,
            top1_se=None if top1 is None else standard_error(top1, n),
            top5=self.top(5) if self.ranks and classes > 5 else None,
            drop=100 * float(lost.mean()) if self.ranks else None,
            drop_se=100 * float(lost.std()) / math.sqrt(n) if self.ranks else None,
            agreement=agreement,
            agreement_se=standard_error(agreement, n),
            sqnr_db=sqnr if math.isfinite(sqnr) else None,
            device_agreement=100 * float(np.mean(self.same)) if self.same else None,
            device_difference=self.difference / step if self.same else None,
        )


def _images(options: EvaluateOptions) -> ImageSet:
    path, artifact = _data(options), options.artifact
    if not options.labelled:
        return open_images(path, artifact.manifest.preprocess, limit=options.limit)
    return open_images(
        path,
        artifact.manifest.preprocess,
        num_classes=artifact.manifest.num_classes,
        class_names=artifact.labels,
        labelled=True,
        limit=options.limit,
    )


def _step(artifact: Artifact, file: ModelFile) -> float:
    """The unit of a file's logits: its quantization step, or 1 where there is none."""
    if file.precision == "fp32" or artifact.manifest.quantization is None:
        return 1.0
    return float(artifact.manifest.quantization["output"]["scale"])


def _chosen(artifact: Artifact, runtimes: tuple[str, ...]) -> list[ModelFile]:
    for name in runtimes:
        # Unknown names and missing packages are reported as such, not as missing files.
        RUNTIMES[name]
    files = [f for f in artifact.manifest.files if not runtimes or f.runtime in runtimes]
    if not files:
        raise ArtifactError(
            f"{artifact.folder} has no model file for {' or '.join(runtimes) or 'any runtime'}. "
            "Export it again with that format."
        )
    return files


def _on_device(
    options: EvaluateOptions, files: list[ModelFile], stack: ExitStack
) -> tuple[DeviceInfo | None, dict[str, AgentSession]]:
    """What the device is, and every file loaded there."""
    if options.device == "local":
        return None, {}
    device = stack.enter_context(open_device(options.device))
    device.set_up(options.wait)
    path = options.artifact.path
    return device.info(), {
        file.path: open_agent(device, file, path(file), threads=options.threads) for file in files
    }


def _session(file: ModelFile, path: Path, threads: int) -> Session:
    runtime = RUNTIMES[file.runtime]
    try:
        return runtime.open_session(str(path), threads)
    # Each runtime has error types of its own for a model that it refuses.
    except Exception as err:
        reason = (str(err).splitlines() or [repr(err)])[0]
        raise RuntimeUnavailableError(
            f"{file.runtime} cannot load {path} ({reason}). Export it again, or leave this runtime "
            "out with --runtime."
        ) from err


def _reference(artifact: Artifact) -> ModelFile:
    floats = {file.format: file for file in artifact.manifest.files if file.precision == "fp32"}
    reference = floats.get("onnx", floats.get("tflite"))
    if reference is None:
        raise ArtifactError(
            f"{artifact.folder} has no float model file to compare with. Export it again."
        )
    return reference


def _data(options: EvaluateOptions) -> Path:
    if options.data is not None:
        return options.data
    if options.artifact.manifest.source.get("kind") != "demo":
        raise DataError(
            f"{options.artifact.folder} was not made from the demo weights, so there are no images "
            "for it. Give --data DIR or --data FILE.npz."
        )
    return TEST_IMAGES
