"""TFLite Metadata of a file, with the class names in the zip at its end."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.class_names import parse_class_names
from edgeshuffle.artifact.metadata import ENTRY, Metadata, check_labels, checked, with_entry
from edgeshuffle.artifact.metadata import schema as s
from edgeshuffle.artifact.preprocess import Preprocess
from edgeshuffle.untrusted import UntrustedError, quoted, read_bounded
from edgeshuffle.untrusted.flatbuffer import FlatTable

if TYPE_CHECKING:
    from pathlib import Path

# Offsets in flatbuffers are not longer.
_MOST_BYTES: Final = 2**31
_MOST_LABEL_BYTES: Final = 16 * 2**20
_PIXEL: Final = 255.0
# Metadata entries and associated files, whose names may be long and lie over each other.
_MOST_NAMED: Final = 100
# What readers of TFLite Metadata unpack.
_PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read(path: Path) -> Metadata:
    """What the file says; raises UntrustedError and OSError.

    Of a file of others, the picture is cropped as little as its input's shape allows, if it says
    how its values are normalised.
    """
    model = FlatTable.root(read_bounded(path, _MOST_BYTES), s.TFLITE_IDENTIFIER)
    buffers = list(model.tables(s.Model.BUFFERS))
    entries: dict[str, bytes] = {}
    for entry in model.tables(s.Model.METADATA, _MOST_NAMED):
        index = entry.number(s.Metadata.BUFFER, "I")
        if index >= len(buffers):
            raise UntrustedError("a metadata entry without its buffer")
        name = entry.text(s.Metadata.NAME)
        if name in (ENTRY, s.METADATA_NAME):
            entries[name] = buffers[index].content(s.Buffer.DATA)
    output = _tensor(model, s.SubGraph.OUTPUTS)
    found = Metadata(gives_bytes=output is not None and output[1] == s.TYPE_UINT8)
    if s.METADATA_NAME in entries:
        found = _read_standard(found, model, entries[s.METADATA_NAME], path)
    return with_entry(found, entries[ENTRY]) if ENTRY in entries else found


def _read_standard(found: Metadata, model: FlatTable, raw: bytes, path: Path) -> Metadata:
    told = FlatTable.root(raw, s.IDENTIFIER)
    others = {
        field.name.lower(): text
        for field in (s.ModelMetadata.VERSION, s.ModelMetadata.AUTHOR, s.ModelMetadata.LICENSE)
        if (text := told.text(field))
    }
    found = replace(
        found,
        name=told.text(s.ModelMetadata.NAME),
        description=told.text(s.ModelMetadata.DESCRIPTION),
        output="probabilities" if _ends_with_probabilities(model) else None,
        others=others,
    )
    graph = next(told.tables(s.ModelMetadata.SUBGRAPHS), None)
    if graph is None:
        return found
    first = next(graph.tables(s.SubGraphMetadata.INPUTS), None)
    given = _tensor(model, s.SubGraph.INPUTS)
    if given is not None and first is not None:
        shape, kind = given
        pixels = kind == s.TYPE_UINT8
        found = replace(
            found,
            input="pixels" if pixels else "normalised",
            preprocess=_preprocess(first, shape, pixels=pixels),
        )
    output = next(graph.tables(s.SubGraphMetadata.OUTPUTS), None)
    name = None if output is None else _label_file(output)
    return found if name is None else replace(found, labels=_labels(path, name))


def _tensor(model: FlatTable, ends: s.SubGraph) -> tuple[tuple[int, ...], int] | None:
    """Shape and type of the first input or output."""
    graph = next(model.tables(s.Model.SUBGRAPHS), None)
    indices = () if graph is None else graph.numbers(ends, "i")
    if graph is None or not indices:
        return None
    for index, tensor in enumerate(graph.tables(s.SubGraph.TENSORS)):
        if index == indices[0]:
            shape = tuple(int(size) for size in tensor.numbers(s.Tensor.SHAPE, "i"))
            return shape, tensor.number(s.Tensor.TYPE, "b")
    return None


def _ends_with_probabilities(model: FlatTable) -> bool:
    """Whether a Softmax or Sigmoid makes the first output, if need be in another type or shape."""
    graph = next(model.tables(s.Model.SUBGRAPHS), None)
    if graph is None:
        return False
    codes = [
        # Files from before there were more than 127 operators have the old code only.
        max(code.number(s.OperatorCode.OLD_CODE, "b"), code.number(s.OperatorCode.CODE, "i"))
        for code in model.tables(s.Model.OPERATOR_CODES)
    ]
    makers = {
        maker.first(s.Operator.OUTPUTS): maker for maker in graph.tables(s.SubGraph.OPERATORS)
    }
    place = graph.first(s.SubGraph.OUTPUTS)
    # Each is followed once, as a damaged file may go round in circles.
    while place is not None and (maker := makers.pop(place, None)) is not None:
        index = maker.number(s.Operator.CODE, "I")
        kind = codes[index] if index < len(codes) else None
        if kind not in s.PASSING:
            return kind in s.PROBABLE
        place = maker.first(s.Operator.INPUTS)
    return False


def _preprocess(told: FlatTable, shape: tuple[int, ...], *, pixels: bool) -> Preprocess | None:
    """How pictures for an input of this NHWC shape are normalised, if that is said."""
    content = told.table(s.TensorMetadata.CONTENT)
    image = None
    if content is not None and content.number(s.Content.PROPERTIES_TYPE, "B") == s.IMAGE:
        image = content.table(s.Content.PROPERTIES)
    if image is None or len(shape) != 4:
        return None
    spaces = {number: name for name, number in s.COLOR_SPACES.items()}
    channels = spaces.get(image.number(s.ImageProperties.COLOR_SPACE, "b"))
    mean, std = _normalisation(told)
    count = {"rgb": 3, "gray": 1}.get(channels or "")
    if channels is None or count != shape[3] or (not mean and not pixels):
        return None
    mean, std = mean or (0.0,), std or (1.0,)
    return checked(
        Preprocess(
            resize=min(shape[1:3]),
            crop=(shape[1], shape[2]),
            mean=_each(mean, count),
            std=_each(std, count),
            channels="rgb" if channels == "rgb" else "gray",
        )
    )


def _normalisation(told: FlatTable) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in told.tables(s.TensorMetadata.PROCESS_UNITS):
        options = unit.table(s.ProcessUnit.OPTIONS)
        kind = unit.number(s.ProcessUnit.OPTIONS_TYPE, "B")
        if options is not None and kind == s.NORMALIZATION:
            fields = (s.NormalizationOptions.MEAN, s.NormalizationOptions.STD)
            mean, std = (options.numbers(field, "f") for field in fields)
            return mean, std
    return (), ()


def _each(numbers: tuple[float, ...], count: int) -> tuple[float, ...]:
    """A number a channel, for values of 0 to 1."""
    whole = numbers * count if len(numbers) == 1 else numbers
    return tuple(number / _PIXEL for number in whole)


def _label_file(output: FlatTable) -> str | None:
    """The name of the first file with names of an axis; those without a language first."""
    files = [
        (file.text(s.AssociatedFile.LOCALE), file.text(s.AssociatedFile.NAME))
        for file in output.tables(s.TensorMetadata.FILES, _MOST_NAMED)
        if file.number(s.AssociatedFile.TYPE, "b") == s.AXIS_LABELS
    ]
    return min(files)[1] if files else None


def _labels(path: Path, name: str) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            raw = _unpacked(archive, name)
    # zipfile's errors for what is no archive, is encrypted or damaged.
    except (zipfile.BadZipFile, KeyError, RuntimeError, ValueError, EOFError, zlib.error) as err:
        raise UntrustedError(
            f"class names '{quoted(name)}' that are not there, or damaged"
        ) from err
    if len(raw) > _MOST_LABEL_BYTES:
        raise UntrustedError(f"class names of more than {_MOST_LABEL_BYTES} bytes")
    labels = parse_class_names(raw)
    check_labels(labels)
    return labels


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """At most one byte more than names may have."""
    if archive.getinfo(name).compress_type not in _PACKED:
        raise zipfile.BadZipFile("packed in a way of its own")
    with archive.open(name) as file:
        return file.read(_MOST_LABEL_BYTES + 1)
