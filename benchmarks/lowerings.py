"""Measure the candidates of `edgeshuffle/converter/lower/costs.json`, and write the costs there.

    python benchmarks/lowerings.py --device emulated://pi4 --device emulated://pi5

Networks have random weights, as neither instructions nor times depend on them. What is not measured
now, other devices, networks and formats, stays as it is in the table; a lowering that is given
(`--add`) becomes a candidate. Emulated boards take about 10 s a file; for `local`, which is kept as
`x86`, nothing else may run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from edgeshuffle.converter.emit import EMITTERS
from edgeshuffle.converter.export.files import Form, write_models
from edgeshuffle.converter.export.request import InputChoice, ZooModel
from edgeshuffle.converter.export.source import open_source
from edgeshuffle.converter.lower.measure import measure
from edgeshuffle.converter.lower.targets import COSTS, Candidate, read_costs
from edgeshuffle.converter.passes import run_passes
from edgeshuffle.converter.quant import quantize
from edgeshuffle.converter.quant.recipe import Recipe
from edgeshuffle.converter.zoo import Wanted
from edgeshuffle.device import open_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeshuffle.artifact import Precision

NETWORKS: Final = {
    "shufflenet_v2_x0_5": Wanted(weights="random", variant="v2", width=0.5),
    "shufflenet_v2_x1_0": Wanted(weights="random", variant="v2", width=1.0),
    "shufflenet_v2_x1_5": Wanted(weights="random", variant="v2", width=1.5),
    "shufflenet_v2_x2_0": Wanted(weights="random", variant="v2", width=2.0),
    "shufflenet_v2_se_x1_0": Wanted(weights="random", variant="v2-se", width=1.0),
    "shufflenet_v1_g3_x1_0": Wanted(weights="random", variant="v1", width=1.0, groups=3),
}
RECIPE: Final = Recipe(description="Ranges of one image of noise.", calibrator="minmax")
PACKAGES: Final = ("onnxruntime", "ai-edge-litert")


def main() -> int:
    options = _options()
    candidates = [*read_costs().candidates, *map(_candidate, options.add)]
    chosen = [
        candidate
        for candidate in candidates
        if f"{candidate.format}.{candidate.precision}" in options.kind
        and (not options.only_added or not (candidate.costs and candidate.lowering))
    ]
    for name in options.network:
        forms = _forms(NETWORKS[name])
        with tempfile.TemporaryDirectory() as folder:
            files = list(_files(forms, chosen, Path(folder)))
            for address in options.device:
                processor = address.partition("://")[2] or "x86"
                for candidate, cost in zip(chosen, _costs(address, chosen, files), strict=True):
                    candidate.costs.setdefault(processor, {})[name] = cost
                    print(f"{name} {processor} {_shown(candidate)}: {cost}", flush=True)
                _write(candidates)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = [f"{form}.{precision}" for form in EMITTERS for precision in EMITTERS[form].PRECISIONS]
    parser.add_argument("--device", action="append", required=True)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--kind", nargs="+", choices=kinds, default=kinds)
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="KIND:JSON",
        help='tflite.int8:{"pool_padding": []}',
    )
    parser.add_argument("--only-added", action="store_true")
    return parser.parse_args()


def _candidate(text: str) -> Candidate:
    kind, _, lowering = text.partition(":")
    form, precision = kind.split(".")
    numbers = {name: tuple(given) for name, given in json.loads(lowering).items()}
    return Candidate(format=form, precision=precision, lowering=numbers, costs={})


def _forms(wanted: Wanted) -> dict[str, Form]:
    """By precision."""
    anything = InputChoice(resolution=None, channels=None, mean=None, std=None)
    model = open_source(ZooModel(wanted=wanted), anything).model
    run_passes(model)
    shape = cast("tuple[int, ...]", tuple(model.graph.inputs[0].shape or ()))
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    quantized = quantize(model, [noise], RECIPE)
    return {
        "fp32": Form("fp32", model, None),
        "fp16": Form("fp16", model, None),
        "int8": Form("int8", quantized.model, quantized.plan),
    }


def _files(
    forms: dict[str, Form], chosen: Sequence[Candidate], folder: Path
) -> Iterator[tuple[Any, Path]]:
    for index, candidate in enumerate(chosen):
        lowering = candidate.lowering

        def choose(_: str, __: Precision, lowering: dict[str, Any] = lowering) -> dict[str, Any]:
            return lowering

        form = forms[candidate.precision]
        (file,) = write_models([form], f"c{index}", {candidate.format: {}}, folder, choose=choose)
        yield file, folder / file.path


def _costs(
    address: str, chosen: Sequence[Candidate], files: Sequence[tuple[Any, Path]]
) -> Iterator[float]:
    """In their order; times are shares of that of the same kind of file without a lowering."""
    with open_device(address) as device:
        device.steady()
        unit, costs = measure(device, files, lambda *_: None)
    plain = {
        (candidate.format, candidate.precision): cost.value
        for candidate, cost in zip(chosen, costs, strict=True)
        if not candidate.lowering
    }
    for candidate, cost in zip(chosen, costs, strict=True):
        if unit == "instructions":
            yield int(cost.value)
        else:
            yield round(cost.value / plain[candidate.format, candidate.precision], 3)


def _shown(candidate: Candidate) -> str:
    return f"{candidate.format}.{candidate.precision} {json.dumps(candidate.lowering)}"


def _write(candidates: Sequence[Candidate]) -> None:
    """One candidate a line."""
    runtimes = {name: version(name) for name in PACKAGES}
    rows = [
        json.dumps(
            {
                "format": one.format,
                "precision": one.precision,
                "lowering": one.lowering,
                "costs": {key: one.costs[key] for key in sorted(one.costs)},
            }
        )
        for one in candidates
        if one.costs
    ]
    body = ",\n  ".join(rows)
    text = f'{{\n "runtimes": {json.dumps(runtimes)},\n "candidates": [\n  {body}\n ]\n}}\n'
    COSTS.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
