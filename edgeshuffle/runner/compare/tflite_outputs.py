"""Layer outputs of a TFLite file in LiteRT: they are made further outputs of its graph.

What a delegate computes inside is not kept anywhere, but what is an output must be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeshuffle.agent.litert import quiet
from edgeshuffle.converter.emit.flatbuffer import packed
from edgeshuffle.converter.plan import QParams
from edgeshuffle.runner.compare.layout import by_channel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class TfliteLayerOutputs:
    """An interpreter on a file that `emit.tflite` wrote, for the graph's values of the given names.

    `params` has every value that the file has, with None for floats.
    """

    def __init__(self, path: Path, wanted: Iterable[str]) -> None:
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        graph = model.subgraphs[0]
        computed = {int(index) for op in graph.operators for index in op.outputs}
        by_name = {graph.tensors[index].name.decode(): index for index in computed}
        self._tensors = {value: by_name[value] for value in wanted if value in by_name}
        own = [int(index) for index in graph.outputs]
        others = sorted(set(self._tensors.values()) - set(own))
        graph.outputs = np.array([*own, *others], np.int32)
        self.params = {
            value: _params(graph.tensors[index]) for value, index in self._tensors.items()
        }
        with quiet():
            self._interpreter = Interpreter(model_content=packed(model))
            self._interpreter.allocate_tensors()
        self._given = self._interpreter.get_input_details()[0]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Values (C, pixels) by name for float32 (N, C, H, W) images: int8 steps or float32."""
        value = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        if self._given["dtype"] == np.int8:
            value = QParams(*self._given["quantization"]).quantize(value)
        self._interpreter.set_tensor(self._given["index"], value)
        self._interpreter.invoke()
        return {
            name: by_channel(self._interpreter.get_tensor(index), nhwc=True)
            for name, index in self._tensors.items()
        }


def _params(tensor: schema.TensorT) -> QParams | None:
    grid = tensor.quantization
    if tensor.type != schema.TensorType.INT8:
        return None
    return QParams(float(grid.scale[0]), int(grid.zeroPoint[0]))
