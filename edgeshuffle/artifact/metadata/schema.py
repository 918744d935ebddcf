"""Fields of the tables in TFLite Metadata and in the TFLite files around it, in their order.

From metadata_schema.fbs (file identifier M001) of tflite-support and MediaPipe, and schema.fbs
(TFL3) of TensorFlow Lite. Deprecated and unused fields at the end of tables are left out.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

IDENTIFIER: Final = b"M001"
TFLITE_IDENTIFIER: Final = b"TFL3"
# The name of the buffer in a TFLite file.
METADATA_NAME: Final = "TFLITE_METADATA"
# What has associated files and normalisation needs no later parser.
MIN_PARSER_VERSION: Final = "1.0.0"


class ModelMetadata(IntEnum):
    NAME, DESCRIPTION, VERSION, SUBGRAPHS, AUTHOR, LICENSE, FILES, MIN_PARSER_VERSION = range(8)


class SubGraphMetadata(IntEnum):
    NAME, DESCRIPTION, INPUTS, OUTPUTS = range(4)


class TensorMetadata(IntEnum):
    NAME, DESCRIPTION, DIMENSION_NAMES, CONTENT, PROCESS_UNITS, STATS, FILES = range(7)


class AssociatedFile(IntEnum):
    NAME, DESCRIPTION, TYPE, LOCALE = range(4)


class Content(IntEnum):
    PROPERTIES_TYPE, PROPERTIES = range(2)


class ImageProperties(IntEnum):
    COLOR_SPACE, DEFAULT_SIZE = range(2)


class ImageSize(IntEnum):
    WIDTH, HEIGHT = range(2)


class ProcessUnit(IntEnum):
    OPTIONS_TYPE, OPTIONS = range(2)


class NormalizationOptions(IntEnum):
    MEAN, STD = range(2)


IMAGE: Final = 2
NORMALIZATION: Final = 1
AXIS_LABELS: Final = 2
COLOR_SPACES: Final = {"rgb": 1, "gray": 2}


class Model(IntEnum):
    VERSION, OPERATOR_CODES, SUBGRAPHS, DESCRIPTION, BUFFERS, _BUFFERS, METADATA = range(7)


class Metadata(IntEnum):
    NAME, BUFFER = range(2)


class Buffer(IntEnum):
    DATA = 0


class SubGraph(IntEnum):
    TENSORS, INPUTS, OUTPUTS, OPERATORS = range(4)


class OperatorCode(IntEnum):
    OLD_CODE, CUSTOM, VERSION, CODE = range(4)


class Operator(IntEnum):
    CODE, INPUTS, OUTPUTS = range(3)


class Tensor(IntEnum):
    SHAPE, TYPE = range(2)


TYPE_UINT8: Final = 3
# Operators' codes: SOFTMAX and LOGISTIC; RESHAPE, QUANTIZE and DEQUANTIZE.
PROBABLE: Final = {25, 14}
PASSING: Final = {22, 114, 6}
