"""`edgeshuffle devices`: names of devices."""

from __future__ import annotations

from pathlib import Path

import click

from edgeshuffle.cli import shared
from edgeshuffle.cli.output import echo_json
from edgeshuffle.device.inventory import (
    add_device,
    find_address,
    inventory_file,
    read_inventory,
    remove_device,
)


def device_options(command: click.decorators.FC) -> click.decorators.FC:
    """Add --device and --devices, which every command that uses a device has."""
    file = click.option(
        "--devices",
        "inventory",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Names of devices [default: edgeshuffle/devices.toml in the user's config folder].",
    )
    name = click.option(
        "--device",
        default="local",
        show_default=True,
        help="local, a name, ssh://[user@]host[:port], adb://[serial], emulated://pi3|pi4|pi5 or "
        "docker://[user@]host[:port]/image.",
    )
    return name(file(command))


def wait_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add --wait, which every command that changes a device has."""
    return click.option(
        "--wait",
        type=click.IntRange(0, 7 * 24 * 3600),
        default=0,
        metavar="SECONDS",
        help="If somebody else uses the device, wait for so long [default: do not].",
    )(command)


@click.group("devices", invoke_without_command=True)
@click.option("--devices", "inventory", type=click.Path(path_type=Path), metavar="FILE")
@shared.json_option
@click.pass_context
def command(ctx: click.Context, inventory: Path | None, *, as_json: bool) -> None:
    """List, name and test devices."""
    ctx.obj = inventory or inventory_file()
    if ctx.invoked_subcommand is None:
        _show(ctx.obj, as_json=as_json)


@command.command("list")
@shared.json_option
@click.pass_obj
def list_command(file: Path, *, as_json: bool) -> None:
    """Show every name and its address."""
    _show(file, as_json=as_json)


@command.command("add")
@click.argument("name")
@click.argument("address")
@click.pass_obj
def add_command(file: Path, name: str, address: str) -> None:
    """Call the device at ADDRESS by NAME."""
    add_device(file, name, address)
    click.echo(f"{name} is {address} ({file})")


@command.command("remove")
@click.argument("name")
@click.pass_obj
def remove_command(file: Path, name: str) -> None:
    """Forget NAME."""
    remove_device(file, name)
    click.echo(f"{name} is forgotten ({file})")


@command.command("test")
@click.argument("name")
@shared.json_option
@click.pass_obj
def test_command(file: Path, name: str, *, as_json: bool) -> None:
    """Connect to NAME and show what it is."""
    from dataclasses import asdict

    from edgeshuffle.cli.progress import stages
    from edgeshuffle.device import DeviceInfo, open_device

    with stages() as progress, open_device(find_address(name, file), progress) as device:
        info = DeviceInfo.of(device.describe())
    if as_json:
        echo_json({**asdict(info), "label": info.label})
    else:
        click.echo(f"{name}: {info.cpu}, {info.machine}, Python {info.python}: {info.label}")


def _show(file: Path, *, as_json: bool) -> None:
    names = {"local": "local", **read_inventory(file)}
    if as_json:
        echo_json({"file": str(file), "devices": names})
        return
    width = max(map(len, names))
    for name, address in names.items():
        click.echo(f"{name:{width}}  {address}")
