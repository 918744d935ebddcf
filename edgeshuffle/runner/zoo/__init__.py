"""The family side by side: what its networks cost, what is published of them, what was measured."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeshuffle.converter.zoo.cards import Card, cards, variants
from edgeshuffle.converter.zoo.families import FAMILIES
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.runner.zoo.own import own_results

if TYPE_CHECKING:
    from edgeshuffle.runner.zoo.own import OwnResult


@dataclass(frozen=True, kw_only=True)
class ZooOptions:
    """Which members of the family, None is all, and whose measurements.

    `artifacts` are folders; without any, all that lie under `root`.
    """

    variant: str | None = None
    width: float | None = None
    groups: int | None = None
    artifacts: tuple[Path, ...] = ()
    root: Path = Path("build")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of the family, and what was measured of its artifacts."""

    card: Card
    own: tuple[OwnResult, ...]

    @property
    def line(self) -> str:
        """What it is a size of: `v2`, `v2-se`, `v1` or `v2plus`."""
        variant = self.card.variant
        return variant if self.card.width is not None else variant.partition("-")[0]

    @property
    def size(self) -> str:
        """Which size of it: `x1.0`, `x1.0 g3` or `small`."""
        card = self.card
        if card.width is None:
            return card.variant.partition("-")[2]
        return f"x{card.width}" + (f" g{card.groups}" if card.family == "shufflenet_v1" else "")

    @property
    def name(self) -> str:
        """As people read it: `v1 x1.0 g3`."""
        return f"{self.line} {self.size}"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        card = self.card
        return {
            "model": card.name,
            "variant": card.variant,
            "width": card.width,
            "groups": card.groups,
            "resolution": card.preprocess.crop[0],
            "num_classes": card.num_classes,
            "parameters": card.parameters,
            "macs": card.macs,
            "memory_access": card.memory_access,
            "published": [dataclasses.asdict(one) for one in card.published],
            "measured": [one.as_json() for one in self.own],
        }


@dataclass(frozen=True, kw_only=True)
class Zoo:
    """Members in the order of family, groups and MACs; `notes` tell what could not be read."""

    members: tuple[Member, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values, with the units in the names; counts are of elements."""
        return {
            "models": [member.as_json() for member in self.members],
            "notes": list(self.notes),
        }


def zoo(options: ZooOptions) -> Zoo:
    """Gather what the cards say, and the newest measurements of each artifact on each device.

    Raises UnknownNameError where no member is as asked for, and ArtifactError for one of
    `options.artifacts` that is none.
    """
    chosen = [card for card in cards() if _is_wanted(card, options)]
    if not chosen:
        raise UnknownNameError(_unknown(options))
    families = list(FAMILIES)
    chosen.sort(
        key=lambda card: (families.index(card.family), card.reduction, card.groups, card.macs)
    )
    notes: list[str] = []
    own = list(own_results(options.artifacts, options.root, notes))
    return Zoo(
        members=tuple(
            Member(card=card, own=tuple(one for one in own if one.model == card.name))
            for card in chosen
        ),
        notes=tuple(notes),
    )


def _is_wanted(card: Card, options: ZooOptions) -> bool:
    return (
        options.variant in (None, card.variant)
        and options.groups in (None, card.groups)
        and (
            options.width is None
            or (card.width is not None and math.isclose(card.width, options.width))
        )
    )


def _unknown(options: ZooOptions) -> str:
    asked = {
        "variant": options.variant,
        "width": options.width,
        "groups": options.groups,
    }
    told = " and ".join(f"`{key}={value}`" for key, value in asked.items() if value is not None)
    known = sorted({card.width for card in cards() if card.width is not None})
    return (
        f"No network has {told}. Variants: {', '.join(variants())}; widths: "
        f"{', '.join(map(str, known))}; groups, of v1: 1, 2, 3, 4, 8."
    )
