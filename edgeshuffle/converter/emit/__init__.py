"""Writers of model files: one graph and one plan in, bytes out; nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from edgeshuffle.plugins import Table

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact.metadata import Metadata
    from edgeshuffle.converter.emit.emitted import Emitted
    from edgeshuffle.converter.plan import QuantPlan


class Emitter(Protocol):
    """Writes one format: floats without a plan, INT8 with one. `choices` are the format's own.

    `metadata` is what the file says of itself; with `pixels` it reads uint8 NHWC, of a graph that
    reads pixels. `PRECISIONS` are those that pay in its runtime.
    """

    SUFFIX: str
    PRECISIONS: tuple[str, ...]

    def emit(
        self,
        model: ir.Model,
        plan: QuantPlan | None,
        *,
        metadata: Metadata | None = None,
        pixels: bool = False,
        **choices: str,
    ) -> Emitted: ...


# How INT8 ONNX may be written, and the type of its integers.
ONNX_STYLES: Final = ("qdq", "qoperator")
ONNX_ACTIVATIONS: Final = ("uint8", "int8")

EMITTERS: Table[Emitter] = Table("format", __name__, "export", "onnx", "tflite")
