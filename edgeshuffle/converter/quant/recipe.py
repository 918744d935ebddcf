"""Recipes: how to quantize, as data. Each is a TOML file in the folder `recipes`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgeshuffle.errors import UnknownNameError

FOLDER: Final = Path(__file__).parent / "recipes"
DEFAULT: Final = "accurate"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A calibrator for the ranges, and the steps that follow, in order (`refiners.REFINERS`).

    With `per_tensor`, all output channels of a convolution share a scale. With `requantize`, the
    units of a stage have scales of their own (`ties.tie`).
    """

    name: str
    description: str
    calibrator: str
    steps: tuple[str, ...]
    per_tensor: bool
    requantize: bool


def recipe_names() -> tuple[str, ...]:
    """All recipes that there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_recipe(name: str, calibrator: str | None = None) -> Recipe:
    """A recipe by name, with another calibrator if one is given; raises UnknownNameError."""
    if name not in recipe_names():
        raise UnknownNameError(f"Unknown recipe '{name}'. Known: {', '.join(recipe_names())}.")
    data = tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    return Recipe(
        name=name,
        description=data["description"],
        calibrator=calibrator or data["calibrator"],
        # A calibrator that was asked for chooses the ranges alone.
        steps=tuple(s for s in data["steps"] if not (calibrator and s == "output_ranges")),
        per_tensor=data.get("per_tensor", False),
        requantize=data.get("requantize", False),
    )
