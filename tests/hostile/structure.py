"""Mutations of JSON values: types swapped, keys lost or doubled, numbers and depth unbounded."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hostile.values import TEXTS, inserted

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_DEEP = 2_000
EXTREMES = (
    *(0, -1, 1, 0.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1),
    *(10**30, 10**400, float("nan"), float("inf"), float("-inf")),
)
ODD: tuple[Any, ...] = (None, True, False, "", "0", "1", [], {}, [None], [[]], {"": {}}, [0], ["x"])


def mutated(random: Random, value: Any, times: int | None = None) -> Any:
    """A copy of a JSON value that was changed in one to three places."""
    # The holder makes the whole value one of the places.
    holder = [deepcopy(value)]
    for _ in range(times or random.choice((1, 1, 1, 2, 3))):
        place, key = _place(random, holder)
        _change(random, place, key)
    return holder[0] if holder else None


def dumped(random: Random, value: Any) -> bytes:
    """JSON text of a value, which now and then is changed as text, too."""
    try:
        raw = json.dumps(value).encode("utf-8", "surrogatepass")
    except ValueError:
        # Deeper or longer than Python's own encoder takes: what comes from outside may be so.
        raw = b"[" * _DEEP
    return _as_text(random, raw) if random.random() < 0.25 else raw


def mutated_json(random: Random, raw: bytes) -> bytes:
    """JSON text with one to three changes."""
    return dumped(random, mutated(random, json.loads(raw)))


def mutated_lines(random: Random, raw: bytes) -> bytes:
    """JSON lines: one of them changed, lost, doubled, moved or cut."""
    lines = raw.splitlines()
    index = random.randrange(len(lines)) if lines else 0
    change = random.choice(("value", "value", "value", "value", "lines", "ends"))
    if change == "value" and lines:
        lines[index] = mutated_json(random, lines[index])
    elif change == "lines" and lines:
        action = random.choice(("lose", "double", "move", "join", "blank", "half"))
        if action == "lose":
            del lines[index]
        elif action == "double":
            lines.insert(index, lines[index])
        elif action == "move":
            lines.append(lines.pop(index))
        elif action == "join":
            lines[index : index + 2] = [b"".join(lines[index : index + 2])]
        elif action == "blank":
            lines.insert(index, random.choice((b"", b" ", b"null", b"[]", b"{}", b"\x00")))
        else:
            lines[index] = lines[index][: random.randrange(len(lines[index]) + 1)]
    ends = random.choice((b"\n", b"\r\n", b"\n\n", b"\x0b")) if change == "ends" else b"\n"
    return ends.join(lines) + (b"" if random.random() < 0.1 else ends)


def _place(random: Random, holder: list[Any]) -> tuple[Any, Any]:
    """A container and a key or index of it, found by walking down at random."""
    place: Any = holder
    while True:
        key = (
            random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        )
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.2:
            return place, key
        place = inner


def _change(random: Random, place: Any, key: Any) -> None:
    kinds: list[Callable[[], None]] = [
        lambda: place.__setitem__(key, deepcopy(random.choice(ODD))),
        lambda: place.__setitem__(key, random.choice(EXTREMES)),
        lambda: place.__setitem__(key, _like(random, place[key])),
        lambda: place.__setitem__(key, _like(random, place[key])),
        lambda: place.__delitem__(key),
        lambda: _grow(random, place, key),
        lambda: place.__setitem__(key, _nested(random, place[key])),
    ]
    random.choice(kinds)()
    if isinstance(place, list) and not place:
        place.append(deepcopy(random.choice(ODD)))


def _like(random: Random, value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        wide = float(value) if abs(value) < 2**1000 else 0.5
        return random.choice((-value, value + 1, value * 10**6, value // 2, wide, str(value)))
    if isinstance(value, float):
        whole = int(value) if math.isfinite(value) else 0
        return random.choice((-value, value * 1e6, value + 1, 1e308, whole, str(value)))
    if isinstance(value, str):
        return random.choice(
            (inserted(random, value), value[:-1], random.choice(TEXTS), value * 99)
        )
    if isinstance(value, list):
        return random.choice((value[:-1], value[::-1], value * 2, value * 50, [value], value[:1]))
    if isinstance(value, dict):
        return random.choice(
            ({}, list(value), {"x": value}, {key.upper(): value[key] for key in value})
        )
    return random.choice(EXTREMES)


def _grow(random: Random, place: Any, key: Any) -> None:
    if isinstance(place, list):
        place.insert(key, deepcopy(random.choice((place[key], *ODD))))
    else:
        place[random.choice((*TEXTS, *place))] = deepcopy(place[key])


def _nested(random: Random, value: Any) -> Any:
    for _ in range(random.choice((1, 3, 200))):
        value = [value] if random.random() < 0.5 else {"x": value}
    return value


def _as_text(random: Random, raw: bytes) -> bytes:
    at = random.randint(0, len(raw))
    deep = random.choice((100, 2_000, 100_000))
    return random.choice(
        (
            raw[:at],
            raw + raw,
            b"\xef\xbb\xbf" + raw,
            raw[:at] + b"\xff\xfe" + raw[at:],
            raw[:at] + b"\x00" + raw[at:],
            raw.replace(b"1", b"1e999", 1),
            raw.replace(b"0", b"-NaN", 1),
            raw.replace(b"1", b"9" * 5_000, 1),
            raw.replace(b":", b": " + b"[" * deep + b"]" * deep + b', "x":', 1),
            raw.replace(b'"', b"'"),
            raw.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass"),
            b"",
        )
    )
