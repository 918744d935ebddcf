"""How a picture becomes a network's input; `dataset` does it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np

Channels = Literal["rgb", "bgr", "gray", "rgba"]
CHANNELS: Final[dict[Channels, int]] = {"rgb": 3, "bgr": 3, "gray": 1, "rgba": 4}
# Sides of pictures in pixels.
MAX_PICTURE_SIDE: Final = 4096
_MAX_VALUE: Final = 1e6
# Less, and float32 has no room for the quotients.
_LEAST_STD: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Picture to tensor: resize (bilinear), crop the centre, normalise.

    `crop` is the input's (height, width). A picture of just this size stays as it is. Any other is
    scaled, with its aspect ratio kept, as little as covers `resize` / min(crop) times the crop: for
    a square crop its shorter side becomes `resize` pixels, and else the side that is shorter in
    relation to the crop decides. `mean` and `std` apply to values in 0..1 and have a number for
    each of the `channels`, in their order; the alpha channel of `rgba` is resized like the others.
    """

    resize: int
    crop: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: Channels = "rgb"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return (CHANNELS[self.channels], *self.crop)

    @property
    def to_pixels(self) -> Preprocess:
        """The same picture, not normalised: values of 0 to 255."""
        count = len(self.mean)
        return replace(self, mean=(0.0,) * count, std=(1 / 255,) * count)

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """The pixels of 0 to 255 that normalised float32 (N, C, H, W) images were made of."""
        import numpy as np

        mean, std = (
            np.array(values, np.float32)[:, None, None] for values in (self.mean, self.std)
        )
        made: np.ndarray = np.rint((images * std + mean) * np.float32(255)).clip(0, 255)
        return made

    def check(self) -> None:
        """Raise ValueError for what no image can be prepared with."""
        if not all(0 < side <= MAX_PICTURE_SIDE for side in (self.resize, *self.crop)):
            raise ValueError(f"`resize` and `crop` must be from 1 to {MAX_PICTURE_SIDE} pixels")
        count = CHANNELS[self.channels]
        if (len(self.mean), len(self.std)) != (count, count):
            raise ValueError(
                f"mean and std must have a number for each channel of {self.channels}: {count}"
            )
        if not all(abs(value) <= _MAX_VALUE for value in (*self.mean, *self.std)):
            raise ValueError(f"mean and std must be numbers of at most {_MAX_VALUE:g}")
        if not all(value >= _LEAST_STD for value in self.std):
            raise ValueError(f"std must be positive, {_LEAST_STD:g} at least")
