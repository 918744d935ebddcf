"""`devices.toml`: read by every command with --device, changed by `devices add` and `remove`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from hostile import values
from hostile.content import mutated_bytes

from campaign.case import Case
from campaign.families import board

if TYPE_CHECKING:
    from random import Random

    from campaign.case import Outcome, Sandbox
    from campaign.seeds import Seeds

_VALID = """# The board in the kitchen.
[kitchen]
address = "ssh://board"   # by name
note = "mine"

[garage]
address = "ssh://me@garage.local:2222"

[phone]
address = 'adb://SERIAL'
"""
_STRANGE = (
    *("a = 1", "[[kitchen]]", "[kitchen]", "[x]\naddress = 1", "[x]\naddress = 1979-05-27", "[x]"),
    *(
        '"" = {address = "ssh://x"}',
        "kitchen.address = 5",
        'address = "ssh://x"',
        "[x]\naddress = nan",
    ),
    *(
        '[x]\naddress = "\\u001b[31mssh://x"',
        '["\\u001b[31m"]\naddress = "ssh://x"',
        "[a.b]\nc = 1",
    ),
    *('[x]\naddress = """\nssh://x"""', "x = [[[[[]]]]]", "[local]\naddress = 'ssh://x'", "\r"),
    *("x = " + "[" * 5_000 + "]" * 5_000, "x = " + "9" * 5_000, "[pi]\naddress = 'ssh://\u202ex'"),
)


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    file = sandbox.work / "devices.toml"
    kind = random.choice(("bytes", "lines", "lines", "valid", "text"))
    raw = _VALID.encode()
    if kind == "bytes":
        raw = mutated_bytes(random, raw)
    elif kind == "lines":
        lines = _VALID.splitlines()
        lines.insert(random.randint(0, len(lines)), random.choice(_STRANGE))
        raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    elif kind == "text":
        raw = values.inserted(random, _VALID).encode("utf-8", "surrogateescape")
    file.write_bytes(raw)
    name = random.choice(("kitchen", "garage", "new", "new-2", random.choice(values.TEXTS)))
    address = random.choice(("ssh://me@host", "adb://", random.choice(values.ADDRESSES)))
    action = random.choice(("list", "add", "add", "remove", "test", "bench", "doctor", "evaluate"))
    before = _parsed(raw)
    own = ["devices", "--devices", "devices.toml", action]
    found = {
        "list": own + ["--json"] * random.randint(0, 1),
        "add": [*own, name, address],
        "remove": [*own, name],
        "test": [*own, name],
        "bench": ["bench", str(seeds.artifact), "--device", name, "--devices", "devices.toml"],
        "evaluate": [
            "evaluate",
            str(seeds.artifact),
            "--device",
            name,
            "--devices",
            "devices.toml",
        ],
        "doctor": ["doctor", "--device", name, "--devices", "devices.toml"],
    }[action]

    def kept(outcome: Outcome) -> str | None:
        now = file.read_bytes() if file.exists() else b""
        if outcome.code or action not in ("add", "remove"):
            return None if now == raw else "the file was changed by a command that failed"
        parsed = _parsed(now)
        if before is None or parsed is None:
            return "the file that was written, or accepted, is no TOML"
        for other in before.keys() - {name}:
            if parsed.get(other) != before[other]:
                return f"what the file says of {other!r} is lost"
        comment = b"# The board in the kitchen."
        if comment in raw and comment not in now and not (action == "remove" and name == "kitchen"):
            return "a comment is lost"
        if action == "add" and parsed.get(name, {}).get("address") != address:
            return "the name was not added"
        return "the name is still there" if action == "remove" and name in parsed else None

    fake = board.Board(seeds, sandbox)
    return Case(
        arguments=found,
        environment={"PATH": str(sandbox.root / "home")},
        prepare=fake.install,
        changes=("devices.toml",),
        after=kept,
    )


def _parsed(raw: bytes) -> dict[str, object] | None:
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
