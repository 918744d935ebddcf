"""Paddle's `.pdparams`: a pickle of numpy arrays, read without numpy's or anybody's unpickling.

Four names may occur in one, and each has a stand-in here that only collects; the arrays are then
made of plain bytes. Any other name is refused.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from pathlib import Path

_KINDS: Final = frozenset({"f2", "f4", "f8", "i4", "i8"})


class _Kind:
    """A dtype: its code and, by its state, its byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code = code if code in _KINDS else None
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        self.order = ">" if isinstance(state, tuple) and len(state) > 1 and state[1] == ">" else "<"


class _Array:
    """An array: what numpy's own would be built of."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def tensor(self) -> torch.Tensor:
        """Raises ValueError and TypeError where the parts do not fit."""
        _, shape, kind, fortran, raw = self.state
        if not isinstance(kind, _Kind) or kind.code is None:
            raise TypeError("not numbers")
        if isinstance(raw, str):
            raw = raw.encode("latin1")
        values = np.frombuffer(raw, f"{kind.order}{kind.code}")
        values = values.reshape(shape, order="F" if fortran else "C")
        native = values.astype(values.dtype.newbyteorder("="), order="C")
        return torch.from_numpy(native)


class _NoArray:
    """The name `numpy.ndarray`, which is an argument only."""


def _encode(text: Any, *_: Any) -> bytes:
    return str(text).encode("latin1")


_STANDING: Final = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    ("numpy", "ndarray"): _NoArray,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        standing = _STANDING.get((module, name))
        if standing is None:
            raise WeightsError(
                f"it names {quoted(f'{module}.{name}', 100)}, which is no array of numbers"
            )
        return standing


def read_paddle(path: Path) -> dict[str, Any]:
    """Tensors by name; raises WeightsError for anything but a mapping to arrays."""
    try:
        with path.open("rb") as file:
            loaded = _Unpickler(file, encoding="latin1").load()
        return {
            key: value.tensor() if isinstance(value, _Array) else value
            for key, value in loaded.items()
            if isinstance(key, str)
        }
    except Exception as err:  # pickle raises whatever a damaged file leads it to
        raise WeightsError(
            f"{path} is not a readable .pdparams file ({quoted(str(err), 160) or 'damaged'}). "
            "Convert it where Paddle is installed: state = paddle.load(FILE); "
            "safetensors.numpy.save_file({k: v.numpy() for k, v in state.items()}, "
            '"weights.safetensors").'
        ) from err
