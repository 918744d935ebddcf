"""Mutations of files: as bytes, as a zip of members, as a protobuf message, as safetensors."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from hostile.structure import EXTREMES, mutated_json
from hostile.values import inserted

if TYPE_CHECKING:
    from random import Random

_BOMB = 400 * 2**20


def mutated_bytes(random: Random, raw: bytes, other: bytes = b"\x89PNG\r\n\x1a\n") -> bytes:
    """Cut, flipped, filled, moved or replaced; `other` is a valid file of another kind."""
    at = random.randint(0, len(raw))
    end = min(len(raw), at + random.choice((1, 4, 64, 4096)))
    kind = random.randrange(10)
    if kind == 0:
        return raw[:at]
    if kind == 1:
        return raw[:at] + raw[end:]
    if kind == 2:
        return raw[:at] + raw[at:end] * 2 + raw[end:]
    if kind == 3:
        return raw[:at] + random.choice((b"\x00", b"\xff", b"\x80")) * (end - at) + raw[end:]
    if kind == 4:
        wide = random.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**62, 2**64 - 1))
        return raw[:at] + struct.pack("<Q", wide) + raw[at + 8 :]
    if kind == 5:
        return random.choice((b"", b"\x00", b"\n", other, other[: len(other) // 2], raw + other))
    if kind == 6:
        return raw[:at] + random.randbytes(end - at) + raw[end:]
    changed = bytearray(raw)
    # Headers are small, and the interesting part of most files.
    reach = random.choice((64, 1024, len(raw)))
    for _ in range(random.choice((1, 2, 8))):
        if changed:
            changed[random.randrange(min(reach, len(changed)))] ^= 1 << random.randrange(8)
    return bytes(changed)


def mutated_zip(random: Random, raw: bytes) -> bytes:
    """A zip whose members, names or compression were changed; small, but perhaps a bomb."""
    if random.random() < 0.25:
        return mutated_bytes(random, raw)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    index = random.randrange(len(members))
    name, content = members[index]
    kind = random.choice(("content", "content", "lose", "double", "name", "bomb", "swap"))
    bomb = None
    if kind == "content":
        members[index] = (name, mutated_bytes(random, content, raw))
    elif kind == "lose":
        del members[index]
    elif kind == "double":
        members.append((name, mutated_bytes(random, content)))
    elif kind == "name":
        members[index] = (inserted(random, name).replace("\udcff", "?"), content)
    elif kind == "swap":
        other = random.randrange(len(members))
        members[index], members[other] = (name, members[other][1]), (members[other][0], content)
    else:
        bomb = index
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (entry, held) in enumerate(members):
            if number == bomb:
                _write_bomb(archive, entry, held)
            else:
                archive.writestr(entry, held)
    return out.getvalue()


def _write_bomb(archive: zipfile.ZipFile, name: str, held: bytes) -> None:
    with archive.open(name, "w", force_zip64=True) as member:
        # The true beginning, so that whoever looks at the header reads on.
        member.write(held[:128])
        for _ in range(_BOMB >> 22):
            member.write(bytes(1 << 22))


def png_bomb(side: int = 60_000) -> bytes:
    """A picture of a few kilobytes that claims side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000))), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def npy_bomb(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    """The header of an array without its data."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = header.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def mutated_safetensors(random: Random, raw: bytes) -> bytes:
    """The JSON header changed structurally, or its length, or the bytes."""
    if random.random() < 0.3:
        return mutated_bytes(random, raw)
    (length,) = struct.unpack("<Q", raw[:8])
    header = mutated_json(random, raw[8 : 8 + length])
    told = len(header) if random.random() < 0.9 else random.choice((0, 2**40, 2**63, length))
    return struct.pack("<Q", told) + header + raw[8 + length :]


def mutated_message(random: Random, message: Any, times: int | None = None) -> Any:
    """A copy of a protobuf message of any kind, changed in one to three places."""
    changed = type(message)()
    changed.CopyFrom(message)
    for _ in range(times or random.choice((1, 1, 2, 3))):
        _change_message(random, changed)
    return changed


def _change_message(random: Random, message: Any) -> None:
    while True:
        fields = [
            (field, value) for field, value in message.ListFields() if field.name != "doc_string"
        ]
        if not fields:
            return
        field, value = random.choice(fields)
        if field.type != field.TYPE_MESSAGE:
            _change_field(random, message, field, value)
            return
        repeated = field.is_repeated
        if random.random() < (0.25 if repeated else 0.05):
            _change_repeated(random, message, field, value, repeated=repeated)
            return
        message = random.choice(list(value)) if repeated else value


def _change_repeated(
    random: Random, message: Any, field: Any, value: Any, *, repeated: bool
) -> None:
    if not repeated or random.random() < 0.2:
        message.ClearField(field.name)
        return
    index = random.randrange(len(value))
    kind = random.choice(("lose", "double", "move"))
    if kind == "double":
        value.add().CopyFrom(value[index])
        return
    kept = type(value[index])()
    kept.CopyFrom(value[index])
    del value[index]
    if kind == "move":
        value.insert(random.randint(0, len(value)), kept)


def _change_field(random: Random, message: Any, field: Any, value: Any) -> None:
    items = list(value) if field.is_repeated else [value]
    index = random.randrange(len(items))
    items[index] = _other(random, items[index])
    if field.is_repeated:
        if random.random() < 0.3:
            items = random.choice((items[:-1], items * 2, [], [*items, items[0]]))
        del value[:]
        try:
            value.extend(items)
        except (ValueError, TypeError):
            message.ClearField(field.name)
        return
    try:
        setattr(message, field.name, items[0])
    except (ValueError, TypeError):
        message.ClearField(field.name)


def _other(random: Random, value: Any) -> Any:
    if isinstance(value, bytes):
        return mutated_bytes(random, value)
    if isinstance(value, str):
        return random.choice((inserted(random, value), "", "Relu", "Conv", "input", value[:-1]))
    if isinstance(value, float):
        return random.choice((*(e for e in EXTREMES if isinstance(e, float)), -value, value * 2))
    return random.choice((value + 1, value - 1, -value, 0, 1, 2, 3, 8, 2**31 - 1, -(2**31), 2**40))
