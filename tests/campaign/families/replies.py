"""Devices that lie, babble, stall or end, under every command that asks one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hostile.structure import dumped, mutated
from hostile.values import TEXTS

from campaign.case import Case
from campaign.families import board
from campaign.seeds import CLASSES, IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from campaign.case import Outcome, Sandbox
    from campaign.seeds import Seeds

_COMMANDS = ("bench", "bench", "evaluate", "evaluate", "doctor", "devices")
_RUDE = (
    b"SILENT",
    b"ENDLESS",
    b"FLOOD {}",
    b"ENDS",
    b"ENDS 3",
    b"STDERR \x1b[31m\\n\x1b]0;x\x07",
    b"",
)


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    fake = board.Board(seeds, sandbox)
    command = random.choice(_COMMANDS)
    says = [json.loads(fake.said())]
    if command == "evaluate":
        answers: list[Any] = board.logits(IMAGES, CLASSES)
    else:
        answers = board.replies()
    describing = command in ("doctor", "devices") or random.random() < 0.25
    lies = _lies(random, says if describing else answers)
    fake.describe = lies if describing else _lines(says)
    fake.model = _lines(answers) if describing else lies
    arguments = {
        "bench": ["bench", str(seeds.artifact), "--device", board.ADDRESS],
        "evaluate": [
            "evaluate",
            str(seeds.artifact),
            "--data",
            str(seeds.images),
            "--device",
            board.ADDRESS,
        ],
        "doctor": ["doctor", "--device", board.ADDRESS],
        "devices": ["devices", "test", board.ADDRESS],
    }[command]
    # Beside the artifact, where a bench keeps its records.
    seeds.copy(seeds.artifact, sandbox.work / "net")
    arguments = ["net" if one == str(seeds.artifact) else one for one in arguments]
    if random.random() < 0.6:
        arguments.append("--json")
    return Case(
        arguments=arguments,
        environment={"PATH": str(sandbox.root / "home")},
        prepare=fake.install,
        right=_right(command, arguments, seeds),
    )


def _lines(said: list[Any]) -> list[bytes]:
    return [json.dumps(one).encode() for one in said]


def _lies(random: Random, said: list[Any]) -> list[bytes]:
    """Valid replies of which one is not, or is no reply at all."""
    lines = _lines(said)
    # The first ones are those that are asked for in every run.
    index = random.randrange(min(len(lines), random.choice((1, 3, 8, 40))))
    kind = random.random()
    if kind < 0.7:
        lines[index] = dumped(random, mutated(random, said[index])).replace(b"\n", b" ")
    elif kind < 0.85:
        lines[index] = random.choice(_RUDE)
    elif kind < 0.95:
        error = {"error": random.choice(TEXTS), "missing": random.choice(TEXTS)}
        if random.random() < 0.5:
            del error["missing"]
        lines[index] = json.dumps(error).encode()
    else:
        lines[index:index] = [
            random.choice((b"Welcome to Raspberry Pi OS", b"\x1b[2J", b"[]", b"1"))
        ]
    return lines


def _right(
    command: str, arguments: list[str], seeds: Seeds
) -> Callable[[Outcome], str | None] | None:
    if "--json" not in arguments:
        return None

    def check(outcome: Outcome) -> str | None:
        found = json.loads(outcome.out)
        if command == "evaluate":
            # What ran here beside the device is not the device's to change.
            expected = seeds.evaluation
            same = found["data_sha256"] == expected["data_sha256"] and found["n"] == expected["n"]
            return None if same else "the images of the run are others"
        if command == "bench":
            wrong = [
                one for one in found.get("results", []) if not 0 < one["p50_ms"]["value"] < 1e9
            ]
            return f"a median of {wrong[0]['p50_ms']['value']} ms" if wrong else None
        return None

    return check
