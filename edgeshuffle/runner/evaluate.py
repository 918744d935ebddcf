"""Accuracy of an artifact's model files: against labels, and against its own float model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeshuffle.dataset.artifact_images import evaluation_images
from edgeshuffle.device import DeviceInfo, open_device
from edgeshuffle.device.session import open_agent
from edgeshuffle.errors import DataError, ModelError
from edgeshuffle.host.atomic import new_folder, refuse_used
from edgeshuffle.host.workers import Workers, core_count
from edgeshuffle.progress import silent
from edgeshuffle.runner.batches import in_batches
from edgeshuffle.runner.files import files_for, float_reference
from edgeshuffle.runner.here import Here, as_read, file_shapes
from edgeshuffle.runner.mistakes import Mistakes
from edgeshuffle.runner.tally import Result, Tallies
from edgeshuffle.runner.wrong_pictures import write_wrong_pictures

__all__ = ["EvaluateOptions", "Evaluation", "Result", "evaluate"]

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeshuffle.artifact import Artifact, ModelFile
    from edgeshuffle.device.session import AgentSession
    from edgeshuffle.progress import Progress
    from edgeshuffle.runner.here import Outputs
    from edgeshuffle.runner.mistakes import FileMistakes


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate. `data` None is the demo's test images; `runtimes` () is all of them.

    Where runtimes have to be put on a device that somebody else uses, `wait` seconds are waited.
    Without `labelled`, and of what is no classifier, labels are not looked at: only agreement of
    classifiers and SQNR of all outputs are measured.
    `class_order` is `index` or `sorted`: how class folders are told apart. With `per_class`, it is
    told of every file what it took for what; the `worst` pictures that the INT8 file is wrong about
    are copied into a new folder `wrong`.
    """

    artifact: Artifact
    data: Path | None = None
    labelled: bool = True
    class_order: str | None = None
    per_class: bool = False
    wrong: Path | None = None
    worst: int = 20
    device: str = "local"
    runtimes: tuple[str, ...] = ()
    limit: int | None = None
    threads: int = 1
    wait: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Results of one artifact on one set of `n` images; `reference` as `runtime/precision`.

    `device` is None where everything ran in this process. `manifest_sha256` is of the manifest that
    was loaded, and `files_sha256` are those of the files that ran, checked again after they did.
    `class_order` is the rule by which folders became labels: `names`, `index` or `sorted`; None
    where labels did not come from folders. `notes` are what the user should know of it.
    `mistakes` are told where they were asked for, `labels` being the names of classes by index.
    """

    model: str
    device: DeviceInfo | None
    manifest_sha256: str
    files_sha256: dict[str, str]
    data: str
    data_sha256: str
    n: int
    class_order: str | None
    notes: tuple[str, ...]
    reference: str
    results: tuple[Result, ...]
    labels: tuple[str, ...] | None = None
    mistakes: tuple[FileMistakes, ...] = ()

    @property
    def examined(self) -> FileMistakes | None:
        """Of the file that matters most: the first INT8 one, or where there is none, the last."""
        quantized = [one for one in self.mistakes if one.precision == "int8"]
        return next(iter(quantized or self.mistakes[-1:]), None)

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def evaluate(options: EvaluateOptions, progress: Progress | None = None) -> Evaluation:
    """Run every model file on every image; each image is decoded once, and files with a batch take
    as many at a time, the last ones filled up. Images are spread over the cores.

    The reference is the artifact's float ONNX file or, without one, its float TFLite file. It runs
    here, also where the files are evaluated on a device; they then run here too, to be compared.
    `progress` is called with a stage, and how much of how much is done.

    Raises DataError (images), ArtifactError (no file to run or to compare with, or one that was
    changed meanwhile, or gives other outputs than the manifest says), ModelError (values that are
    no finite numbers, or a reference that gives only zeros), MissingExtraError,
    RuntimeUnavailableError, and for a device UnknownNameError and DeviceError.
    """
    artifact, report = options.artifact, progress or silent
    reference = float_reference(artifact)
    files = files_for(artifact, options.runtimes)
    labelled = options.labelled and artifact.manifest.num_classes is not None
    data, images = evaluation_images(
        artifact,
        options.data,
        labelled=labelled,
        class_order=options.class_order,
        limit=options.limit,
    )
    labels = images.labels if labelled else None
    mistakes = _mistakes(options, reference, files, labelled=labels is not None)
    here = Here(artifact, (reference, *files), options.threads)
    tallies = Tallies(reference, files, artifact.manifest)
    batch = max(file.batch for file in (reference, *files))
    by_path = {file.path: file for file in files}
    done = 0

    def look(start: int) -> tuple[np.ndarray, Outputs]:
        stop = min(start + batch, len(images))
        some = np.concatenate([images[index] for index in range(start, stop)])
        return some, here.run(some)

    with ExitStack() as stack:
        info, there = _on_device(options, files, stack, report)
        workers = stack.enter_context(Workers(max(1, core_count() // options.threads)))
        for some, expected in workers.stream(look, range(0, len(images), batch)):
            found = {
                path: _run_there(
                    by_path[path], run, as_read(by_path[path], artifact.manifest.preprocess, some)
                )
                for path, run in there.items()
            }
            for path, outputs in (*expected.items(), *found.items()):
                if not all(np.isfinite(values).all() for values in outputs):
                    raise ModelError(
                        f"{artifact.folder / path} gives values that are no finite numbers for "
                        f"image {done} of {data}. Check the weights, and the mean and std."
                    )
            known = None if labels is None else labels[done : done + len(some)].tolist()
            tallies.add(expected, found, known, len(some))
            if mistakes is not None:
                mistakes.add(expected[reference.path], found or expected, known, len(some))
            done += len(some)
            report("evaluate", done, len(images))
    artifact.check_files((reference, *files))
    if tallies.nothing_to_compare:
        zeros = ", ".join(f"'{name}'" for name in tallies.nothing_to_compare)
        raise ModelError(
            f"{artifact.path(reference)} gives only zeros in {zeros} for every image, so nothing "
            "can be compared with it. Check the weights."
        )
    order = images.class_order if labels is not None else None
    names = artifact.labels
    told = () if mistakes is None else mistakes.results(images.pictures.name, names)
    evaluation = Evaluation(
        model=artifact.manifest.model,
        device=info,
        manifest_sha256=artifact.manifest_sha256,
        files_sha256={file.path: file.sha256 for file in (reference, *files)},
        data=str(data),
        data_sha256=images.digest,
        n=len(images),
        class_order=None if order is None else order.rule,
        notes=() if order is None or order.note is None else (order.note,),
        reference=f"{reference.runtime}/{reference.precision}",
        results=tallies.results(),
        labels=names if told else None,
        mistakes=told,
    )
    if options.wrong is not None and evaluation.examined is not None:
        with new_folder(options.wrong) as folder:
            shown = evaluation.examined.wrong[: options.worst]
            write_wrong_pictures(folder, shown, images.pictures, names)
    return evaluation


def _mistakes(
    options: EvaluateOptions, reference: ModelFile, files: Sequence[ModelFile], *, labelled: bool
) -> Mistakes | None:
    """Where mistakes were asked for; raises ModelError and DataError where there are none to tell,
    and ArtifactError for a folder that cannot be made.
    """
    if not options.per_class and options.wrong is None:
        return None
    if options.artifact.manifest.num_classes is None:
        raise ModelError(
            f"{options.artifact.folder} is no classifier, so it has no classes to tell of. Leave "
            "out `per_class` and `wrong`."
        )
    if options.wrong is not None:
        refuse_used(options.wrong)
        if not labelled:
            raise DataError("Without labels, nobody knows what is wrong. Leave out `wrong`.")
    return Mistakes(reference, files)


def _on_device(
    options: EvaluateOptions, files: Sequence[ModelFile], stack: ExitStack, progress: Progress
) -> tuple[DeviceInfo | None, dict[str, AgentSession]]:
    """What the device is, and every file loaded there."""
    if options.device == "local":
        return None, {}
    device = stack.enter_context(open_device(options.device, progress))
    device.set_up(options.wait)
    path = options.artifact.path
    return DeviceInfo.of(device.describe()), {
        file.path: open_agent(device, file, path(file), threads=options.threads) for file in files
    }


def _run_there(file: ModelFile, session: AgentSession, images: np.ndarray) -> list[np.ndarray]:
    return in_batches(lambda part: session.run(part, file_shapes(file)), images, file.batch)
