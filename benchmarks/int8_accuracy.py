#!/usr/bin/env python3
r"""INT8 accuracy side by side: our recipes, onnxruntime.quantization's calibrators, and NNCF.

All start from the same weights and the same calibration images, and run on the same test images;
agreement and SQNR are against the float network.

    python benchmarks/int8_accuracy.py --weights FILE --calib FILE.npz --test FILE.npz \
        [--mean r,g,b --std r,g,b] [--limit N] [--nncf-python peers/nncf/bin/python]

With --odd, `accurate` and `fast` are calibrated with images that are grey, blurred or few, with
those of --other made smaller, and with none, instead.

Without options: the packaged demo. ONNX Runtime's entropy calibrator keeps every activation of
every image, and is left out where it would take more than 8 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
import onnxruntime
from odd_calibration import odd_sets
from static_quantization import affordable, quantize, simplify

from edgeshuffle.converter.export import ExportOptions, export
from edgeshuffle.converter.export.resolve import resolve
from edgeshuffle.converter.export.source import open_source
from edgeshuffle.converter.quant.recipe import recipe_names
from edgeshuffle.dataset import open_images
from edgeshuffle.host.packaged import CALIBRATION_IMAGES, TEST_IMAGES
from edgeshuffle.metrics import decibels, energies, standard_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeshuffle.artifact import Artifact


@dataclass(frozen=True)
class Found:
    """One contender over all test images, in percent and dB, with standard errors."""

    maker: str
    top1: float
    drop: float
    drop_se: float
    agreement: float
    agreement_se: float
    sqnr_db: float


def main() -> int:
    options = _options()
    given = {
        "weights": options.weights or "demo",
        "width": options.width,
        "mean": options.mean,
        "std": options.std,
    }
    calib, test = options.calib or CALIBRATION_IMAGES, options.test or TEST_IMAGES
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        paths: dict[str, Path] = {}
        if options.odd:
            made = _odd(place, given, odd_sets(calib, options.other, place))
        else:
            made = _ours(place, given, calib)
        for name, artifact in made.items():
            (file,) = (f for f in artifact.manifest.files if f.precision == "int8")
            paths[name] = artifact.path(file)
        manifest = artifact.manifest
        request = resolve(ExportOptions(**given, output=place / "stock"))
        source = open_source(request.model, request.input)
        stock = simplify(ir.to_proto(source.model), place / "stock.onnx")
        images = open_images(calib, manifest.preprocess)
        methods = () if options.odd else affordable(manifest.macs, len(images))
        paths |= quantize(stock, images, place, methods)
        if options.nncf_python is not None:
            np.save(place / "calibration.npy", np.concatenate(list(images)))
            paths["nncf"] = place / "nncf.onnx"
            subprocess.run(
                [
                    *(options.nncf_python, Path(__file__).with_name("build_nncf.py")),
                    *("--model", stock, "--calibration", place / "calibration.npy"),
                    *("--out", paths["nncf"]),
                ],
                check=True,
                stdout=sys.stderr,
            )
        tested = open_images(
            test,
            manifest.preprocess,
            num_classes=manifest.num_classes,
            class_names=artifact.labels,
            labelled=True,
            limit=options.limit,
        )
        assert tested.labels is not None
        reference = _logits(stock, tested)
        found = [
            _compare(maker, reference, _logits(path, tested), tested.labels)
            for maker, path in paths.items()
        ]
    if options.json:
        print(json.dumps([vars(one) for one in found], indent=2))
        return 0
    print(f"{len(reference)} images, float top-1 {_top1(reference, tested.labels):.2f}")
    print(f"{'':28}{'top-1':>7}{'drop':>7}{'':8}{'agree %':>9}{'':8}{'SQNR dB':>8}")
    for one in found:
        print(
            f"{one.maker:28}{one.top1:7.2f}{one.drop:7.2f} ±{one.drop_se:.2f}  "
            f"{one.agreement:9.2f} ±{one.agreement_se:.2f}  {one.sqnr_db:8.1f}"
        )
    return 0


def _ours(place: Path, given: dict[str, Any], calib: Path) -> dict[str, Artifact]:
    """An artifact a recipe."""
    return {
        f"edgeshuffle {recipe}": _export(given, calib, recipe, place / recipe)
        for recipe in recipe_names()
    }


def _odd(place: Path, given: dict[str, Any], sets: dict[str, Path]) -> dict[str, Artifact]:
    """An artifact for each set of calibration images and recipe, and one without images."""
    made = {
        f"{name}: {recipe}": _export(given, calib, recipe, place / f"{calib.stem}_{recipe}")
        for name, calib in sets.items()
        for recipe in ("accurate", "fast")
    }
    made["none: accurate"] = _export(given, Path("none"), "accurate", place / "without")
    return made


def _export(given: dict[str, Any], calib: Path, recipe: str, output: Path) -> Artifact:
    return export(
        ExportOptions(
            **given, int8=True, formats=("onnx",), calib=calib, recipe=recipe, output=output
        )
    ).artifact


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="checkpoint [default: the demo's]")
    parser.add_argument("--width", type=float, help="of the demo, or checked")
    parser.add_argument("--calib", type=Path, help=".npz or folder")
    parser.add_argument("--test", type=Path, help="labelled .npz or folder")
    parser.add_argument("--mean", type=_triple)
    parser.add_argument("--std", type=_triple)
    parser.add_argument("--limit", type=int, help="test images to use")
    parser.add_argument("--odd", action="store_true", help="compare odd calibration images")
    parser.add_argument("--other", type=Path, help="with --odd: .npz of images of another kind")
    parser.add_argument("--nncf-python", type=Path, help="of an environment with nncf and onnx")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _triple(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _logits(path: Path, images: Any) -> NDArray[np.float32]:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image})[0] for image in images])


def _top1(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return 100 * float((logits.argmax(1) == labels).mean())


def _compare(
    maker: str,
    reference: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> Found:
    agreement = 100 * float((reference.argmax(1) == logits.argmax(1)).mean())
    lost = (reference.argmax(1) == labels).astype(int) - (logits.argmax(1) == labels)
    return Found(
        maker,
        _top1(logits, labels),
        100 * float(lost.mean()),
        100 * float(lost.std()) / len(lost) ** 0.5,
        agreement,
        standard_error(agreement, len(lost)),
        decibels(*energies(reference, logits)),
    )


if __name__ == "__main__":
    sys.exit(main())
