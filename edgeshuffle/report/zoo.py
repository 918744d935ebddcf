"""The family side by side: tables and plots."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from edgeshuffle.report.plot import Axis, Curves, Point, Series
from edgeshuffle.report.table import Column, Interval, ResultTable, Worded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from edgeshuffle.converter.zoo.cards import Published
    from edgeshuffle.report.table import Cell
    from edgeshuffle.runner.bench.stats import Estimate
    from edgeshuffle.runner.zoo import Member, Zoo
    from edgeshuffle.runner.zoo.own import OwnResult

# Who says how accurate a network is; plots take the first who does.
BY: Final = ("paper", "torchvision", "megvii", "paddleclas")
_NAME: Final = Column(key="model", heading="network", kind="text")
_P50: Final = Column(key="p50_ns", heading="p50", unit="ms", divisor=1e6, spread="interval")
_COUNT: Final = Column(
    key="instructions", heading="instructions", unit="M", divisor=1e6, form=".2f"
)
_TOP1: Final = Axis(name="published top-1", unit="%")


def tables(zoo: Zoo) -> list[ResultTable]:
    """What is counted and published, and below what was measured, a table each device."""
    return [_family(zoo), *_measured(zoo)]


def _family(zoo: Zoo) -> ResultTable:
    cells: list[tuple[Column, Callable[[Member], Cell]]] = [
        (_NAME, lambda member: member.name),
        (
            Column(key="parameters", heading="parameters", unit="M", divisor=1e6, form=".2f"),
            lambda member: member.card.parameters,
        ),
        (
            Column(key="macs", heading="MACs", unit="M", divisor=1e6, form=".1f"),
            lambda member: member.card.macs,
        ),
        (
            Column(key="published_mflops", heading="MFLOPs, published", form=".0f"),
            lambda member: _said(member, "mflops"),
        ),
        (
            Column(key="memory_access", heading="memory access", unit="M", divisor=1e6, form=".2f"),
            lambda member: member.card.memory_access,
        ),
        (
            Column(key="macs_per_access", heading="MACs per access", form=".1f"),
            lambda member: member.card.macs / member.card.memory_access,
        ),
        *((_top1_column(by), partial(_said, what="top1", by=by)) for by in BY),
        (
            Column(key="gpu_batches_per_second", heading="GPU batches/s", form=".0f"),
            lambda member: _said(member, "gpu_batches_per_second"),
        ),
        (
            Column(key="arm_images_per_second", heading="ARM images/s", form=".1f"),
            lambda member: _said(member, "arm_images_per_second"),
        ),
    ]
    lines = [member.line for member in zoo.members]
    return ResultTable(
        key="family",
        title=_title(zoo),
        columns=tuple(column for column, _ in cells),
        rows=tuple(tuple(cell(member) for _, cell in cells) for member in zoo.members),
        notes=tuple(_notes(zoo)),
        rules=frozenset(
            index for index, (one, other) in enumerate(pairwise(lines)) if one != other
        ),
    )


def _top1_column(by: str) -> Column:
    return Column(key=f"top1_{by}", heading=by, unit="%", form=".1f", apart=by == BY[0])


def _said(member: Member, what: str, by: str | None = None) -> float | None:
    """The first of what is published, or what one source says."""
    found = (getattr(one, what) for one in member.card.published if by in (None, one.by))
    return next((value for value in found if value is not None), None)


def _title(zoo: Zoo) -> str:
    sizes = {(m.card.preprocess.crop[0], m.card.num_classes) for m in zoo.members}
    told = ", ".join(f"{side}x{side} pixels, {classes} classes" for side, classes in sorted(sizes))
    return f"The ShuffleNet family at {told}"


def _notes(zoo: Zoo) -> Iterator[str]:
    yield (
        "MACs and memory access (arXiv:1807.11164, equations 1 and 2: elements read and written) "
        "are of convolutions and fully connected layers, an image."
    )
    found = [one for member in zoo.members for one in member.card.published]
    sources = {
        by: "; ".join(dict.fromkeys(one.source for one in found if one.by == by)) for by in BY
    }
    told = [f"{by}: {said}" for by, said in sources.items() if said]
    if told:
        yield (
            "Published top-1 on ImageNet-1k, by who trained the network. Each trained another way, "
            f"so that columns do not compare. {'. '.join(told)}."
        )
    if any(one.arm_images_per_second for one in found):
        yield "The paper's GPU is a GTX 1080 Ti, its ARM one thread of a Snapdragon 810."


def _measured(zoo: Zoo) -> Iterator[ResultTable]:
    """A table for each device and number of threads."""
    found: dict[tuple[object, ...], list[tuple[Member, OwnResult]]] = {}
    for member in zoo.members:
        for own in member.own:
            device = own.device
            key = (device.cpu, device.hostname, device.label, own.threads)
            found.setdefault(key, []).append((member, own))
    for rows in found.values():
        yield _on_device(rows)


def _on_device(rows: Sequence[tuple[Member, OwnResult]]) -> ResultTable:
    results = [own for _, own in rows]
    first, *_ = results
    device = first.device
    cells: list[tuple[Column, Callable[[OwnResult], Cell]]] = [
        (Column(key="file", heading="file", kind="text"), lambda own: own.measured.name),
        (Column(key="device", heading="device", shown=False), lambda own: own.device.cpu),
        (Column(key="hostname", heading="host", shown=False), lambda own: own.device.hostname),
        (Column(key="threads", heading="threads", shown=False), lambda own: own.threads),
        (_COUNT, lambda own: own.instructions)
        if device.emulated
        else (_P50, lambda own: _interval(own.p50)),
        (Column(key="verdict", heading="verdict", kind="text"), lambda own: str(own.verdict)),
        (Column(key="num_classes", heading="image, classes"), _work),
        (Column(key="image", heading="image", shown=False), lambda own: _shape(own.image)),
        (Column(key="artifact", heading="artifact", kind="text"), lambda own: str(own.artifact)),
    ]
    at = "" if device.hostname is None else f" ({device.hostname})"
    threads = "1 thread" if first.threads == 1 else f"{first.threads} threads"
    return ResultTable(
        key="measured",
        title=f"Measured on {device.cpu}{at}, {threads}: {device.label}",
        columns=(_NAME, *(column for column, _ in cells)),
        rows=tuple((member.name, *(cell(own) for _, cell in cells)) for member, own in rows),
        notes=tuple(_measured_notes(results)),
    )


def _work(own: OwnResult) -> Cell:
    classes = "-" if own.classes is None else str(own.classes)
    return Worded(value=own.classes, text=f"{_shape(own.image[1:])}, {classes}")


def _shape(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def _interval(p50: Estimate | None) -> Cell:
    return None if p50 is None else Interval(value=p50.value, low=p50.low, high=p50.high)


def _measured_notes(results: Sequence[OwnResult]) -> Iterator[str]:
    if any(own.p50 is not None for own in results):
        yield "Under each p50: its 95 % confidence interval."
    if not all(own.full_size for own in results):
        yield "Of another image size or other classes than the table's, times are of other work."
    for own in results:
        measured = own.measured
        if measured.batch > 1:
            yield f"{measured.name} in {own.artifact}: an inference takes {measured.batch} images."


def plots(zoo: Zoo) -> list[Curves]:
    """Published accuracy against what a network costs: in MACs, on the paper's ARM, and here."""
    made = (
        Curves(
            title="Accuracy against MACs",
            x=Axis(name="MACs", unit="M", log=True),
            y=_TOP1,
            series=_series(zoo, lambda member: member.card.macs / 1e6),
        ),
        Curves(
            title="Accuracy against the paper's latency on ARM",
            x=Axis(name="latency on a Snapdragon 810", unit="ms", log=True),
            y=_TOP1,
            series=_series(zoo, _arm_ms),
        ),
        Curves(
            title="Accuracy against latency measured here",
            x=Axis(name="p50 an image", unit="ms", log=True),
            y=_TOP1,
            series=_own_series(zoo, _p50_ms),
        ),
        Curves(
            title="Accuracy against instructions counted here",
            x=Axis(name="instructions an image", unit="M", log=True),
            y=_TOP1,
            series=_own_series(zoo, _instructions),
        ),
    )
    return [plot for plot in made if plot.series]


