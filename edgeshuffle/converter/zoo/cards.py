"""Model cards: what is known of a variant, read from `models/*.toml`."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from typing import Any

from edgeshuffle.artifact import Preprocess
from edgeshuffle.class_names import parse_class_names
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.packaged import MODELS


@dataclass(frozen=True, kw_only=True)
class PublicWeights:
    """A published checkpoint; accuracies in percent on ImageNet-1k's validation images."""

    url: str
    sha256_prefix: str
    top1: float
    top5: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """One variant. `macs` and `parameters` hold for `num_classes` at `preprocess.crop` pixels.

    `weights` are None where nobody published any for ImageNet.
    """

    name: str
    family: str
    width: float
    channels: tuple[int, int, int, int, int]
    num_classes: int
    parameters: int
    macs: int
    labels: tuple[str, ...]
    preprocess: Preprocess
    weights: PublicWeights | None
    sha256: str


def card_names() -> tuple[str, ...]:
    """Model ids of all packaged cards, narrowest first."""
    return tuple(sorted(path.stem for path in MODELS.glob("shufflenet_*.toml")))


def load_card(name: str) -> Card:
    """Read the card of a model id such as `shufflenet_v2_x1_0`; raises UnknownNameError."""
    if name not in card_names():
        raise UnknownNameError(f"Unknown model '{name}'. Known: {', '.join(card_names())}.")
    path = MODELS / f"{name}.toml"
    data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    entry = data.pop("input")
    public = data.get("weights", {}).get("imagenet")
    return Card(
        name=name,
        family=data["family"],
        width=data["width"],
        channels=tuple(data["channels"]),
        num_classes=data["num_classes"],
        parameters=data["parameters"],
        macs=data["macs"],
        labels=read_labels(data["labels"]),
        preprocess=Preprocess(
            resize=entry["resize"],
            crop=(entry["resolution"], entry["resolution"]),
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
        ),
        weights=PublicWeights(**public) if public else None,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def card_of_width(width: float) -> Card:
    """The card of a width multiplier; raises UnknownNameError with the known widths."""
    cards = [load_card(name) for name in card_names()]
    for card in cards:
        if card.width == width:
            return card
    known = ", ".join(str(card.width) for card in cards)
    raise UnknownNameError(f"There is no ShuffleNetV2 of width {width:g}. Known: {known}.")


def read_labels(name: str) -> tuple[str, ...]:
    """Class names by index, from `models/labels`."""
    return parse_class_names((MODELS / "labels" / f"{name}.txt").read_bytes())
