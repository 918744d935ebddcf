"""How near a network comes to what float16 can hold, as the manifest tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HalfRange:
    """The largest magnitudes in the float network, of 65,504: of its numbers, weights among them,
    and of any part of a sum, in whatever order it is added up, of its convolutions.

    Seen on `images` real images and `random_images` of standard normal noise drawn from `seed`.
    """

    images: int
    random_images: int
    seed: int
    largest_value: float
    largest_sum: float
