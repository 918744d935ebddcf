"""Means and deviations that are asked for: what they may be, and of which values they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.errors import UnknownNameError

if TYPE_CHECKING:
    from edgeshuffle.converter.export.options import ExportOptions

_LEAST_STD: Final = 1e-6
_MOST: Final = 1e6
# Normalised pixels of networks in use have means of 0 to 1 and deviations of 0.2 to 1.
_LIKELY: Final = 2.0
_OF_PIXELS: Final = 255.0


def per_scale(
    given: tuple[float, ...] | None, scale: float | None, usual: float
) -> tuple[float, ...] | None:
    """Numbers for pixels x in 0..1 from those for sx: (sx - m) / d = (x - m/s) / (d/s)."""
    if scale is None:
        return given
    return tuple(value / scale for value in given or (usual,))


def check_normalisation(options: ExportOptions) -> None:
    if options.std is not None and not all(_LEAST_STD <= v <= _MOST for v in options.std):
        raise UnknownNameError(
            f"`std` must be from {_LEAST_STD:g} to {_MOST:g} in every channel; pixels are 0 to 1."
        )
    if options.mean is not None and not all(abs(value) <= _MOST for value in options.mean):
        raise UnknownNameError(f"`mean` must be at most {_MOST:g} in size; pixels are 0 to 1.")


def of_pixels(name: str, given: tuple[float, ...] | None) -> tuple[str, ...]:
    """A note where numbers look like those of pixels in 0..255."""
    if given is None or max(map(abs, given)) <= _LIKELY:
        return ()
    shown, meant = (
        ",".join(f"{value / unit:.4g}" for value in given) for unit in (1.0, _OF_PIXELS)
    )
    return (
        f"{name}: {shown} looks like that of pixels in 0..255, but pixels are 0 to 1 here; "
        f"{meant} was probably meant",
    )
