"""Checkpoints: read, and put into our own names."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from safetensors import safe_open

from edgeshuffle.artifact import sha256
from edgeshuffle.converter.zoo.checkpoint import choose
from edgeshuffle.converter.zoo.inert import left_out, read_torch
from edgeshuffle.converter.zoo.layouts import translate
from edgeshuffle.converter.zoo.paddle import read_paddle
from edgeshuffle.errors import WeightsError
from edgeshuffle.untrusted import first_line
from edgeshuffle.untrusted.bounds import bounded_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

    from edgeshuffle.converter.zoo.layouts import Layout

# A training checkpoint of the widest network is 120 MB, with its averages and its optimizer.
_MOST_BYTES: Final = 1 << 30
# What torch takes for itself to read one.
_READING_BYTES: Final = 512 << 20


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights by our keys, the file they came from, and what the file says of them.

    `key` is where they lay in the file ('' at the top), `others` are the keys of other sets there.
    `rest` are tensors of the set that its layout does not know: a head, or what is unknown.
    `gaps` are modules that it must have and has nothing of. `outside` are tensors beside it.
    `theirs` gives the file's name for one of our keys.
    """

    path: Path
    layout: Layout
    state: Mapping[str, torch.Tensor]
    rest: Mapping[str, torch.Tensor]
    outside: Mapping[str, torch.Tensor]
    theirs: Callable[[str], str]
    gaps: tuple[str, ...]
    notes: Mapping[str, str]
    classes: Mapping[str, Any]
    sha256: str
    key: str = ""
    others: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())


def read_checkpoint(path: Path, key: str | None = None, layout: str | None = None) -> Checkpoint:
    """Read a .pth/.pt/.ckpt, .safetensors or .pdparams file; nothing that it names is run.

    `key` names one of several sets of weights in it, by a dotted path, `layout` how its keys are
    to be read. Raises WeightsError for a missing, corrupt, huge or foreign file, and for a key that
    it does not have.
    """
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint at {path}. Check the path given to `weights`.")
    size = _unpacked_bytes(path)
    if size > _MOST_BYTES:
        raise WeightsError(
            f"{path} unpacks to {size / 2**20:.0f} MiB, more than {_MOST_BYTES >> 20}. Save the "
            "weights alone: torch.save(model.state_dict(), FILE)."
        )
    # What a file says of the sizes in it must be true, but need not be.
    with bounded_memory(2 * size + _READING_BYTES):
        loaded, notes = _read(path)
    found, others = choose(loaded, path, key, layout)
    translated = translate(found.layout, found.state)
    return Checkpoint(
        path=path,
        layout=found.layout,
        state=translated.state,
        rest=translated.rest,
        outside=found.outside,
        theirs=translated.theirs,
        gaps=translated.gaps,
        notes={**found.said, **notes},
        classes=found.classes,
        sha256=sha256(path),
        key=found.key,
        others=others,
        left_out=left_out(loaded),
    )


def _read(path: Path) -> tuple[Any, dict[str, str]]:
    """What is in a file, and what a safetensors file says of it."""
    try:
        if path.suffix == ".pdparams":
            return read_paddle(path), {}
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                notes = dict(file.metadata() or {})
                return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118
        return read_torch(path), {}
    except WeightsError:
        raise
    except Exception as err:  # torch and safetensors raise many types for a bad file
        raise WeightsError(
            f"{path} is not a readable checkpoint ({_reason(err)}). Save a plain state dict: "
            "torch.save(model.state_dict(), FILE)."
        ) from err


def _unpacked_bytes(path: Path) -> int:
    """What is in a file, which may be a packed one."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return size
    try:
        with zipfile.ZipFile(path) as file:
            return max(size, sum(entry.file_size for entry in file.infolist()))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return size


def _reason(err: Exception) -> str:
    said = first_line(err, 160)
    # Some messages are but a number, and torch's first line on what it does not read says little.
    told = str(err).strip() and not said.isdecimal() and "Weights only load failed" not in said
    return said if told else "it is damaged, or no checkpoint at all"
