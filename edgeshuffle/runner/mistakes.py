"""What went wrong where: by class, by picture, and between the float file and the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.metrics import softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from edgeshuffle.artifact import ModelFile

    Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """One class: of its `n` images, `right` were given its label, and `given` of all images.

    `recall` and `precision` are percent, None where there are no such images.
    """

    index: int
    label: str | None
    n: int
    right: int
    given: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How many images of a class were given another one, by index."""

    truth: int
    given: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """An image to which the float reference gives another class; `truth` is None where unknown."""

    image: str
    reference: int
    given: int
    truth: int | None


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """The `number`-th image, and by how much its wrong class is likelier than its own (0 to 1)."""

    number: int
    image: str
    truth: int
    given: int
    margin: float


@dataclass(frozen=True, kw_only=True)
class FileMistakes:
    """Of one file: `classes` that have images or were given, by index, `confusions` the most
    frequent first, `wrong` the worst first; without labels, only `changes`, in the images' order.
    """

    file: str
    runtime: str
    precision: str
    classes: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]
    changes: tuple[Change, ...]
    wrong: tuple[Wrong, ...]


@dataclass
class _Seen:
    """A file's class of each image, and how much likelier it is than the image's own."""

    given: list[int] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)


class Mistakes:
    """Collects every file's labels, image by image, where it ran, and the reference's from here."""

    def __init__(self, reference: ModelFile, files: Sequence[ModelFile]) -> None:
        self._reference = reference
        self._expected: list[int] = []
        self._seen = {file.path: (file, _Seen()) for file in files}
        self._truths: list[int] = []

    def add(
        self,
        expected: Sequence[Array],
        found: Mapping[str, Sequence[Array]],
        labels: Sequence[int] | None,
        n: int,
    ) -> None:
        """Outputs of `n` images: the reference's, and by file."""
        self._expected += _rows(expected, n).argmax(1).tolist()
        self._truths += labels or ()
        for path, (file, seen) in self._seen.items():
            rows = _rows(found[path], n)
            given = rows.argmax(1)
            seen.given += given.tolist()
            if labels is not None:
                shares = rows if file.softmax else softmax(rows)
                images = np.arange(n)
                seen.margins += (shares[images, given] - shares[images, list(labels)]).tolist()

    def results(
        self, names: Callable[[int], str], labels: Sequence[str] | None
    ) -> tuple[FileMistakes, ...]:
        """Of all images so far; `names` are the images' by number."""
        return tuple(
            FileMistakes(
                file=file.path,
                runtime=file.runtime,
                precision=file.precision,
                classes=_classes(self._truths, seen.given, labels),
                confusions=_confusions(self._truths, seen.given),
                changes=tuple(
                    Change(
                        image=names(number),
                        reference=reference,
                        given=given,
                        truth=self._truths[number] if self._truths else None,
                    )
                    for number, (reference, given) in enumerate(
                        zip(self._expected, seen.given, strict=True)
                    )
                    if reference != given
                ),
                wrong=self._wrong(seen, names),
            )
            for file, seen in self._seen.values()
        )

    def _wrong(self, seen: _Seen, names: Callable[[int], str]) -> tuple[Wrong, ...]:
        if not self._truths:
            return ()
        found = [
            Wrong(number=number, image=names(number), truth=truth, given=given, margin=margin)
            for number, (truth, given, margin) in enumerate(
                zip(self._truths, seen.given, seen.margins, strict=True)
            )
            if truth != given
        ]
        return tuple(sorted(found, key=lambda one: (-one.margin, one.number)))


def _rows(outputs: Sequence[Array], n: int) -> Array:
    return outputs[0].reshape(n, -1)


def _classes(
    truths: Sequence[int], given: Sequence[int], labels: Sequence[str] | None
) -> tuple[ClassResult, ...]:
    if not truths:
        return ()
    own, told = Counter(truths), Counter(given)
    right = Counter(truth for truth, one in zip(truths, given, strict=True) if truth == one)
    return tuple(
        ClassResult(
            index=index,
            label=None if labels is None else labels[index],
            n=own[index],
            right=right[index],
            given=told[index],
            recall=_percent(right[index], own[index]),
            precision=_percent(right[index], told[index]),
        )
        for index in sorted(own.keys() | told.keys())
    )


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _confusions(truths: Sequence[int], given: Sequence[int]) -> tuple[Confusion, ...]:
    if not truths:
        return ()
    pairs = Counter((truth, one) for truth, one in zip(truths, given, strict=True) if truth != one)
    return tuple(
        Confusion(truth=truth, given=one, n=n)
        for (truth, one), n in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    )
