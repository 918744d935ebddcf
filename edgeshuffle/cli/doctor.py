"""`edgeshuffle doctor`: what a device is good for, and what to mend."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.devices import device_options
from edgeshuffle.cli.output import echo_json

if TYPE_CHECKING:
    from pathlib import Path

    from edgeshuffle.payload.wheels import Choice


@click.command("doctor")
@device_options
@shared.json_option
def command(device: str, inventory: Path | None, *, as_json: bool) -> None:
    """Check whether a device can run the models fast and be measured well.

    The exit code is 11 where there is a problem, and 0 where there are warnings at most.
    """
    from edgeshuffle.cli.progress import stages
    from edgeshuffle.device import open_device
    from edgeshuffle.device.doctor import examine
    from edgeshuffle.device.inventory import find_address, inventory_file
    from edgeshuffle.errors import DeviceError, GateError

    address = find_address(device, inventory or inventory_file())
    with stages() as progress, open_device(address, progress) as opened:
        described = opened.describe()
        offered: Choice | str | None
        try:
            offered = opened.choose()
        except DeviceError as err:
            offered = str(err)
    findings = examine(described, offered)
    problems = [finding for finding in findings if finding.level == "problem"]
    if as_json:
        shown = {"device": address, "findings": [asdict(finding) for finding in findings]}
        echo_json(shown)
    else:
        click.echo(f"{described.cpu} ({address})")
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            fix = f": {finding.fix}" if finding.fix else ""
            click.echo(f"{finding.level:8} {finding.check:{width}}  {finding.text}{fix}")
    if problems:
        raise GateError(f"{address} has {len(problems)} problem(s): {problems[0].text}.")
