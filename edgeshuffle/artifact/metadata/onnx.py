"""`metadata_props` of an ONNX file, found without reading its graph.

A ModelProto is a sequence of fields, each with its length (protobuf's wire format); entries of
`metadata_props` are its field 14, StringStringEntryProto (onnx.proto).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.metadata import ENTRY, Metadata, check_labels, entry_of, with_entry
from edgeshuffle.untrusted import UntrustedError, clean, decode, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PROPS: Final = 14
_NAME, _DESCRIPTION, _LABELS = "name", "description", "labels"
# protobuf's own limit.
_MOST_BYTES: Final = 2**31
_MOST_ENTRIES: Final = 1000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def properties(metadata: Metadata) -> dict[str, str]:
    """The entries to write."""
    told = {_NAME: metadata.name, _DESCRIPTION: metadata.description, ENTRY: entry_of(metadata)}
    if metadata.labels:
        told[_LABELS] = json.dumps(metadata.labels, ensure_ascii=False)
    return told


def read(path: Path) -> Metadata:
    """What the file says; raises UntrustedError and OSError."""
    raw = read_bounded(path, _MOST_BYTES)
    entries: dict[str, str] = {}
    for number, content in _fields(raw):
        if number == _PROPS:
            entry = dict(_fields(content))
            key, value = (entry.get(part, b"").decode("utf-8", "replace") for part in (1, 2))
            entries[key] = value
            if len(entries) > _MOST_ENTRIES:
                raise UntrustedError(f"more than {_MOST_ENTRIES} entries in metadata_props")
    return of_properties(entries)


def of_properties(entries: Mapping[str, str]) -> Metadata:
    """What entries say, as `InferenceSession.get_modelmeta().custom_metadata_map` gives them.

    Raises UntrustedError. Names and labels are taken from our own files only: other tools have
    other forms for entries of these names.
    """
    if ENTRY not in entries:
        return Metadata(others={clean(key): clean(value) for key, value in entries.items()})
    labels = decode(entries.get(_LABELS, "[]"), tuple[str, ...])
    check_labels(labels)
    own = {_NAME, _DESCRIPTION, _LABELS, ENTRY}
    found = Metadata(
        name=clean(entries.get(_NAME, "")),
        description=clean(entries.get(_DESCRIPTION, "")),
        labels=labels,
        others={clean(key): clean(entries[key]) for key in entries if key not in own},
    )
    return with_entry(found, entries[ENTRY])


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field with a length; raises UntrustedError."""
    view, place = memoryview(raw), 0
    while place < len(raw):
        tag, place = _varint(raw, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(raw, place)
        elif kind == _BYTES:
            length, place = _varint(raw, place)
            if place + length > len(raw):
                raise UntrustedError("a field that goes beyond the end")
            if tag >> 3 in (1, 2, _PROPS):
                yield tag >> 3, bytes(view[place : place + length])
            place += length
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        else:
            raise UntrustedError("no protobuf")


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and where it ends."""
    found = 0
    for shift in range(0, 64, 7):
        if place >= len(raw):
            break
        found |= (raw[place] & 0x7F) << shift
        place += 1
        if raw[place - 1] < 0x80:
            return found, place
    raise UntrustedError("a number that does not end")
