"""A torch module to an ONNX model: each torch function that a run of the module calls is written.

torch's own exporter takes seconds, as it traces any program for any input. The zoo's networks call
a few functions in one order, and the proof of an export runs the module itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from onnx import TensorProto, helper, numpy_helper
from torch.overrides import TorchFunctionMode

from edgeshuffle.converter.frontend.torch_functions import Functions
from edgeshuffle.converter.operators import IR_VERSION, OPSET
from edgeshuffle.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx


def to_onnx(
    module: torch.nn.Module,
    shape: tuple[int, int, int],
    output_names: Sequence[str] = ("logits",),
) -> onnx.ModelProto:
    """For one float32 `input` of `shape` (C, H, W), with a name for each of its outputs.

    Every value has its static shape, no node could be left out, and what computes with a parameter
    of a submodule has the submodule's path as its name. Raises ModelError for a function that is
    not among `Functions`.
    """
    recorder = _Recorder(module)
    image = torch.zeros(1, *shape)
    recorder.values[id(image)] = "input"
    with torch.inference_mode(), recorder:
        found = module(image)
    outputs = found if isinstance(found, tuple) else (found,)
    names = dict(zip(map(recorder.value_of, outputs), output_names, strict=True))
    for node in recorder.functions.nodes:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    shapes = {names.get(name, name): size for name, size in recorder.functions.shapes.items()}
    ends = [shapes.pop(name) for name in output_names]
    graph = helper.make_graph(
        recorder.functions.nodes,
        "network",
        [_float("input", image.shape)],
        [_float(*end) for end in zip(output_names, ends, strict=True)],
        [numpy_helper.from_array(*each[::-1]) for each in recorder.functions.constants.items()],
        value_info=[_float(*each) for each in shapes.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    proto.ir_version = IR_VERSION
    return proto


def _float(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, tuple(shape))


class _Recorder(TorchFunctionMode):
    """Writes what is called with a value of the network; `values` are names by tensors' ids."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.values: dict[int, str] = {}
        self.functions = Functions(self.value_of)
        self._parameters = {
            id(tensor): (name, tensor) for name, tensor in module.state_dict(keep_vars=True).items()
        }
        # The id of a tensor that is gone may be given to another.
        self._kept: list[torch.Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        # An operator in place gives the tensor that it was called with, whose value is another now.
        given = [id(tensor) for tensor in _tensors(args)]
        found = func(*args, **(kwargs or {}))
        made = _tensors(found if isinstance(found, tuple | list) else (found,))
        if made and any(one in self.values for one in given):
            write = getattr(self.functions, func.__name__, None)
            if write is None:
                raise ModelError(f"The function {func.__name__} has no ONNX form here.")
            shapes = [tuple(tensor.shape) for tensor in made]
            names = write(shapes, *args, **(kwargs or {}))
            self.values.update(zip(map(id, made), names, strict=True))
            self._kept += made
        return found

    def value_of(self, tensor: torch.Tensor) -> str:
        """The name of a value or a parameter, which becomes a constant of the graph."""
        known = self.values.get(id(tensor))
        if known is not None:
            return known
        name, parameter = self._parameters[id(tensor)]
        self.functions.constants[name] = parameter.detach().numpy()
        return name


def _tensors(values: Sequence[Any]) -> list[torch.Tensor]:
    found = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found
