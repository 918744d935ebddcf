"""Model files of a table's rows, by the converter, as an export would write them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeshuffle.artifact import RUNTIME_OF_FORMAT
from edgeshuffle.converter.export.files import Form, write_models
from edgeshuffle.converter.frontend import to_ir
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import Recipe
from edgeshuffle.runner.bench.plan import Case, Subject
from edgeshuffle.runner.guidelines.networks import to_onnx
from edgeshuffle.runner.guidelines.paper import GUIDELINES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from edgeshuffle.artifact import ModelFile, Precision
    from edgeshuffle.runner.guidelines.blocks import Network
    from edgeshuffle.runner.guidelines.paper import GuidelineName, SizeName

# Of random weights, only the time matters, which does not depend on the ranges.
_RECIPE: Final = Recipe(description="Ranges of one image of noise.", calibrator="minmax")


def build_table(
    name: GuidelineName,
    size: SizeName,
    *,
    precisions: Collection[Precision],
    runtimes: Collection[str],
    folder: Path,
    seed: int,
) -> tuple[Subject, ...]:
    """One for each runtime and precision; what takes turns in it are the rows, in their order.

    Files are written into `folder`. Raises ModelError and PassError.
    """
    guideline = GUIDELINES[name]
    cases: dict[tuple[str, Precision], list[Case]] = {
        (runtime, precision): [] for runtime in runtimes for precision in precisions
    }
    formats = [form for form, runtime in RUNTIME_OF_FORMAT.items() if runtime in runtimes]
    for index, row in enumerate(guideline.rows):
        stem = f"{name}_{size}_{index}"
        network = guideline.network(row, size)
        for file in _files(network, stem, precisions, formats, folder, seed):
            case = Case(file=file, path=folder / file.path, variant=row.name)
            cases[file.runtime, file.precision].append(case)
    return tuple(
        Subject(
            model=f"guidelines {name} {size}",
            manifest_sha256=_digest(found),
            cases=tuple(found),
        )
        for found in cases.values()
    )


def _files(
    network: Network,
    stem: str,
    precisions: Collection[Precision],
    formats: Iterable[str],
    folder: Path,
    seed: int,
) -> tuple[ModelFile, ...]:
    model = to_ir(to_onnx(network, seed))
    run_passes(model)
    forms = []
    if "fp32" in precisions:
        forms.append(Form("fp32", model, None))
    if "int8" in precisions:
        shape = (1, network.block.channels, *network.pixels)
        # Not the numbers that the weights are.
        noise = np.random.default_rng((seed, 1)).standard_normal(shape, dtype=np.float32)
        quantized = quantize(model, [noise], _RECIPE)
        forms.append(Form("int8", quantized.model, quantized.plan))
    return write_models(forms, stem, {name: {} for name in formats}, folder)


def _digest(cases: Iterable[Case]) -> str:
    """There is no manifest: what identifies the files is all of their hashes."""
    return hashlib.sha256("".join(case.file.sha256 for case in cases).encode()).hexdigest()
