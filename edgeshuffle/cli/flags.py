"""Messages of the library in the words of the command line: `max_drop` is --max-drop here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


def with_flags(text: str, command: click.Command) -> str:
    """The text with options for the parameters in backticks that the command has options for."""
    flags = dict(_flags(command))
    return re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[0]), text)


def with_own_flags(text: str) -> str:
    """The same, for the command that runs."""
    return with_flags(text, click.get_current_context().command)


def _flags(command: click.Command) -> Iterator[tuple[str, str]]:
    for param in command.params:
        if isinstance(param, click.Option) and param.name is not None:
            yield param.name, max(param.opts, key=len)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _flags(inner)
