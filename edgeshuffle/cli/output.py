"""What commands print for programs, one JSON object with a schema version, and their errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

# Grows when a field is renamed, removed or means something else; new fields do not change it.
SCHEMA_VERSION: Final = 1


def echo_json(data: Mapping[str, Any], *, err: bool = False) -> None:
    """Print plain values; raises ValueError for NaN and infinities, which JSON does not have."""
    shown = {"schema_version": SCHEMA_VERSION, **data}
    click.echo(json.dumps(shown, indent=2, allow_nan=False), err=err)


def say(message: str) -> None:
    """One line for people on standard error, an error or a warning."""
    click.echo(f"edgeshuffle: {message}", err=True)
