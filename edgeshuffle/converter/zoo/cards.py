"""Model cards: what is known of a variant, read from `models/*.toml`."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from edgeshuffle.artifact import Preprocess
from edgeshuffle.artifact.class_names import parse_class_names
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.host.packaged import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_VARIANT: Final = "v2"
# Who trained what `[weights.imagenet]` is.
WEIGHTS_BY: Final = "torchvision"


@dataclass(frozen=True, kw_only=True)
class PublicWeights:
    """A published checkpoint; accuracies in percent on ImageNet-1k's validation images."""

    url: str
    sha256_prefix: str
    top1: float
    top5: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """What somebody says of a network of this name, which is not always of exactly this size.

    `by` is who trained it: the `paper` that describes it, or a code base. Accuracies are in percent
    on ImageNet-1k's validation images, 100 less the error where that is what is said; `mflops` is
    what the source counts. The speeds are the paper's, on a GTX 1080 Ti and on one thread of a
    Snapdragon 810.
    """

    by: str
    source: str
    top1: float
    top5: float | None = None
    mflops: float | None = None
    gpu_batches_per_second: float | None = None
    arm_images_per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """One member of the family. `macs`, `parameters` and `memory_access` hold for `num_classes` at
    `preprocess.crop` pixels.

    `width` is None where members are not told apart by it, `groups` 1 where there are none.
    `blocks` are V2+'s units, `reduction` squeeze and excitation's (0 without), `form` what
    `network.Form` has to know. `weights` are None where nobody published any for ImageNet.
    `memory_access` is the sum of `memory_access_cost` over convolutions and fully connected layers,
    in elements. `published` is of everybody who says something, the paper first.
    """

    name: str
    family: str
    variant: str
    width: float | None
    groups: int
    channels: tuple[int, ...]
    blocks: tuple[str, ...]
    reduction: int
    form: dict[str, Any]
    num_classes: int
    parameters: int
    macs: int
    memory_access: int
    labels: tuple[str, ...]
    preprocess: Preprocess
    weights: PublicWeights | None
    published: tuple[Published, ...]
    sha256: str


def card_names() -> tuple[str, ...]:
    """Model ids of all packaged cards, by name."""
    return tuple(sorted(path.stem for path in MODELS.glob("shufflenet_*.toml")))


@cache
def load_card(name: str) -> Card:
    """Read the card of a model id such as `shufflenet_v2_x1_0`; raises UnknownNameError."""
    if name not in card_names():
        raise UnknownNameError(f"Unknown model '{name}'. Known: {', '.join(card_names())}.")
    path = MODELS / f"{name}.toml"
    data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    entry = data.pop("input")
    public = data.get("weights", {}).get("imagenet")
    weights = PublicWeights(**public) if public else None
    return Card(
        name=name,
        family=data["family"],
        variant=data.get("variant", DEFAULT_VARIANT),
        width=data.get("width"),
        groups=data.get("groups", 1),
        channels=tuple(data["channels"]),
        blocks=tuple(data.get("blocks", ())),
        reduction=data.get("reduction", 0),
        form=data.get("form", {}),
        num_classes=data["num_classes"],
        parameters=data["parameters"],
        macs=data["macs"],
        memory_access=data["memory_access"],
        labels=read_labels(data["labels"]),
        preprocess=Preprocess(
            resize=entry["resize"],
            crop=(entry["resolution"], entry["resolution"]),
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
        ),
        weights=weights,
        published=tuple(_published(data.get("published", []), weights)),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _published(entries: list[dict[str, Any]], weights: PublicWeights | None) -> Iterator[Published]:
    yield from (Published(**entry) for entry in entries)
    if weights is not None:
        yield Published(by=WEIGHTS_BY, source=weights.source, top1=weights.top1, top5=weights.top5)


def cards() -> tuple[Card, ...]:
    """All packaged cards, by name."""
    return tuple(map(load_card, card_names()))


def variants() -> tuple[str, ...]:
    """What `variant` may be; the default comes first."""
    return tuple(dict.fromkeys((DEFAULT_VARIANT, *(card.variant for card in cards()))))


def find_card(variant: str | None, width: float | None, groups: int | None) -> Card:
    """The card of a variant, a width multiplier and a number of groups; None is the usual.

    Raises UnknownNameError with what is known.
    """
    name = variant or DEFAULT_VARIANT
    of_variant = [card for card in cards() if card.variant == name]
    if not of_variant:
        raise UnknownNameError(f"Unknown variant '{name}'. Known: {', '.join(variants())}.")
    usual = 3 if len({card.groups for card in of_variant}) > 1 else of_variant[0].groups
    known = sorted({card.groups for card in of_variant})
    if groups not in (None, *known):
        raise UnknownNameError(
            f"`groups={groups}` is no number of groups of {name}. Known: "
            f"{', '.join(map(str, known))}."
        )
    of_groups = [card for card in of_variant if card.groups == (groups or usual)]
    if len(of_groups) == 1 and width is None:
        return of_groups[0]
    wanted = 1.0 if width is None else width
    for card in of_groups:
        if card.width == wanted:
            return card
    widths = sorted(card.width for card in of_groups if card.width is not None)
    told = f"Known: {', '.join(map(str, widths))}." if widths else "Leave `width` out."
    raise UnknownNameError(f"There is no Shuffle{_proper(name)} of width {wanted:g}. {told}")


def _proper(variant: str) -> str:
    return f"Net{variant[0].upper()}{variant[1:]}"


def card_of_width(width: float) -> Card:
    """The card of a ShuffleNetV2; raises UnknownNameError with the known widths."""
    return find_card(None, width, None)


@cache
def read_labels(name: str) -> tuple[str, ...]:
    """Class names by index, from `models/labels`."""
    return parse_class_names((MODELS / "labels" / f"{name}.txt").read_bytes())
