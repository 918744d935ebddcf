"""How pictures are prepared for a model, from what is asked, known and seen of its input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.preprocess import CHANNELS, Channels, Preprocess
from edgeshuffle.converter import zoo
from edgeshuffle.errors import ModelError, UnknownNameError

if TYPE_CHECKING:
    from edgeshuffle.converter.export.request import InputChoice

# More than any mean or std of values in 0..1, and less than those of values in 0..255.
_MOST_OF_ONE: Final = 2.0
_CHANNELS_OF: Final[dict[int, Channels]] = {1: "gray", 3: "rgb", 4: "rgba"}


def make_preprocess(
    given: InputChoice, card: Preprocess, sides: tuple[int, int] | None, count: int
) -> Preprocess:
    """For an input of `count` channels and (height, width) `sides`, which are the card's for None.

    Raises UnknownNameError and ModelError for what does not fit.
    """
    crop = card.crop if sides is None else sides
    channels = given.channels or _CHANNELS_OF[count]
    if CHANNELS[channels] != count:
        fitting = ", ".join(name for name, known in CHANNELS.items() if known == count)
        raise UnknownNameError(
            f"`channels={channels}` makes {CHANNELS[channels]} channels of a picture, and the "
            f"model reads {count}. What fits: {fitting}."
        )
    # Small networks see whole pictures; the margin of the card's crop belongs to photographs.
    whole = max(crop) <= zoo.SMALL_INPUT
    resize = min(crop) if whole else round(card.resize * min(crop) / min(card.crop))
    preprocess = Preprocess(
        resize=resize,
        crop=crop,
        mean=_numbers("mean", given.mean, channels) or _of_rgb(card.mean, channels, alpha=0.0),
        std=_numbers("std", given.std, channels) or _of_rgb(card.std, channels, alpha=1.0),
        channels=channels,
    )
    try:
        preprocess.check()
    except ValueError as err:
        raise ModelError(
            f"No picture can be prepared for {crop[0]}x{crop[1]} pixels: {err}."
        ) from err
    return preprocess


def note(given: InputChoice, channels: Channels) -> tuple[str, ...]:
    """What to know where mean and std were not given, but the card's taken."""
    if given.mean:
        return ()
    whose = {"gray": "the average of ImageNet's", "rgba": "ImageNet's, 0 and 1 for alpha"}
    taken = whose.get(channels, "ImageNet's")
    return (f"mean and std: {taken} (`mean` and `std` set them)",)


def own_normalisation(
    given: InputChoice, taken: Preprocess, mean: tuple[float, ...], std: tuple[float, ...]
) -> tuple[Preprocess, tuple[str, ...]]:
    """With the mean and std of x that were taken out of a model, and what to know of it.

    x is a picture as `given` normalises it. Where nothing is given, x is in 0..255 if the model's
    mean or std is beyond what numbers in 0..1 can have, and else in 0..1. Raises ModelError.
    """
    if given.mean or given.std:
        first, scale = taken.mean, taken.std
    else:
        most = 255.0 if max(*mean, *std) > _MOST_OF_ONE else 1.0
        first, scale = (0.0,) * len(mean), (1 / most,) * len(mean)
    whole = replace(
        taken,
        mean=tuple(a + b * m for a, b, m in zip(first, scale, mean, strict=True)),
        std=tuple(b * s for b, s in zip(scale, std, strict=True)),
    )
    try:
        whole.check()
    except ValueError as err:
        raise ModelError(f"The model normalises its input by what no picture has: {err}.") from err
    shown = [
        ", ".join(f"{number:.6g}" for number in numbers) for numbers in (whole.mean, whole.std)
    ]
    return whole, (
        f"mean {shown[0]} and std {shown[1]} of values in 0..1: the model's own normalisation, "
        "which is left out of its files",
    )


def _numbers(
    name: str, given: tuple[float, ...] | None, channels: Channels
) -> tuple[float, ...] | None:
    """One a channel."""
    count = CHANNELS[channels]
    if given is None or len(given) == count:
        return given
    if len(given) == 1:
        return given * count
    raise UnknownNameError(
        f"`{name}` has {len(given)} numbers, and {channels} pictures have {count} "
        f"channel{'s' if count > 1 else ''}. Give one for each, or one for all."
    )


def _of_rgb(values: tuple[float, ...], channels: Channels, *, alpha: float) -> tuple[float, ...]:
    """What is known of R, G and B, for other channels."""
    if channels == "gray":
        return (sum(values) / len(values),)
    if channels == "rgba":
        return (*values, alpha)
    return values[::-1] if channels == "bgr" else values
