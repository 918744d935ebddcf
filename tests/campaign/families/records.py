"""Records of benches, for `report`, alone and against each other."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from hostile.content import mutated_bytes
from hostile.structure import mutated_lines

from campaign.case import Case

if TYPE_CHECKING:
    from random import Random

    from campaign.case import Outcome, Sandbox
    from campaign.seeds import Seeds


def case(random: Random, sandbox: Sandbox, seeds: Seeds) -> Case:
    records = sandbox.work / "records.jsonl"
    earlier = sandbox.work / "earlier.jsonl"
    against = random.random() < 0.4
    broken = random.choice((records, earlier)) if against else records
    for source, target in ((seeds.records, records), (seeds.earlier, earlier)):
        raw = source.read_bytes()
        target.write_bytes(_mutated(random, raw) if target == broken else raw)
    arguments = ["report", "records.jsonl"]
    if against:
        arguments += ["--against", "earlier.jsonl"]
    if random.random() < 0.7:
        return Case(arguments=[*arguments, "--json"], right=_sound)
    return Case(arguments=arguments)


def _mutated(random: Random, raw: bytes) -> bytes:
    return (mutated_lines if random.random() < 0.85 else mutated_bytes)(random, raw)


def _sound(outcome: Outcome) -> str | None:
    """No answer that contradicts itself."""
    found = json.loads(outcome.out)
    for one in found.get("results", []):
        values = [one[key]["value"] for key in ("p50_ms", "p90_ms", "p99_ms") if one.get(key)]
        if values != sorted(values) or any(value <= 0 for value in values):
            return f"percentiles {values}"
        if "n" in one and one["n"] < 1:
            return f"{one['n']} samples"
    wrong = next((where for where in _estimates(found) if where), None)
    return f"{wrong}: the value is outside of its interval" if wrong else None


def _estimates(value: Any, where: str = "") -> Any:
    if isinstance(value, dict):
        if {"value", "low", "high"} <= value.keys() and value["low"] is not None:
            numbers = (value["low"], value["value"], value["high"])
            if not all(map(math.isfinite, numbers)) or not numbers[0] <= numbers[1] <= numbers[2]:
                yield f"{where} {numbers}"
        for key, one in value.items():
            yield from _estimates(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _estimates(one, where)
