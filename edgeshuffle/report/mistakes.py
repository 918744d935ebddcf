"""Where `evaluate` found mistakes: by class, which class for which, and what INT8 changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.report.table import Column, ResultTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.evaluate import Evaluation
    from edgeshuffle.runner.mistakes import FileMistakes

# Beside a name of some length, so many numbers of pictures fit 80 columns.
_MATRIX: Final = 12


def mistake_tables(found: Evaluation, worst: int) -> Iterator[ResultTable]:
    """Of many classes and pictures, the `worst`."""
    examined = found.examined
    if examined is None:
        return
    if examined.classes:
        yield _by_class(found, worst)
        if len(examined.classes) <= _MATRIX:
            yield _matrix(found, examined)
        elif examined.confusions:
            yield _confusions(found, examined, worst)
    yield _changed(found)
    if examined.changes:
        yield _changes(found, examined, worst)


def _by_class(found: Evaluation, worst: int) -> ResultTable:
    results = [{one.index: one for one in file.classes} for file in found.mistakes]
    own = sorted({one.index for file in found.mistakes for one in file.classes if one.n})

    def least(index: int) -> float:
        return min(classes[index].recall or 0.0 for classes in results)

    shown = sorted(sorted(own, key=lambda index: (least(index), index))[:worst])
    several = len(own) > worst
    return ResultTable(
        key="classes",
        title=f"Top-1 by class, {f'the {worst} worst of {len(own)}' if several else 'percent'}",
        columns=(
            Column(key="class", heading="Class", kind="text"),
            Column(key="n", heading="Images"),
            *(
                Column(key=f"top1_{index}", heading=f"{file.runtime} {file.precision}", form=".1f")
                for index, file in enumerate(found.mistakes)
            ),
        ),
        rows=tuple(
            (
                _name(index, found),
                results[0][index].n,
                *(classes[index].recall for classes in results),
            )
            for index in shown
        ),
    )


def _matrix(found: Evaluation, file: FileMistakes) -> ResultTable:
    counts = {(one.truth, one.given): one.n for one in file.confusions}
    counts |= {(one.index, one.index): one.right for one in file.classes}
    indices = [one.index for one in file.classes]
    return ResultTable(
        key="confusion",
        title=f"Images of each class (rows) by the class that {_file(file)} gives (columns)",
        columns=(
            Column(key="class", heading="Class", kind="text"),
            *(Column(key=f"given_{index}", heading=str(index)) for index in indices),
        ),
        rows=tuple(
            (
                f"{index} {_name(index, found)}" if found.labels else _name(index, found),
                *(counts.get((index, given), 0) for given in indices),
            )
            for index in indices
        ),
    )


def _confusions(found: Evaluation, file: FileMistakes, worst: int) -> ResultTable:
    more = len(file.confusions) - worst
    return ResultTable(
        key="confusions",
        title=f"What {_file(file)} takes for what",
        columns=(
            Column(key="class", heading="Class", kind="text"),
            Column(key="given", heading="taken for", kind="text"),
            Column(key="n", heading="Images"),
        ),
        rows=tuple(
            (_name(one.truth, found), _name(one.given, found), one.n)
            for one in file.confusions[:worst]
        ),
        notes=(f"And {more} more pairs (--json has all).",) if more > 0 else (),
    )


def _changed(found: Evaluation) -> ResultTable:
    labelled = any(file.classes for file in found.mistakes)
    known = (
        Column(key="lost", heading="right before"),
        Column(key="won", heading="right now"),
    )
    return ResultTable(
        key="changed",
        title=f"Images with another label than from {found.reference}",
        columns=(
            Column(key="model", heading="Model", kind="text"),
            Column(key="changed", heading="Images"),
            *(known if labelled else ()),
        ),
        rows=tuple(
            (_file(file), len(file.changes), *(_balance(file) if labelled else ()))
            for file in found.mistakes
        ),
    )


def _balance(file: FileMistakes) -> tuple[int, int]:
    lost = sum(one.reference == one.truth for one in file.changes)
    return lost, sum(one.given == one.truth for one in file.changes)


def _changes(found: Evaluation, file: FileMistakes, worst: int) -> ResultTable:
    labelled = bool(file.classes)
    more = len(file.changes) - worst
    rows: list[tuple[Cell, ...]] = [
        (
            one.image.rsplit("/", 1)[-1],
            *((_name(one.truth, found),) if one.truth is not None else ()),
            _name(one.reference, found),
            _name(one.given, found),
        )
        for one in file.changes[:worst]
    ]
    return ResultTable(
        key="changes",
        title=f"What {_file(file)} changed",
        columns=(
            Column(key="image", heading="Image", kind="text"),
            *((Column(key="class", heading="Class", kind="text"),) if labelled else ()),
            Column(key="reference", heading=found.reference, kind="text"),
            Column(key="given", heading=_file(file), kind="text"),
        ),
        rows=tuple(rows),
        notes=(f"And {more} more (--json has all).",) if more > 0 else (),
    )


def _name(index: int, found: Evaluation) -> str:
    return f"class {index}" if found.labels is None else found.labels[index]


def _file(file: FileMistakes) -> str:
    return f"{file.runtime} {file.precision}"
