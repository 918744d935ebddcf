"""What is counted of a model file's outputs, image by image, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.metrics import none_if_equal, paired_drop, ranks, softmax, standard_error
from edgeshuffle.runner.output_errors import OutputResult, OutputTally, steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgeshuffle.artifact import Manifest, ModelFile

    Array = NDArray[np.float32]
    Outputs = Mapping[str, Sequence[Array]]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model file over all images; shares in percent, `_se` their standard errors.

    `agreement` counts images whose largest class is the reference's. `sqnr_db` is that of the
    output with the least, None where all equal the reference's. `drop` is the reference's top-1
    less this one, in points; its standard error is that of the paired difference.
    `device_agreement` counts images for which a device gives the same largest class as the same
    file does here, `device_difference` is the largest difference of a value, in quantization steps
    of its output for int8. Without labels, too few classes for a top-5, a device, or for what is no
    classifier, values are None.
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
    agreement: float | None
    agreement_se: float | None
    sqnr_db: float | None
    device_agreement: float | None
    device_difference: float | None
    outputs: tuple[OutputResult, ...]


class Tallies:
    """Outputs of every file, image by image, against the reference's.

    They run here, and where there is a device, there, too; then it is what they give there that
    counts, and they are compared with themselves.
    """

    def __init__(
        self, reference: ModelFile, files: Sequence[ModelFile], manifest: Manifest
    ) -> None:
        self._reference = reference
        self._classes = manifest.num_classes
        self._base = _Classes()
        self._n = 0
        floats = files_by_format(files, "fp32")
        self._files = tuple(
            _FileTally(
                file=file,
                beside=floats.get(file.format, reference),
                outputs=[
                    OutputTally(end, step)
                    for end, step in zip(file.outputs, steps(file, manifest), strict=True)
                ],
            )
            for file in files
        )

    def add(self, here: Outputs, there: Outputs, labels: Sequence[int] | None, n: int) -> None:
        """Outputs of `n` images by file; without a device, `there` is empty."""
        self._n += n
        reference = here[self._reference.path]
        classes = self._classes is not None
        logits = reference[0].reshape(n, -1)
        if classes:
            self._base.add(logits, logits, labels)
        ran = there or here
        for tally in self._files:
            path = tally.file.path
            found = ran[path]
            beside = ran.get(tally.beside.path, reference)
            wanted, near = (tally.comparable(values) for values in (reference, beside))
            for output, *values in zip(tally.outputs, wanted, near, found, strict=True):
                output.add(*values)
            if classes:
                tally.classes.add(logits, found[0].reshape(n, -1), labels)
            if there:
                tally.compare(here[path], there[path])
                if classes:
                    tally.classes.compare(here[path][0].reshape(n, -1), found[0].reshape(n, -1))

    @property
    def nothing_to_compare(self) -> tuple[str, ...]:
        """Outputs for which the reference gave only zeros, and another file did not."""
        names = (end.name for end in self._reference.outputs)
        return tuple(
            name
            for index, name in enumerate(names)
            if any(tally.outputs[index].nothing_to_compare for tally in self._files)
        )

    def results(self) -> tuple[Result, ...]:
        """Of all images so far, a file each; raises ValueError where `nothing_to_compare`."""
        return tuple(tally.result(self._base, self._classes, self._n) for tally in self._files)


@dataclass(kw_only=True)
class _Classes:
    """What is kept of each image's logits, so that memory does not grow with the classes."""

    agree: list[bool] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)

    def add(self, reference: Array, output: Array, labels: Sequence[int] | None) -> None:
        """Some images' logits (n, classes) against the reference's."""
        self.agree += (reference.argmax(1) == output.argmax(1)).tolist()
        if labels is not None:
            self.ranks += ranks(output, np.asarray(labels)).tolist()

    def compare(self, here: Array, there: Array) -> None:
        """Some images' logits on a device against the same file's here."""
        self.same += (here.argmax(1) == there.argmax(1)).tolist()

    def top(self, k: int) -> float:
        """Percent of images whose label is among the `k` largest logits."""
        return 100 * float(np.mean(np.array(self.ranks) < k))


@dataclass(frozen=True, kw_only=True)
class _FileTally:
    """What is kept of a file; `beside` is the float file that it is compared with where it ran."""

    file: ModelFile
    beside: ModelFile
    outputs: list[OutputTally]
    classes: _Classes = field(default_factory=_Classes)

    def comparable(self, outputs: Sequence[Array]) -> Sequence[Array]:
        """A float file's outputs, as this file would give them."""
        if not self.file.softmax:
            return outputs
        (logits,) = outputs
        shape = logits.shape
        return [softmax(logits.reshape(len(logits), -1)).reshape(shape).astype(np.float32)]

    def compare(self, here: Sequence[Array], there: Sequence[Array]) -> None:
        """Some images' outputs on a device against the same file's here."""
        for output, one, other in zip(self.outputs, here, there, strict=True):
            output.compare(one, other)

    def result(self, reference: _Classes, classes: int | None, n: int) -> Result:
        """Of all images so far; raises ValueError for an error against a reference of zeros."""
        own = self.classes
        top1 = own.top(1) if own.ranks else None
        drop = drop_se = None
        if own.ranks:
            right, own_right = (np.array(one.ranks) < 1 for one in (reference, own))
            drop, drop_se = paired_drop(right, own_right)
        agreement = 100 * float(np.mean(own.agree)) if own.agree else None
        outputs = tuple(output.result() for output in self.outputs)
        apart = [one.device_difference for one in outputs if one.device_difference is not None]
        return Result(
            file=self.file.path,
            runtime=self.file.runtime,
            precision=self.file.precision,
            n=n,
            top1=top1,
            top1_se=None if top1 is None else standard_error(top1, n),
            top5=own.top(5) if own.ranks and (classes or 0) > 5 else None,
            drop=drop,
            drop_se=drop_se,
            agreement=agreement,
            agreement_se=None if agreement is None else standard_error(agreement, n),
            sqnr_db=none_if_equal(min(output.db for output in self.outputs)),
            device_agreement=100 * float(np.mean(own.same)) if own.same else None,
            device_difference=max(apart, default=None),
            outputs=outputs,
        )
