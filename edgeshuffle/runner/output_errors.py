"""How far each output of a model file is from the float file's, and a device's from those here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.metrics import decibels, energies, none_if_equal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeshuffle.artifact.manifest import Manifest, ModelFile, TensorInfo

    Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class OutputResult:
    """One output of a model file over all images; `shape` is that of an inference, as NCHW.

    `sqnr_db` is the signal to quantization noise ratio against the reference, which runs here, and
    `same_device_db` against the float file of the same runtime where the file ran, or the
    reference where there is none; None where they are equal. `device_difference` is the largest
    difference between a device's values and the same file's here, in quantization steps of the
    output for int8; None without a device.
    """

    name: str
    shape: tuple[int, ...]
    sqnr_db: float | None
    same_device_db: float | None
    device_difference: float | None


class _Ratio:
    """Energies: sums of squares over images and values."""

    def __init__(self) -> None:
        self.signal = self.error = 0.0

    def add(self, reference: Array, output: Array) -> None:
        signal, error = energies(reference, output)
        self.signal += signal
        self.error += error

    @property
    def db(self) -> float:
        return decibels(self.signal, self.error)


class OutputTally:
    """What is kept of one output of a file."""

    def __init__(self, end: TensorInfo, step: float) -> None:
        self._end, self._step = end, step
        self._here, self._beside = _Ratio(), _Ratio()
        self._difference: float | None = None

    def add(self, reference: Array, beside: Array, output: Array) -> None:
        """Some images' values, the reference's, and those of the float file beside this one."""
        self._here.add(reference, output)
        self._beside.add(beside, output)

    def compare(self, here: Array, there: Array) -> None:
        """Some images' values on a device against the same file's here."""
        largest = float(np.abs(here - there).max(initial=0))
        self._difference = max(self._difference or 0.0, largest)

    @property
    def nothing_to_compare(self) -> bool:
        """Whether the reference gave only zeros, and this output did not."""
        return any(not ratio.signal and ratio.error > 0 for ratio in (self._here, self._beside))

    @property
    def db(self) -> float:
        """SQNR against the reference, infinite where they are equal."""
        return self._here.db

    def result(self) -> OutputResult:
        """Of all images so far; raises ValueError where `nothing_to_compare`."""
        apart = self._difference
        return OutputResult(
            name=self._end.name,
            shape=self._end.as_nchw,
            sqnr_db=none_if_equal(self._here.db),
            same_device_db=none_if_equal(self._beside.db),
            device_difference=None if apart is None else apart / self._step,
        )


def steps(file: ModelFile, manifest: Manifest) -> list[float]:
    """The unit of each output: its quantization step, or 1 where there is none."""
    told = (manifest.quantization or {}).get("outputs")
    scales = told if file.precision == "int8" and isinstance(told, dict) else {}
    return [_scale(scales.get(end.name)) for end in file.outputs]


def _scale(entry: object) -> float:
    scale = entry.get("scale") if isinstance(entry, dict) else None
    return float(scale) if isinstance(scale, int | float) and scale > 0 else 1.0
