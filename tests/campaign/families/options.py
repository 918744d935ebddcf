"""Every option and argument of every command, as the command line itself lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from hostile import values

from campaign.case import HANG_SECONDS, Case
from campaign.families import board

if TYPE_CHECKING:
    from random import Random

    from campaign.case import Sandbox
    from campaign.seeds import Seeds

# Less time than a case may take, and nothing that is not hostile.
_VALID = {
    "export": "--onnx {model} --format onnx -o out",
    "evaluate": "{artifact} --data {images} --limit 3",
    "classify": "{pictures} --artifact {artifact}",
    "app": "{artifact} -o out",
    "bench": "net --runtime ort --device ssh://board",
    "guidelines": "--size small --only g2 --precision fp32 --runtime ort --device ssh://board",
    "report": "{records}",
    "devices": "list",
    "doctor": "",
    "setup": "",
    "sensitivity": "{artifact} --data {images} --limit 2",
    "compare": "{artifact} --data {images} --limit 2",
    "image": "build runner",
    "inspect": "{artifact}",
    "profile": "{artifact} --runtime ort --precision fp32 --layers 3",
    "zoo": "{artifact} --width 0.5",
}
_GROUPS = {"devices": ("list", "add", "remove", "test"), "image": ("build", "run")}


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    name = random.choice(list(_VALID))
    valid = _VALID[name].format(
        model=seeds.model,
        pictures=seeds.pictures,
        artifact=seeds.artifact,
        images=seeds.images,
        records=seeds.records,
    )
    if name == "bench":
        # Records are kept beside the artifact.
        seeds.copy(seeds.artifact, sandbox.work / "net")
    arguments = [name, *valid.split()]
    command = _command(name)
    if name in _GROUPS:
        inner = random.choice(_GROUPS[name])
        arguments[1:] = [inner]
        command = command.get_command(click.Context(command), inner)
        if name == "devices" and random.random() < 0.3:
            arguments[1:1] = ["--devices", _path(random, sandbox)]
    for _ in range(random.choice((1, 1, 2, 3))):
        parameter = random.choice(command.params)
        added = _hostile(random, sandbox, seeds, parameter)
        # Instead of the valid one, where there is one.
        first = isinstance(parameter, click.Argument) and len(arguments) > 1
        if first and name not in _GROUPS and not arguments[1].startswith("-"):
            del arguments[1]
        arguments += added
    if random.random() < 0.05:
        arguments.append(values.text(random))
    if random.random() < 0.3:
        arguments.append("--json")
    fake = board.Board(seeds, sandbox)
    return Case(
        arguments=[one.replace("\0", "") for one in arguments],
        environment=_environment(random, sandbox),
        prepare=fake.install,
        writes=("out", "build", *_names(arguments)),
        # Networks of the largest size take that long to build.
        patience=60.0 if name == "guidelines" else HANG_SECONDS,
    )


def _names(arguments: list[str]) -> list[str]:
    """What a command may take for a file's name here, or for the folder that it makes for one: also
    what is joined to its option.
    """
    joined = [one.partition("=")[2] for one in arguments if one.startswith("--")]
    return [first for one in (*arguments, *joined) if (first := one.partition("/")[0])]


def _command(name: str) -> click.Command:
    from edgeshuffle.cli import main

    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


def _hostile(
    random: Random, sandbox: Sandbox, seeds: Seeds, parameter: click.Parameter
) -> list[str]:
    value = _value(random, sandbox, seeds, parameter)
    if isinstance(parameter, click.Argument):
        return [value]
    option = random.choice(parameter.opts)
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [option]
    return (
        [f"{option}={value}"]
        if option.startswith("--") and random.random() < 0.5
        else [option, value]
    )


def _value(random: Random, sandbox: Sandbox, seeds: Seeds, parameter: click.Parameter) -> str:
    kind = parameter.type
    if random.random() < 0.15:
        return values.text(random)
    if parameter.name in ("device", "address"):
        return random.choice((*values.ADDRESSES, *values.TEXTS))
    if isinstance(kind, click.Choice):
        return random.choice([*map(str, kind.choices), *values.TEXTS])
    if isinstance(kind, click.Path):
        valid = [seeds.artifact, seeds.model, seeds.images, seeds.pictures, seeds.records]
        if kind.writable:
            # Other cases need the valid ones as they are.
            valid = [sandbox.work / "out"]
        return random.choice(
            (_path(random, sandbox), _path(random, sandbox), str(random.choice(valid)))
        )
    if kind.name in ("integer", "float", "integer range", "float range"):
        return values.number(random)
    return random.choice((*values.LISTS, *values.TEXTS))


def _path(random: Random, sandbox: Sandbox) -> str:
    return random.choice(values.paths(sandbox.things))


def _environment(random: Random, sandbox: Sandbox) -> dict[str, str]:
    """Now and then, a home or a folder that is none, and a path without programs."""
    found = {"PATH": str(sandbox.root / "home")}
    if random.random() < 0.1:
        name = random.choice(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"))
        found[name] = random.choice(
            ("", "/proc/1", "/dev/null", "relative", str(sandbox.root / "a b%h"))
        )
    if random.random() < 0.1:
        found["COLUMNS"] = random.choice(("0", "1", "-1", "x", "999999999"))
    return found
