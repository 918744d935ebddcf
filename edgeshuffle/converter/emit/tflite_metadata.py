"""TFLite Metadata for others: name, description, normalisation in 0..255, and class names.

Class names lie in a zip at the file's end, stored as they are, as readers map them into memory.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import flatbuffers
import numpy as np

from edgeshuffle.artifact import LABELS
from edgeshuffle.artifact.class_names import class_names_text
from edgeshuffle.artifact.metadata import schema as s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeshuffle.artifact.metadata import Metadata
    from edgeshuffle.artifact.preprocess import Preprocess

_PIXEL: Final = 255
_READABLE: Final = 0o644 << 16


class _Field(NamedTuple):
    """A field's type in the schema, and its number or offset."""

    kind: Literal["Int8", "Uint8", "Uint32", "UOffsetTRelative"]
    value: int


def tflite_metadata(metadata: Metadata, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The flatbuffer of a file whose ends have these names; the same gives the same bytes."""
    return _Tables().model(metadata, inputs, outputs)


def with_labels(data: bytes, labels: Sequence[str]) -> bytes:
    """A file with class names at its end; as it was where there are none."""
    if not labels:
        return data
    whole = io.BytesIO(data)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(LABELS)
        entry.external_attr = _READABLE
        archive.writestr(entry, class_names_text(labels))
    return whole.getvalue()


class _Tables:
    """Tables of the schema, the inner ones first."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder()

    def model(self, metadata: Metadata, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
        """The whole."""
        read = [self._input(name, metadata) for name in inputs]
        given = [self._output(name, metadata) for name in outputs]
        graph = self._table(
            {
                s.SubGraphMetadata.INPUTS: self._vector(read),
                s.SubGraphMetadata.OUTPUTS: self._vector(given),
            }
        )
        root = self._table(
            {
                s.ModelMetadata.NAME: self._text(metadata.name),
                s.ModelMetadata.DESCRIPTION: self._text(metadata.description),
                s.ModelMetadata.SUBGRAPHS: self._vector([graph]),
                s.ModelMetadata.MIN_PARSER_VERSION: self._text(s.MIN_PARSER_VERSION),
            }
        )
        self._builder.Finish(root.value, s.IDENTIFIER)
        return bytes(self._builder.Output())

    def _input(self, name: str, metadata: Metadata) -> _Field:
        preprocess = metadata.preprocess
        assert preprocess is not None
        return self._table(
            {
                s.TensorMetadata.NAME: self._text(name),
                s.TensorMetadata.CONTENT: self._image(preprocess),
                s.TensorMetadata.PROCESS_UNITS: self._vector(
                    [self._normalisation(preprocess, pixels=metadata.input == "pixels")]
                ),
            }
        )

    def _image(self, preprocess: Preprocess) -> _Field:
        """BGR and RGBA have no number in the schema, and stay unknown."""
        height, width = preprocess.crop
        size = self._table(
            {
                s.ImageSize.WIDTH: _Field("Uint32", width),
                s.ImageSize.HEIGHT: _Field("Uint32", height),
            }
        )
        space = s.COLOR_SPACES.get(preprocess.channels, 0)
        image = self._table(
            {
                s.ImageProperties.COLOR_SPACE: _Field("Int8", space),
                s.ImageProperties.DEFAULT_SIZE: size,
            }
        )
        return self._table(
            {
                s.Content.PROPERTIES_TYPE: _Field("Uint8", s.IMAGE),
                s.Content.PROPERTIES: image,
            }
        )

    def _normalisation(self, preprocess: Preprocess, *, pixels: bool) -> _Field:
        """Of pixels of 0 to 255; none for a file that reads just these."""
        mean, std = preprocess.mean, preprocess.std
        in_pixels = [[_PIXEL * value for value in values] for values in (mean, std)]
        if pixels:
            in_pixels = [[0.0] * len(mean), [1.0] * len(std)]
        options = self._table(
            {
                s.NormalizationOptions.MEAN: self._numbers(in_pixels[0]),
                s.NormalizationOptions.STD: self._numbers(in_pixels[1]),
            }
        )
        return self._table(
            {
                s.ProcessUnit.OPTIONS_TYPE: _Field("Uint8", s.NORMALIZATION),
                s.ProcessUnit.OPTIONS: options,
            }
        )

    def _output(self, name: str, metadata: Metadata) -> _Field:
        fields: dict[int, _Field] = {s.TensorMetadata.NAME: self._text(name)}
        if metadata.output is not None:
            fields[s.TensorMetadata.DESCRIPTION] = self._text(metadata.output)
        if metadata.labels:
            file = self._table(
                {
                    s.AssociatedFile.NAME: self._text(LABELS),
                    s.AssociatedFile.TYPE: _Field("Int8", s.AXIS_LABELS),
                }
            )
            fields[s.TensorMetadata.FILES] = self._vector([file])
        return self._table(fields)

    def _table(self, fields: Mapping[int, _Field]) -> _Field:
        self._builder.StartObject(max(fields) + 1)
        for slot, (kind, value) in fields.items():
            getattr(self._builder, f"Prepend{kind}Slot")(slot, value, 0)
        return _Field("UOffsetTRelative", self._builder.EndObject())

    def _text(self, text: str) -> _Field:
        return _Field("UOffsetTRelative", self._builder.CreateString(text))

    def _numbers(self, numbers: Sequence[float]) -> _Field:
        vector = self._builder.CreateNumpyVector(np.array(numbers, np.float32))
        return _Field("UOffsetTRelative", vector)

    def _vector(self, tables: Sequence[_Field]) -> _Field:
        self._builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            self._builder.PrependUOffsetTRelative(table.value)
        return _Field("UOffsetTRelative", self._builder.EndVector())
