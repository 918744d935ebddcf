"""What is counted of a model file's logits, image by image, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.metrics import decibels, energies, none_if_equal, ranks, standard_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgeshuffle.artifact import Manifest, ModelFile

    Logits = Mapping[str, NDArray[np.float32]]


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


class Tallies:
    """Logits of every file, image by image, against the reference's.

    They run here, and where there is a device, there, too; then it is what they give there that
    counts, and they are compared with themselves.
    """

    def __init__(self, reference: ModelFile, files: Sequence[ModelFile]) -> None:
        self._reference = reference
        self._base = _Tally()
        self._files = tuple((file, _Tally()) for file in files)

    def add(self, here: Logits, there: Logits, label: int | None) -> None:
        """One image's logits (classes,) by file; without a device, `there` is empty."""
        expected = here[self._reference.path]
        self._base.add(expected, expected, label)
        for file, tally in self._files:
            tally.add(expected, (there or here)[file.path], label)
            if there:
                tally.compare(here[file.path], there[file.path])

    @property
    def nothing_to_compare(self) -> bool:
        """Whether the reference gave only zeros, and another file did not."""
        return not self._base.signal and any(tally.error for _, tally in self._files)

    def results(self, manifest: Manifest) -> tuple[Result, ...]:
        """Of all images so far, a file each; raises ValueError where `nothing_to_compare`."""
        return tuple(
            tally.result(file, self._base, manifest.num_classes, _logit_step(file, manifest))
            for file, tally in self._files
        )


def _logit_step(file: ModelFile, manifest: Manifest) -> float:
    """The unit of a file's logits: its quantization step, or 1 where there is none."""
    if file.precision == "fp32" or manifest.quantization is None:
        return 1.0
    return float(manifest.quantization["outputs"][file.outputs[0].name]["scale"])


@dataclass(kw_only=True)
class _Tally:
    """What is kept of each image's logits, so that memory does not grow with the classes.

    `signal` and `error` are energies: sums of squares over images and classes.
    """

    agree: list[bool] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    signal: float = 0.0
    error: float = 0.0
    same: list[bool] = field(default_factory=list)
    difference: float = 0.0

    def add(
        self, reference: NDArray[np.float32], output: NDArray[np.float32], label: int | None
    ) -> None:
        """One image's logits (classes,) against the reference's."""
        self.agree.append(bool(np.argmax(reference) == np.argmax(output)))
        if label is not None:
            self.ranks.append(int(ranks(output[None], np.array([label]))[0]))
        signal, error = energies(reference, output)
        self.signal += signal
        self.error += error

    def compare(self, here: NDArray[np.float32], there: NDArray[np.float32]) -> None:
        """One image's logits on a device against the same file's here."""
        self.same.append(bool(np.argmax(here) == np.argmax(there)))
        self.difference = max(self.difference, float(np.abs(here - there).max()))

    def top(self, k: int) -> float:
        """Percent of images whose label is among the `k` largest logits."""
        return 100 * float(np.mean(np.array(self.ranks) < k))

    def result(
        self, file: ModelFile, reference: _Tally, classes: int | None, step: float
    ) -> Result:
        """Of all images so far; raises ValueError for an error against a reference of zeros."""
        n = len(self.agree)
        agreement = 100 * float(np.mean(self.agree))
        sqnr = decibels(self.signal, self.error)
        top1 = self.top(1) if self.ranks else None
        lost = (np.array(reference.ranks) < 1).astype(int) - (np.array(self.ranks) < 1)
        return Result(
            file=file.path,
            runtime=file.runtime,
            precision=file.precision,
            n=n,
            top1=top1,
            top1_se=None if top1 is None else standard_error(top1, n),
            top5=self.top(5) if self.ranks and (classes or 0) > 5 else None,
            drop=100 * float(lost.mean()) if self.ranks else None,
            drop_se=100 * float(lost.std()) / math.sqrt(n) if self.ranks else None,
            agreement=agreement,
            agreement_se=standard_error(agreement, n),
            sqnr_db=none_if_equal(sqnr),
            device_agreement=100 * float(np.mean(self.same)) if self.same else None,
            device_difference=self.difference / step if self.same else None,
        )
