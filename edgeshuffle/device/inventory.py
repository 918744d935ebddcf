"""Names of devices: `devices.toml`, with one table a name, and the defaults `pi` and `android`.

[kitchen]
address = "ssh://me@kitchen.local:2222"
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgeshuffle.device import DEVICES, check_address
from edgeshuffle.errors import ArtifactError, UnknownNameError
from edgeshuffle.host.atomic import atomic_file
from edgeshuffle.host.folders import config_folder, private_folder
from edgeshuffle.untrusted import UntrustedError, decode_toml, quoted, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tomlkit import TOMLDocument

DEFAULTS: Final = {"pi": "ssh://raspberrypi.local", "android": "adb://"}
_NAME: Final = re.compile(r"\w[\w.-]{0,99}")
_MOST_BYTES: Final = 1 << 20
_LOCK_S: Final = 10.0


@dataclass(frozen=True)
class _Device:
    address: str


def inventory_file() -> Path:
    """`devices.toml` in `$XDG_CONFIG_HOME/edgeshuffle` or `~/.config/edgeshuffle`."""
    return config_folder() / "devices.toml"


def read_inventory(file: Path) -> dict[str, str]:
    """Addresses by name, the defaults included; raises UnknownNameError for a bad file."""
    return {**DEFAULTS, **_own(file)}


def add_device(file: Path, name: str, address: str) -> None:
    """Give a name to an address; raises UnknownNameError and ArtifactError.

    Comments and other keys of the file stay.
    """
    if not _NAME.fullmatch(name) or name in DEVICES:
        raise UnknownNameError(
            f"'{quoted(name)}' cannot be a device's name. Use letters, digits, '-', '.' and '_', "
            f"and none of {', '.join(DEVICES)}."
        )
    _address(address)
    check_address(address)
    with _edited(file) as document:
        # A table of its own, or the key in the one that is there.
        document.setdefault(name, {})["address"] = address


def remove_device(file: Path, name: str) -> None:
    """Forget a name; raises UnknownNameError where the file does not have it."""
    with _edited(file) as document:
        if name not in document:
            raise UnknownNameError(
                f"{file} names no device '{quoted(name)}'. It has: {', '.join(document) or '-'}."
            )
        del document[name]


def find_address(text: str, file: Path) -> str:
    """The address of a name, or the address itself; raises UnknownNameError."""
    if "://" in text or text in DEVICES:
        return text
    names = read_inventory(file)
    if text in names:
        return names[text]
    known = (*DEVICES, *names)
    close = difflib.get_close_matches(text, known, 1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise UnknownNameError(
        f"Unknown device '{quoted(text)}'.{hint} Known: {', '.join(known)}. Name more with: "
        "edgeshuffle devices add."
    )


def _own(file: Path) -> dict[str, str]:
    try:
        devices = decode_toml(_read(file), dict[str, _Device])
    except UntrustedError as err:
        raise _unreadable(file, str(err)) from err
    return {name: _address(device.address) for name, device in devices.items()}


def _read(file: Path) -> bytes:
    """The file's text, or none where there is no file."""
    try:
        if not os.path.lexists(file):
            return b""
        # Reading a pipe or a terminal would wait for somebody to write.
        if not file.is_file():
            raise _unreadable(file, "it is no file")
        return read_bounded(file, _MOST_BYTES)
    except UntrustedError as err:
        raise _unreadable(file, str(err)) from err
    except OSError as err:
        raise _unreadable(file, err.strerror or str(err)) from err


def _document(file: Path) -> TOMLDocument:
    import tomlkit

    try:
        return tomlkit.parse(_read(file).decode())
    except ValueError as err:
        raise _unreadable(file, quoted(str(err))) from err


def _unreadable(file: Path, why: str) -> UnknownNameError:
    return UnknownNameError(
        f'{file} cannot be read ({why}). Every table needs a line such as address = "ssh://pi". '
        "Mend it, move it away, or name another file with `inventory`."
    )


def _address(text: str) -> str:
    if text.partition("://")[0] not in DEVICES:
        raise UnknownNameError(
            f"'{quoted(text)}' is no device's address. Addresses begin with {', '.join(DEVICES)}."
        )
    return text


@contextmanager
def _edited(file: Path) -> Iterator[TOMLDocument]:
    """Yield the file's content, and write what becomes of it, one process at a time."""
    import filelock
    import tomlkit

    # Beside the file, the lock would be left lying in a folder of the user's.
    lock = private_folder() / "devices.lock"
    try:
        with filelock.FileLock(lock, timeout=_LOCK_S):
            _own(file)
            document = _document(file)
            yield document
            text = tomlkit.dumps(document)
            # What could not be read any more is not written.
            decode_toml(text.encode(), dict[str, _Device])
            if file.exists() and not os.access(file, os.W_OK):
                raise ArtifactError(f"{file} is read-only. Name another file with `inventory`.")
            with atomic_file(file.resolve()) as temporary:
                temporary.write_text(text, "utf-8")
                if file.exists():
                    shutil.copymode(file, temporary)
    except UntrustedError as err:
        raise _unreadable(file, str(err)) from err
    except filelock.Timeout as err:
        raise ArtifactError(
            f"{file} is being changed by another process since {_LOCK_S:.0f} s. Try again."
        ) from err
