"""Manifests of artifacts: wrong types, lost keys, strange names, numbers beyond all bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hostile.content import mutated_bytes
from hostile.structure import dumped, mutated

from campaign.case import Case
from campaign.families import board
from campaign.families.answers import same_evaluation

if TYPE_CHECKING:
    from random import Random

    from campaign.case import Outcome, Sandbox
    from campaign.seeds import Seeds

# What these say decides what is measured, and only the user can know whether it is right.
_FREE = ("preprocess", "num_classes", "files", "quantization")
# Names that would put a file where it does not belong.
_ESCAPES = ("../x.onnx", "/tmp/x.onnx", "ort.py", "agent.py", "a/b.onnx", "\x1b[31m.onnx", ".", "")


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    folder = seeds.copy(seeds.artifact, sandbox.work / "net")
    manifest = folder / "manifest.json"
    raw = manifest.read_bytes()
    valid = json.loads(raw)
    told = valid
    kind = random.choice(("value", "value", "value", "value", "text", "bytes", "path", "file"))
    if kind in ("value", "text"):
        told = mutated(random, valid)
        raw = (
            dumped(random, told)
            if kind == "text"
            else json.dumps(told).encode("utf-8", "surrogatepass")
        )
    elif kind == "bytes":
        raw = mutated_bytes(random, raw)
    elif kind == "path":
        entry = random.choice(valid["files"])
        name = random.choice(_ESCAPES)
        old = folder / entry["path"]
        # The file is there, with the hash that the manifest says.
        if name and "/" not in name and name != ".":
            old.rename(folder / name)
        entry["path"] = name
        raw = json.dumps(valid).encode()
    elif random.random() < 0.5:
        manifest.unlink()
        manifest.symlink_to(random.choice(("/dev/zero", "manifest.json", "/nowhere", "/dev/null")))
    else:
        manifest.unlink()
        random.choice((manifest.mkdir, lambda: None))()
    if kind != "file":
        manifest.write_bytes(raw)
    fake = board.Board(seeds, sandbox)
    commands = {
        "evaluate": ["evaluate", "net", "--data", str(seeds.images), "--json"],
        "inspect": ["inspect", "net"],
        "compare": ["compare", "net", "--data", str(seeds.images), "--limit", "2", "--json"],
        "bench": ["bench", "net", "--device", board.ADDRESS, "--json"],
        "export": [
            "export",
            "--onnx",
            str(seeds.model),
            "-o",
            "net",
            "--overwrite",
            "--format",
            "onnx",
        ],
    }
    command = random.choice(
        ("evaluate", "evaluate", "inspect", "inspect", "compare", "bench", "export")
    )

    def right(outcome: Outcome) -> str | None:
        if kind == "path":
            return "a file of that name was taken" if command != "inspect" else None
        if command != "evaluate" or kind == "file":
            return None
        try:
            now = json.loads(raw)
        except ValueError:
            return "a manifest that is no JSON was taken"
        original = json.loads((seeds.artifact / "manifest.json").read_text())
        if any(now.get(key) != original.get(key) for key in _FREE):
            return None
        return same_evaluation(outcome, seeds)

    return Case(
        arguments=commands[command],
        environment={"PATH": str(sandbox.root / "home")},
        prepare=fake.install,
        changes=("net",) if command == "export" else (),
        right=right if command != "export" else None,
    )
