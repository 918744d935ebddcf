"""Files that torch.save wrote, read without running anything that they name.

A pickle names classes and functions, and has them called. Torch's restricted unpickler calls
those that make tensors and plain containers. Whatever else a file names (`argparse.Namespace`,
numpy's scalars, classes of a training script) is not imported, and an `Inert` stands in its place,
which keeps nothing but the name, or a plain dictionary or list where a file fills it.
"""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import torch

from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import quoted

if TYPE_CHECKING:
    from pathlib import Path

# What training scripts keep beside their weights as a matter of course.
_USUAL: Final = ("argparse.", "numpy.", "pathlib.", "datetime.", "collections.", "_codecs.")
_UNKNOWN: Final = re.compile(r"GLOBAL ([\w.]+) was not an allowed global")
_BLOCKED: Final = re.compile(r"GLOBAL ([\w.]+) whose module")
_FILLED: Final = re.compile(
    rf"Can only (SETITEM|append|extend).* but got <class '{re.escape(__name__)}\.([^']+)'>"
)
_MOST_NAMES: Final = 100
_DEEPEST: Final = 8
_MOST_TOLD: Final = 5


class Inert:
    """In the place of an object of a file: made of anything, calls nothing, keeps nothing."""

    name = ""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Whatever the object was to be made of."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Likewise."""

    def __setstate__(self, _: Any) -> None:
        """Whatever the object was to hold."""


class _Entries:
    """In the place of a dictionary of some kind, such as a defaultdict."""

    def __new__(cls, *_: Any, **__: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        """The only kind that torch fills and also gives attributes."""
        return OrderedDict()


class _Items:
    """In the place of a list of some kind, such as a deque."""

    def __new__(cls, *_: Any, **__: Any) -> list[Any]:  # type: ignore[misc]
        """Its items follow."""
        return []


def _stand_in(kind: type, name: str) -> type:
    """One that torch's messages call by that name."""
    return type(name, (kind,), {"name": name})


def read_torch(path: Path) -> Any:
    """What torch.save was given, with an `Inert` for all that is no tensor or plain container.

    Raises WeightsError for TorchScript and for a name that torch never allows, and what torch does
    for a damaged file.
    """
    if _is_torchscript(path):
        raise WeightsError(
            f"{path} is TorchScript, a program with its weights. Make a file of the weights alone: "
            f'module = torch.jit.load("{path.name}"); '
            'torch.save(module.state_dict(), "weights.pth").'
        )
    known: dict[str, type] = {}
    while True:
        standing: list[Any] = [(kind, name) for name, kind in known.items()]
        try:
            with torch.serialization.safe_globals(standing):
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as err:
            named = _UNKNOWN.search(str(err))
            if blocked := _BLOCKED.search(str(err)):
                raise WeightsError(
                    f"{path} names {quoted(blocked[1])}, which has no place in weights and could "
                    "do anything. Do not use the file unless you know where it is from."
                ) from err
            filled = _FILLED.search(str(err))
            if filled and issubclass(known.get(filled[2], object), Inert):
                kind = _Entries if filled[1] == "SETITEM" else _Items
                known[filled[2]] = _stand_in(kind, filled[2])
                continue
            if named is None or len(known) >= _MOST_NAMES:
                if not known:
                    raise
                # Something is done with a stand-in that it does not take part in.
                names = ", ".join(quoted(name, 60) for name in list(known)[:_MOST_TOLD])
                raise WeightsError(
                    f"{path} holds more than tensors, and cannot be read without what it names "
                    f"({names}). Save the weights alone: torch.save(model.state_dict(), FILE)."
                ) from err
            # Torch leaves `builtins.` out where it tells a name.
            name = named[1] if "." in named[1] else f"builtins.{named[1]}"
            known[name] = _stand_in(Inert, name)


def left_out(loaded: Any) -> tuple[str, ...]:
    """Entries that are no weights and unusual, by their names, for a note."""
    found: dict[str, None] = {}
    for where, inert in _inert(loaded):
        if not inert.name.startswith(_USUAL):
            found[f"'{quoted(where, 60)}' ({quoted(inert.name, 60)})" if where else inert.name] = (
                None
            )
    told = tuple(found)
    more = len(told) - _MOST_TOLD
    return (*told[:_MOST_TOLD], f"{more} more") if more > 0 else told


def whole_module(loaded: Any, path: Path) -> str | None:
    """Why a file of pickled objects holds no weights, with what makes a good one; None if not so.

    Only to be asked where no weights were found.
    """
    for where, inert in _inert(loaded):
        if inert.name.startswith(_USUAL):
            continue
        inside = f" in '{quoted(where, 60)}'" if where else ""
        read = f'torch.load("{path.name}", weights_only=False)'
        key = where.partition(".")[0]
        got = f'{read}["{quoted(key, 60)}"]' if key else read
        return (
            f"{path} holds more than tensors: a whole pickled {quoted(inert.name, 60)}{inside}, "
            "which is only read by running its code. Where you trained it, make a file of the "
            f'weights alone: module = {got}; torch.save(module.state_dict(), "weights.pth").'
        )
    return None


def _inert(loaded: Any) -> list[tuple[str, Inert]]:
    """All stand-ins in dictionaries, with the dotted keys they lie under."""
    found: list[tuple[str, Inert]] = []
    entered: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", loaded)]
    while waiting:
        where, value = waiting.pop(0)
        if isinstance(value, Inert):
            found.append((where, value))
        if not isinstance(value, Mapping) or id(value) in entered or where.count(".") >= _DEEPEST:
            continue
        entered.add(id(value))
        waiting += [(f"{where}.{key}" if where else str(key), one) for key, one in value.items()]
    return found


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as file:
            return any(name.endswith("/constants.pkl") for name in file.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        return False