def _arm_ms(member: Member) -> float | None:
    images = _said(member, "arm_images_per_second")
    return None if images is None else 1000 / images


def _p50_ms(own: OwnResult) -> float | None:
    return None if own.p50 is None else own.p50.value / 1e6


def _instructions(own: OwnResult) -> float | None:
    return None if own.instructions is None else own.instructions / 1e6


def _series(zoo: Zoo, cost: Callable[[Member], float | None]) -> tuple[Series, ...]:
    """Members of one line, by who says how accurate they are."""
    found: dict[str, list[Point]] = {}
    for member in zoo.members:
        said, x = _accuracy(member), cost(member)
        if said is not None and x is not None:
            name = f"{member.line}, {said.by}"
            found.setdefault(name, []).append(Point(x=x, y=said.top1, label=member.size))
    return tuple(Series(name=name, points=tuple(points)) for name, points in found.items())


def _own_series(zoo: Zoo, cost: Callable[[OwnResult], float | None]) -> tuple[Series, ...]:
    """What was measured of the same work and is to be believed, by file, device and who says how
    accurate it is.
    """
    found: dict[str, list[Point]] = {}
    for member in zoo.members:
        said = _accuracy(member)
        for own in member.own:
            x = cost(own)
            if said is None or x is None or not (own.full_size and own.verdict.valid):
                continue
            threads = f", {own.threads} threads" if own.threads > 1 else ""
            name = f"{own.measured.name}, {own.device.cpu}{threads}; top-1: {said.by}"
            found.setdefault(name, []).append(
                Point(x=x / own.measured.batch, y=said.top1, label=member.name)
            )
    return tuple(Series(name=name, points=tuple(points)) for name, points in found.items())


def _accuracy(member: Member) -> Published | None:
    """Of those who say how accurate it is, the first of `BY`."""
    return min(member.card.published, key=lambda one: BY.index(one.by), default=None)
