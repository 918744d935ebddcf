"""The packaged demo: Fashion-MNIST weights and images, for use without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact import Preprocess
from edgeshuffle.converter.zoo.cards import Card, read_labels
from edgeshuffle.errors import WeightsError
from edgeshuffle.host.packaged import DEMO

if TYPE_CHECKING:
    from pathlib import Path

LABELS: Final = "fashion_mnist"


def demo_weights(card: Card) -> Path:
    """The packaged checkpoint of a variant; raises WeightsError where none is packaged."""
    path = DEMO / f"{card.name}.safetensors"
    if not path.exists():
        packaged = ", ".join(sorted(file.stem for file in DEMO.glob("*.safetensors")))
        raise WeightsError(
            f"There are no packaged demo weights for {card.name} (only for {packaged}). Use "
            "`weights=imagenet` for the public ones (downloaded), or `weights=FILE` for your own."
        )
    return path


def demo_preprocess(card: Card) -> Preprocess:
    """The card's input, with the small demo images enlarged to it whole instead of cropped."""
    given = card.preprocess
    return Preprocess(resize=min(given.crop), crop=given.crop, mean=given.mean, std=given.std)


def demo_labels() -> tuple[str, ...]:
    """Fashion-MNIST's ten class names."""
    return read_labels(LABELS)
