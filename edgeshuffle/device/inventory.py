"""Names of devices: `devices.toml`, with one table a name, and the defaults `pi` and `android`.

[kitchen]
address = "ssh://me@kitchen.local:2222"
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Final

from edgeshuffle.atomic import atomic_file
from edgeshuffle.device import DEVICES
from edgeshuffle.errors import UnknownNameError

DEFAULTS: Final = {"pi": "ssh://raspberrypi.local", "android": "adb://"}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def inventory_file() -> Path:
    """`devices.toml` in `$XDG_CONFIG_HOME/edgeshuffle` or `~/.config/edgeshuffle`."""
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "edgeshuffle" / "devices.toml"


def read_inventory(file: Path) -> dict[str, str]:
    """Addresses by name, the defaults included; raises UnknownNameError for a bad file."""
    if not file.exists():
        return dict(DEFAULTS)
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
        return {**DEFAULTS, **{name: _address(table["address"]) for name, table in tables.items()}}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise UnknownNameError(
            f'{file} cannot be read ({err}). Every table needs a line such as address = "ssh://pi".'
        ) from err


def add_device(file: Path, name: str, address: str) -> None:
    """Give a name to an address; raises UnknownNameError and ArtifactError."""
    if not _NAME.fullmatch(name) or name in DEVICES:
        raise UnknownNameError(
            f"'{name}' cannot be a device's name. Use letters, digits, - and _, and none of "
            f"{', '.join(DEVICES)}."
        )
    _write(file, {**_own(file), name: _address(address)})


def remove_device(file: Path, name: str) -> None:
    """Forget a name; raises UnknownNameError where the file does not have it."""
    own = _own(file)
    if name not in own:
        raise UnknownNameError(f"{file} names no device '{name}'. It has: {', '.join(own) or '-'}.")
    _write(file, {known: address for known, address in own.items() if known != name})


def resolve(text: str, file: Path) -> str:
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
        f"Unknown device '{text}'.{hint} Known: {', '.join(known)}. Name more with: edgeshuffle "
        "devices add."
    )


def _own(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    names = set(tomllib.loads(file.read_text("utf-8")))
    return {name: address for name, address in read_inventory(file).items() if name in names}


def _address(text: object) -> str:
    if not isinstance(text, str) or text.partition("://")[0] not in DEVICES:
        raise UnknownNameError(
            f"'{text}' is no device's address. Addresses begin with {', '.join(DEVICES)}."
        )
    return text


def _write(file: Path, own: dict[str, str]) -> None:
    # A JSON string is a TOML basic string, too.
    tables = [f"[{name}]\naddress = {json.dumps(address)}\n" for name, address in own.items()]
    with atomic_file(file) as temporary:
        temporary.write_text("\n".join(tables), "utf-8")
