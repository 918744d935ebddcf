"""Choose the lowering of every file by measuring the candidates on a device."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeshuffle.artifact.lowering import Tried, Tuning
from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.export.files import write_models
from edgeshuffle.converter.lower.measure import measure
from edgeshuffle.converter.lower.targets import candidates
from edgeshuffle.device import DeviceInfo, check_address, open_device
from edgeshuffle.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeshuffle.artifact import ModelFile, Precision
    from edgeshuffle.converter.export.about import About
    from edgeshuffle.converter.export.batch import Batch
    from edgeshuffle.converter.export.files import Form
    from edgeshuffle.converter.export.options import ExportOptions
    from edgeshuffle.converter.lower import Lowering
    from edgeshuffle.converter.lower.measure import Unit
    from edgeshuffle.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The lowering of each format and precision, and what was measured."""

    chosen: Mapping[tuple[str, Precision], Lowering]
    tuning: Tuning

    def choose(self, format_name: str, precision: Precision) -> Lowering:
        """The one with the least cost; none for what was not measured."""
        return self.chosen.get((format_name, precision), {})

    @property
    def notes(self) -> tuple[str, ...]:
        """What was won, by file."""
        found = []
        for format_name, precision in self.chosen:
            tried = [
                one
                for one in self.tuning.tried
                if (one.format, one.precision) == (format_name, precision)
            ]
            best = next((one for one in tried if one.chosen), None)
            if best is None:
                continue
            share = 100 * best.cost / tried[0].cost
            made = ", ".join(best.lowering) or "none"
            found.append(
                f"`tune`: {format_name} {precision} takes {share:.1f} % of the "
                f"{self._what} without a lowering, the best of {len(tried)} ({made})"
            )
        return tuple(found)

    @property
    def _what(self) -> str:
        return "instructions" if self.tuning.unit == "instructions" else "time"


def check_tuning(options: ExportOptions) -> None:
    """Raise UnknownNameError for an address of no device, and where there is nothing to measure."""
    if options.tune is None:
        return
    check_address(options.tune)
    if options.batch == "dynamic":
        raise UnknownNameError(
            "`tune` measures files whose batch is known: leave it out, or give `batch` a number."
        )


def tune(
    forms: Sequence[Form],
    formats: Mapping[str, Mapping[str, str]],
    batch: Batch,
    target: str,
    address: str,
    progress: Progress,
    about: About | None = None,
) -> Tuned:
    """Measure what the target may choose of on the device at an address, as it will be written.

    Of candidates that give the same file, the first is measured. Raises what `write_models`,
    `open_device` and `measure` do.
    """
    chosen: dict[tuple[str, Precision], Lowering] = {}
    tried: list[Tried] = []
    with tempfile.TemporaryDirectory() as folder, open_device(address, progress) as device:
        info = DeviceInfo.of(device.describe())
        device.steady()
        unit: Unit = "instructions"
        for format_name, choices in formats.items():
            for form in forms:
                if form.precision not in EMITTERS[format_name].PRECISIONS:
                    continue
                files = _files(form, {format_name: choices}, batch, target, Path(folder), about)
                chosen[format_name, form.precision] = files[0][0]
                if len(files) == 1:
                    continue
                pairs = [(file, path) for _, file, path in files]
                unit, costs = measure(device, pairs, progress)
                best = min(range(len(files)), key=lambda index: costs[index].value)
                chosen[format_name, form.precision] = files[best][0]
                tried += [
                    Tried(
                        format=format_name,
                        precision=form.precision,
                        lowering={name: tuple(numbers) for name, numbers in lowering.items()},
                        cost=cost.value,
                        quartiles=cost.quartiles,
                        chosen=index == best,
                    )
                    for index, ((lowering, _, _), cost) in enumerate(zip(files, costs, strict=True))
                ]
    return Tuned(chosen=chosen, tuning=Tuning(device=info.cpu, unit=unit, tried=tuple(tried)))


def _files(
    form: Form,
    formats: Mapping[str, Mapping[str, str]],
    batch: Batch,
    target: str,
    folder: Path,
    about: About | None,
) -> list[tuple[Lowering, ModelFile, Path]]:
    """A file for each candidate, the one without a lowering first."""
    (format_name,) = formats
    found = [{}, *(one.lowering for one in candidates(target, format_name, form.precision))]
    made: dict[str, tuple[Lowering, ModelFile, Path]] = {}
    for index, lowering in enumerate(found):

        def choose(_: str, __: Precision, lowering: Lowering = lowering) -> Lowering:
            return lowering

        name = f"candidate_{format_name}_{index}"
        (file,) = write_models([form], name, formats, folder, batch, choose, about)
        made.setdefault(file.sha256, (lowering, file, folder / file.path))
    return list(made.values())
