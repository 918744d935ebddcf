"""Messages of the library in the words of the command line: `max_drop` is --max-drop here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARAMETER: Final = re.compile(r"`(\w+)(?:=([^`\s]+))?`")


def with_flags(text: str, command: click.Command) -> str:
    """The text with options for the parameters in backticks that the command has options for.

    `limit=9` becomes --limit 9, and `labelled=False` the switch alone. A group has the options of
    all its commands.
    """
    options = {option.name: option for option in _options(command)}

    def flag(found: re.Match[str]) -> str:
        option = options.get(found[1])
        if option is None:
            return found[0]
        name = max(option.opts, key=len)
        return name if found[2] is None or option.is_flag else f"{name} {found[2]}"

    return _PARAMETER.sub(flag, text)


def with_own_flags(text: str) -> str:
    """The same, for the command that runs."""
    return with_flags(text, click.get_current_context().command)


def _options(command: click.Command) -> Iterator[click.Option]:
    for param in command.params:
        if isinstance(param, click.Option):
            yield param
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _options(inner)
