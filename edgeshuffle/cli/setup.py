"""`edgeshuffle setup`: put the runtimes on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.devices import device_options, wait_option
from edgeshuffle.cli.output import echo_json

if TYPE_CHECKING:
    from pathlib import Path


@click.command("setup")
@device_options
@wait_option
@shared.json_option
def command(device: str, inventory: Path | None, wait: int, *, as_json: bool) -> None:
    """Put the inference runtimes that fit a device into a private folder there.

    They are fetched here, so the device needs no network. `bench` and `evaluate` do this too when
    they find nothing there.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.device import open_device
    from edgeshuffle.device.inventory import find_address, inventory_file

    with stages() as progress:
        address = find_address(device, inventory or inventory_file())
        with open_device(address, progress) as opened:
            place = opened.set_up(wait)
    if as_json:
        echo_json({"device": address, "packages": place})
    else:
        click.echo(f"{address} is ready: runtimes in {place}")
