"""One layer of all files: how far each format is from float, and the two from each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgeshuffle.errors import ModelError
from edgeshuffle.metrics import none_if_equal
from edgeshuffle.runner.operators import only_moves

if TYPE_CHECKING:
    from edgeshuffle.runner.compare.quantization_error import QuantizationError


@dataclass(frozen=True, kw_only=True)
class ComparedLayer:
    """One value, by its name in the float ONNX file.

    `sqnr_db` has a file format's signal to quantization noise ratio, None without an error; a
    format with an error in a value that is zero throughout has no ratio, and is wrong. `steps` is
    the largest difference of the two formats in quantization steps, and `differing` the percentage
    of elements that differ: None for floats, or where there is one format only. `moves` tells that
    no new numbers are computed.
    """

    name: str
    operator: str
    moves: bool
    sqnr_db: dict[str, float | None]
    steps: int | None
    differing: float | None
    wrong: str | None


class StepDifference:
    """Differences of the formats' integers, over images."""

    def __init__(self) -> None:
        self.largest = self.differing = self.count = 0

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        """One image's int8 values of both formats, of equal shape."""
        steps = np.abs(one.astype(np.int16) - other)
        self.largest = max(self.largest, int(steps.max()))
        self.differing += int(np.count_nonzero(steps))
        self.count += steps.size


@dataclass(frozen=True, kw_only=True)
class LayerErrors:
    """What is measured of a layer: its error against float by format, and between the formats."""

    name: str
    operator: str
    of_float: dict[str, QuantizationError]
    between: StepDifference = field(default_factory=StepDifference)

    def judged(self, min_sqnr: float, max_steps: int) -> ComparedLayer:
        """The layer, wrong with less than `min_sqnr` dB or more than `max_steps`.

        Raises ModelError for values that are no finite numbers.
        """
        ratios = {kind: self._ratio(kind, error) for kind, error in self.of_float.items()}
        wrong = [
            f"{kind} has {db:.1f} dB of {min_sqnr:g}"
            if math.isfinite(db)
            else f"{kind} is not zero where float is zero throughout"
            for kind, db in ratios.items()
            if db < min_sqnr
        ]
        if self.between.largest > max_steps:
            wrong.append(f"the formats are {self.between.largest} steps apart, of {max_steps}")
        both = self.between.count > 0
        return ComparedLayer(
            name=self.name,
            operator=self.operator,
            moves=only_moves(self.operator),
            sqnr_db={kind: none_if_equal(db) for kind, db in ratios.items() if db > -math.inf},
            steps=self.between.largest if both else None,
            differing=100 * self.between.differing / self.between.count if both else None,
            wrong="; ".join(wrong) or None,
        )

    def _ratio(self, kind: str, error: QuantizationError) -> float:
        try:
            return error.sqnr_db()
        except ValueError as err:
            raise ModelError(
                f"The layer '{self.name}' holds NaN or infinity in the float ONNX file or the "
                f"{kind} file. Check the weights, and the mean and std; then export it again."
            ) from err
