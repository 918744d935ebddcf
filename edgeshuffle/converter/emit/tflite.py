"""TFLite: fp32, fp16 with float32 ends, or INT8 with int8 ends, with layers left in float, written
as a flatbuffer.

Values are NHWC. Everything is rank 4 until the last Reshape, as XNNPACK and the GPU delegates
want it. PyTorch pads both sides of a stride-2 window; TFLite's SAME pads an even size only at the
end, so those windows get a PAD, of just the pixels they really reach, and VALID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgeshuffle.artifact.metadata import ENTRY, entry_of
from edgeshuffle.artifact.metadata.schema import METADATA_NAME
from edgeshuffle.converter.emit import tflite_bytes
from edgeshuffle.converter.emit.emitted import Emitted
from edgeshuffle.converter.emit.nhwc import NhwcWriter
from edgeshuffle.converter.emit.tflite_metadata import tflite_metadata, with_labels
from edgeshuffle.converter.operators import operator_of
from edgeshuffle.converter.operators.fused import is_fused

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgeshuffle.artifact.metadata import Metadata
    from edgeshuffle.converter.plan import QuantPlan

SUFFIX: Final = ".tflite"
PRECISIONS: Final = ("fp32", "fp16", "int8", "pixels")


def emit(
    model: ir.Model,
    plan: QuantPlan | None,
    *,
    metadata: Metadata | None = None,
    pixels: bool = False,
    probabilities: str = "float32",
    floats: str = "fp32",
) -> Emitted:
    """Write floats without a plan, else INT8 whose input and output are int8, too; `metadata` is
    what the file says of itself. With `pixels`, the input is uint8; `probabilities` are
    `uint8`, too, or `float32`.

    With `floats` `fp16` weights are float16, and so are sums where a processor can.
    """
    graph = model.graph
    writer = NhwcWriter(plan, graph, half=floats == "fp16")
    given = graph.inputs[0]
    first = tflite_bytes.pixels(writer, given) if pixels else (writer.value(given), None)
    for node in graph:
        if not is_fused(node):
            writer.begin(node)
            operator_of(node).tflite(writer, node)
    ends = [
        tflite_bytes.output(writer, value)
        if probabilities == "uint8"
        else (writer.end(value), writer.info(value))
        for value in graph.outputs
    ]
    inputs = {given.name or "": first[0]}
    outputs = {info.name: index for index, info in ends}
    told = {}
    if metadata is not None:
        told = {
            METADATA_NAME: tflite_metadata(metadata, list(inputs), list(outputs)),
            ENTRY: entry_of(metadata).encode(),
        }
    data = writer.buffer.finish(inputs, outputs, told)
    return Emitted(
        data if metadata is None else with_labels(data, metadata.labels),
        first[1] or writer.info(given),
        tuple(info for _, info in ends),
        writer.buffer.op_counts(),
    )
