"""Parameters that the library's messages name, as the command line calls them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARAMETER: Final = re.compile(r"`(\w+)(?:=([^`\s]+))?`")


def with_flags(message: str, command: click.Command) -> str:
    """`threads` becomes --threads, and `limit=9` --limit 9, where the command has such an option.

    A group has the options of all its commands.
    """
    options = {option.name: option for option in _options(command)}

    def flag(found: re.Match[str]) -> str:
        option = options.get(found[1])
        if option is None:
            return found[0]
        name = max(option.opts, key=len)
        return name if found[2] is None or option.is_flag else f"{name} {found[2]}"

    return _PARAMETER.sub(flag, message)


def _options(command: click.Command) -> Iterator[click.Option]:
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _options(one)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield parameter
