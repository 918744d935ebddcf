"""Recipes: how to quantize, as data: the TOML files in the folder `recipes`, or a user's own.

description = "Rounded to nearest, the first layer in float."
calibrator = "percentile"
steps = ["equalize", "bias_correction"]

[[layers]]
name = "conv1.*"
precision = "float32"
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from edgeshuffle.converter.quant.calibrators import CALIBRATORS
from edgeshuffle.converter.quant.refiners import REFINERS, chooses_ranges
from edgeshuffle.errors import UnknownNameError
from edgeshuffle.untrusted import UntrustedError, quoted, read_bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir

FOLDER: Final = Path(__file__).parent / "recipes"
DEFAULT: Final = "accurate"
SUFFIX: Final = ".toml"
_MOST_BYTES: Final = 2**20
# In a message.
_LISTED: Final = 80

# What is said of a classifier's: the first leaves open what they are in INT8 files.
LOGITS: Final = ("auto", "float32", "int8")

Kind = Literal["dense", "pointwise", "depthwise"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What holds for some convolutions; None leaves open.

    They are chosen by their whole `name` (a regular expression), which is their module's path, such
    as stage2.0.branch2.0, or that of their output in the fp32 ONNX file, and by their `kind`. With
    `precision` float32 they are not quantized; with `per_tensor` their output channels share a
    weight scale.
    """

    name: str | None = None
    kind: Kind | None = None
    precision: Literal["int8", "float32"] | None = None
    per_tensor: bool | None = None

    def fits(self, conv: ir.Node) -> bool:
        """Whether it is for this Conv."""
        from edgeshuffle.converter.operators.conv import kind_of, names_of

        if self.kind not in (None, kind_of(conv)):
            return False
        return self.name is None or any(re.fullmatch(self.name, name) for name in names_of(conv))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A calibrator for the ranges, and the steps that follow, in order (`refiners.REFINERS`).

    With `per_tensor`, all output channels of a convolution share a scale. With `requantize`, the
    units of a stage have scales of their own (`ties.tie`). With `augment`, steps see half of the
    images varied (`variations.Varied`). A classifier's `logits` are its sums as
    floats, or rounded to 8 bits. Of the `layers`' rules that fit a convolution, the last one that
    says something decides.
    """

    name: str = ""
    description: str
    calibrator: str
    steps: tuple[str, ...] = ()
    per_tensor: bool = False
    requantize: bool = False
    augment: bool = False
    logits: Literal["float32", "int8"] = "float32"
    layers: tuple[Rule, ...] = ()

    def shares_scale(self, conv: ir.Node) -> bool:
        """Whether the output channels of a Conv share a weight scale."""
        said = [rule.per_tensor for rule in self.layers if rule.fits(conv)]
        return next((value for value in reversed(said) if value is not None), self.per_tensor)

    def stays_float(self, conv: ir.Node) -> bool:
        """Whether a Conv is not quantized."""
        said = [rule.precision for rule in self.layers if rule.fits(conv)]
        return next((value for value in reversed(said) if value), "int8") == "float32"

    def check_fits(self, convs: Sequence[ir.Node]) -> None:
        """Raise UnknownNameError for a rule that fits none of a network's convolutions."""
        from edgeshuffle.converter.operators.conv import names_of

        for number, rule in enumerate(self.layers, 1):
            if not any(rule.fits(conv) for conv in convs):
                names = ", ".join(names_of(conv)[0] for conv in convs[:_LISTED])
                more = ", ..." if len(convs) > _LISTED else ""
                raise UnknownNameError(
                    f"Rule {number} of the recipe '{self.name}' fits no convolution. Their names "
                    f"are {names}{more}."
                )

    def calibrated_by(self, calibrator: str | None) -> Recipe:
        """With another calibrator, which then chooses the ranges alone; itself without one."""
        if calibrator is None:
            return self
        steps = tuple(step for step in self.steps if not chooses_ranges(step))
        return dataclasses.replace(self, calibrator=calibrator, steps=steps)


def recipe_names() -> tuple[str, ...]:
    """All recipes that are packaged."""
    return tuple(sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}")))


# What others call TFLite's 16-bit activations with 8-bit weights.
_INT16: Final = frozenset({"int16", "int16x8", "16x8"})


def load_recipe(name: str, calibrator: str | None = None) -> Recipe:
    """A packaged recipe by name, or one in a file whose name ends with .toml; with another
    calibrator if one is given. Raises UnknownNameError.
    """
    path = Path(name)
    if path.suffix != SUFFIX:
        if name in _INT16:
            raise UnknownNameError(
                f"There is no recipe with int16 activations ('{name}'): LiteRT runs them without "
                "XNNPACK (a fully connected layer took 20 times as long, x86), and ONNX Runtime "
                "not at all. Take accurate, and leave the worst layers in float with `max_drop`."
            )
        if name not in recipe_names():
            raise UnknownNameError(
                f"Unknown recipe '{name}'. Known: {', '.join(recipe_names())}, or a file of your "
                f"own that ends with {SUFFIX}."
            )
        path = FOLDER / f"{name}{SUFFIX}"
    try:
        data = tomllib.loads(read_bounded(path, _MOST_BYTES).decode("utf-8"))
        recipe = read_recipe({**data, "name": path.stem})
    except FileNotFoundError as err:
        raise UnknownNameError(
            f"There is no recipe at {path}. Known: {', '.join(recipe_names())}."
        ) from err
    except OSError as err:
        raise UnknownNameError(f"The recipe {path} cannot be read ({err.strerror}).") from err
    except (UntrustedError, ValueError, RecursionError) as err:
        raise UnknownNameError(f"{path} is no recipe ({quoted(str(err))}).") from err
    return recipe.calibrated_by(calibrator)


def read_recipe(data: dict[str, Any]) -> Recipe:
    """A recipe from plain values, such as a manifest's; raises ValueError."""
    import msgspec

    unknown = sorted(data.keys() - {field.name for field in dataclasses.fields(Recipe)})
    for rule in data.get("layers", ()) if isinstance(data.get("layers"), list | tuple) else ():
        if isinstance(rule, dict):
            unknown += sorted(rule.keys() - {field.name for field in dataclasses.fields(Rule)})
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}")
    recipe = msgspec.convert(data, Recipe)
    if recipe.calibrator not in CALIBRATORS:
        raise ValueError(f"calibrator '{recipe.calibrator}': known are {', '.join(CALIBRATORS)}")
    for step in recipe.steps:
        if step not in REFINERS:
            raise ValueError(f"step '{step}': known are {', '.join(REFINERS)}")
    for rule in recipe.layers:
        if rule.name is None and rule.kind is None:
            raise ValueError("a rule of `layers` needs a `name` or a `kind`")
        if rule.precision is None and rule.per_tensor is None:
            raise ValueError("a rule of `layers` needs a `precision` or `per_tensor`")
        try:
            re.compile(rule.name or "")
        except re.error as err:
            raise ValueError(f"name '{rule.name}' is no regular expression: {err}") from err
    return recipe
