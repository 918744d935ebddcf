"""Whether INT8 and fp16 files are good enough: what was measured, is odd, and was demanded."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgeshuffle.artifact.manifest import files_by_format
from edgeshuffle.errors import GateError, ModelError
from edgeshuffle.metrics import agreement, none_if_equal, softmax, sqnr_db

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgeshuffle.artifact.manifest import ModelFile
    from edgeshuffle.converter.export.request import Gates
    from edgeshuffle.converter.quant.batch_norms import Drift
    from edgeshuffle.dataset import ImageSet

# Every quantization measured for the README that loses less than a point of top-1 has 20 dB or
# more and 98.6 % agreement or more. Of few images, and of a thousand classes that are often near
# each other, chance alone may take some more labels.
LOW_SQNR: Final = 20.0
LOW_AGREEMENT: Final = 80.0
_MEND: Final = {
    "int8": "Give more varied calibration images, another `recipe`, or leave layers in float with "
    "`max_drop`.",
    "fp16": "Leave `fp16` out.",
}
_HELPS: Final = {
    "int8": "more varied `calib` images, another `recipe` or `max_drop`",
    "fp16": "a smaller range of inputs",
}
# Enough to see a broken quantization, or that images are odd.
CHECKED_IMAGES: Final = 32
# Ranges of fewer images are mostly those of chance.
FEW_IMAGES: Final = 16
# Of images that are like others or hold nothing; a few occur in any data.
_ODD_SHARE: Final = 0.1
# Between the channels of a grey pixel, of 1, and of the mean of dark pictures.
_GREY: Final = 0.02
_DARK: Final = 0.15
# Of images like those of training (CIFAR-10, Fashion-MNIST) 0.03 to 0.11, 0.9 to 1.04 and 0
# to 0.08; of grey, blurred, dark, enlarged and other ones at least one of the three is beyond.
_MOST_DISTANCE: Final = 0.12
_LEAST_WIDTH: Final = 0.85
_MOST_NARROW: Final = 0.1


def measure(
    files: Sequence[ModelFile], outputs: Mapping[str, Sequence[np.ndarray]], digest: str
) -> dict[str, Any]:
    """Each output's SQNR against the float file's, or of a softmax against that one's, of all its
    values for the given images.

    `sqnr_db` is the lowest of a file, `agreement` a classifier's. Raises ModelError where an output
    of the float file holds only zeros, and another file's does not.
    """
    floats = files_by_format(files, "fp32")
    reference = floats.get("onnx") or next(iter(floats.values()))
    expected = outputs[reference.path]
    names = [output.name for output in reference.outputs]
    for name, values, *others in zip(names, expected, *outputs.values(), strict=True):
        if not values.any() and any(found.any() for found in others):
            raise ModelError(
                f"The model gives zero for every value of '{name}' on every calibration image, so "
                "its INT8 form cannot be compared with it. Check the weights."
            )
    return {
        "reference": f"{reference.runtime}/{reference.precision}",
        "calibration_images": len(expected[0]),
        "calibration_sha256": digest,
        "files": {
            file.path: _measured(
                reference,
                [softmax(expected[0])] if file.softmax else expected,
                outputs[file.path],
            )
            for file in files
        },
    }


def _measured(
    reference: ModelFile, expected: Sequence[np.ndarray], found: Sequence[np.ndarray]
) -> dict[str, Any]:
    ratios = [sqnr_db(one, other) for one, other in zip(expected, found, strict=True)]
    agreed = None if reference.classes is None else agreement(expected[0], found[0])
    return {
        "agreement": agreed,
        "sqnr_db": none_if_equal(min(ratios)),
        "outputs": {
            output.name: {"sqnr_db": none_if_equal(ratio)}
            for output, ratio in zip(reference.outputs, ratios, strict=True)
        },
    }


def check_limits(files: Sequence[ModelFile], metrics: Mapping[str, Any], gates: Gates) -> None:
    """Raise GateError where an INT8 or fp16 file misses `min_sqnr` or `min_agreement`."""
    for file in files:
        # What reads pixels is as good as what it is made of.
        if file.precision == "fp32" or file.base is not None:
            continue
        found = metrics["files"][file.path]
        missed = []
        sqnr = found["sqnr_db"]
        if gates.min_sqnr is not None and sqnr is not None and sqnr < gates.min_sqnr:
            missed.append(f"SQNR {sqnr:.1f} dB of `min_sqnr={gates.min_sqnr:g}`")
        agreed = found["agreement"]
        if gates.min_agreement is not None and agreed is None:
            raise GateError(
                f"{file.path} is no classifier, so `min_agreement` says nothing of it. Give "
                "`min_sqnr`."
            )
        if gates.min_agreement is not None and agreed < gates.min_agreement:
            missed.append(f"agreement {agreed:.1f} % of `min_agreement={gates.min_agreement:g}`")
        if missed:
            raise GateError(
                f"{file.path} has {' and '.join(missed)} on {metrics['calibration_images']} "
                f"calibration images; nothing is written. {_MEND[file.precision]}"
            )


def warnings(files: Sequence[ModelFile], metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """What is wrong with the INT8 and fp16 files."""
    found = []
    for file in files:
        measured = metrics["files"][file.path]
        sqnr, agreed = measured["sqnr_db"], measured["agreement"]
        others = agreed is not None and agreed < LOW_AGREEMENT
        judged = file.precision != "fp32" and file.base is None
        if judged and ((sqnr is not None and sqnr < LOW_SQNR) or others):
            shown = "no noise" if sqnr is None else f"{sqnr:.1f} dB SQNR"
            if len(measured["outputs"]) > 1:
                shown += " in the worst output"
            if agreed is not None:
                shown += f" and {agreed:.1f} % agreement"
            found.append(
                f"{file.path}: {shown} with the float model; below "
                f"{LOW_SQNR:g} dB or {LOW_AGREEMENT:g} % accuracy is likely lost (measure it: "
                f"edgeshuffle evaluate; {_HELPS[file.precision]} may help)"
            )
    return tuple(found)


def of_calibration(checked: ImageSet, calibrated: int) -> tuple[str, ...]:
    """What is wrong with `calibrated` images, some of which are `checked`."""
    found = []
    if calibrated < FEW_IMAGES:
        number = "1 image" if calibrated == 1 else f"{calibrated} images"
        found.append(f"calibration: only {number}; 100 to 1,000 of the model's own data are needed")
    count = len(checked)
    digests = {sha256(checked.pictures.content(index)).digest() for index in range(count)}
    if len(digests) < (1 - _ODD_SHARE) * count:
        found.append(f"calibration: of {count} images that were looked at, {len(digests)} differ")
    flat = sum(float(np.ptp(image, axis=(2, 3)).max()) == 0 for image in checked)
    if flat > _ODD_SHARE * count:
        found.append(
            f"calibration: of {count} images that were looked at, {flat} hold one colour only"
        )
    return tuple(found)


def unlike_training(checked: ImageSet, drift: Drift | None) -> tuple[str, ...]:
    """What is odd about images that differ so from those of training, if anything."""
    near = drift is None or (
        drift.distance <= _MOST_DISTANCE
        and drift.width >= _LEAST_WIDTH
        and drift.narrow <= _MOST_NARROW
    )
    if near or drift is None:
        return ()
    pixels = [_pixels(image, checked) for image in checked]
    height, width = checked.preprocess.crop
    sizes = [checked.pictures.picture(index, "L").size for index in range(len(checked))]
    colours = len(checked.preprocess.mean) > 1
    kinds = {
        "grey": colours and _most(np.ptp(one, 0).max() < _GREY for one in pixels),
        "dark": _most(one.mean() < _DARK for one in pixels),
        "bright": _most(one.mean() > 1 - _DARK for one in pixels),
        "smaller than the input": _most(wide < width or high < height for wide, high in sizes),
    }
    said = ", ".join(name for name, found in kinds.items() if found)
    looks = f"they are {said}" if said else "are they blurred, enlarged, or of another kind?"
    return (
        "calibration: the images are unlike those of the network's training, as its batch norms "
        f"remember them (channels vary {100 * drift.width:.0f} % as much, distance "
        f"{drift.distance:.2f}); {looks}",
    )


def _most(found: Iterable[bool]) -> bool:
    known = list(found)
    return sum(known) >= (1 - _ODD_SHARE) * len(known)


def _pixels(image: np.ndarray, among: ImageSet) -> np.ndarray:
    """(C, H, W) in 0..1."""
    mean, std = (
        np.array(numbers, np.float32)[:, None, None]
        for numbers in (among.preprocess.mean, among.preprocess.std)
    )
    found: np.ndarray = image[0] * std + mean
    return found


def one_class(
    files: Sequence[ModelFile], outputs: Mapping[str, Sequence[np.ndarray]]
) -> tuple[str, ...]:
    """That the float model takes all images for one class, where it knows several.

    A network that was never trained may do so with any.
    """
    file = next((one for one in files if one.precision == "fp32" and (one.classes or 0) > 1), None)
    if file is None:
        return ()
    found = outputs[file.path][0].argmax(1)
    if len(found) < FEW_IMAGES or len(np.unique(found)) > 1:
        return ()
    return (
        f"calibration: all {len(found)} images that were looked at are class {found[0]} to the "
        "network; they should be of all classes",
    )
